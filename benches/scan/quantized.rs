//! Weights in the block quants that most checkpoints hold, rounded plainly: each block has its own scale and a code at the end of its
//! range, as real ones have. No search for better scales: what the scan sees is the same.

use half::f16;
use weighbridge::dtype::Dtype;

/// Whether there is a way to quantize to it here.
pub(crate) fn can(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::Q8_0 | Dtype::Q4_0 | Dtype::Q4_K | Dtype::Q6_K)
}

/// A block of the next values, appended.
pub(crate) fn block(dtype: Dtype, mut weight: impl FnMut() -> f32, out: &mut Vec<u8>) {
    match dtype {
        Dtype::Q8_0 => q8_0(&std::array::from_fn(|_| weight()), out),
        Dtype::Q4_0 => q4_0(&std::array::from_fn(|_| weight()), out),
        Dtype::Q4_K => q4_k(&std::array::from_fn(|_| weight()), out),
        Dtype::Q6_K => q6_k(&std::array::from_fn(|_| weight()), out),
        _ => unreachable!("asked before"),
    }
}

/// The value that is largest without its sign.
fn extreme(values: &[f32]) -> f32 {
    values.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a })
}

/// A scale as it is stored, and as it is read back; never 0.
fn scale(d: f32) -> ([u8; 2], f32) {
    let d = f16::from_f32(if d == 0.0 { 1e-4 } else { d });
    (d.to_le_bytes(), d.to_f32())
}

fn code(value: f32, low: f32, high: f32) -> u8 {
    value.round().clamp(low, high) as i32 as u8
}

fn q8_0(x: &[f32; 32], out: &mut Vec<u8>) {
    let (stored, d) = scale(extreme(x).abs() / 127.0);
    out.extend(stored);
    out.extend(x.map(|v| code(v / d, -127.0, 127.0)));
}

fn q4_0(x: &[f32; 32], out: &mut Vec<u8>) {
    let (stored, d) = scale(extreme(x) / -8.0);
    let nibble = |v: f32| code(v / d + 8.0, 0.0, 15.0);
    out.extend(stored);
    out.extend((0..16).map(|i| nibble(x[i]) | nibble(x[i + 16]) << 4));
}

/// Eight groups of 32, each with a scale and a minimum of six bits.
fn q4_k(x: &[f32; 256], out: &mut Vec<u8>) {
    let groups = x.as_chunks::<32>().0;
    let least: [f32; 8] = std::array::from_fn(|g| -groups[g].iter().copied().fold(0.0, f32::min));
    let step: [f32; 8] = std::array::from_fn(|g| (groups[g].iter().copied().fold(0.0, f32::max) + least[g]) / 15.0);
    let (stored_d, d) = scale(extreme(&step) / 63.0);
    let (stored_min, dmin) = scale(extreme(&least) / 63.0);
    let scales = step.map(|s| code(s / d, 1.0, 63.0));
    let mins = least.map(|m| code(m / dmin, 0.0, 63.0));
    out.extend(stored_d);
    out.extend(stored_min);
    out.extend((0..4).map(|j| scales[j] | scales[j + 4] >> 4 << 6));
    out.extend((0..4).map(|j| mins[j] | mins[j + 4] >> 4 << 6));
    out.extend((0..4).map(|j| scales[j + 4] & 15 | mins[j + 4] << 4));
    let nibble = |g: usize, i: usize| {
        let (s, m) = (d * f32::from(scales[g]), dmin * f32::from(mins[g]));
        code((groups[g][i] + m) / s, 0.0, 15.0)
    };
    for pair in 0..4 {
        out.extend((0..32).map(|i| nibble(2 * pair, i) | nibble(2 * pair + 1, i) << 4));
    }
}

/// Sixteen groups of 16, each with a signed scale of eight bits.
fn q6_k(x: &[f32; 256], out: &mut Vec<u8>) {
    let groups = x.as_chunks::<16>().0;
    let step: [f32; 16] = std::array::from_fn(|g| extreme(&groups[g]) / -32.0);
    let (stored, d) = scale(extreme(&step) / -128.0);
    let scales = step.map(|s| (s / d).round().clamp(-128.0, 127.0));
    let codes: [u8; 256] = std::array::from_fn(|i| {
        let s = d * if scales[i / 16] == 0.0 { 1.0 } else { scales[i / 16] };
        code(x[i] / s + 32.0, 0.0, 63.0)
    });
    let halves = codes.as_chunks::<128>().0;
    for c in halves {
        out.extend((0..64).map(|i| c[i] & 15 | (c[i + 64] & 15) << 4));
    }
    for c in halves {
        out.extend((0..32).map(|i| (0..4).fold(0, |bits, quarter| bits | c[i + 32 * quarter] >> 4 << (2 * quarter))));
    }
    out.extend(scales.map(|s| s as i32 as u8));
    out.extend(stored);
}
