//! Throughput of the block-quant kernels, one thread, beside summing the same bytes as u64.
//!
//!     cargo bench --bench quant_kernels [-- TYPE...] [512]      (512: the best level only)
//!
//! Each type gets 64 MiB of blocks with ordinary scales (the bytes are read from memory, not from a cache), in leaves of 16,384
//! elements. The best of the rounds counts, and the rounds of the limit and of the levels alternate.

use std::hint::black_box;
use std::time::Instant;

use weighbridge::dtype::Dtype;
use weighbridge::scan::blocks::{f16_scale_offsets, leaf_by_decoding};
use weighbridge::scan::{Simd, leaf_with};

const BYTES: usize = 64 << 20;
const LEAF: usize = 16_384;

/// Random blocks whose scales are those of a trained tensor: of one size, give or take a factor of two.
fn blocks(dtype: Dtype, size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = vec![0u8; BYTES / size * size];
    for word in bytes.as_chunks_mut::<8>().0 {
        *word = next().to_le_bytes();
    }
    for block in bytes.chunks_exact_mut(size) {
        for &at in f16_scale_offsets(dtype) {
            let scale = 0x1c00 + (next() % 0x500) as u16;
            block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
        }
        match dtype {
            Dtype::MXFP4 => block[0] = 118 + (next() % 3) as u8,
            Dtype::NVFP4 => block[..4].iter_mut().for_each(|s| *s = 0x30 + (next() % 16) as u8),
            Dtype::Q8_K => block[..4].copy_from_slice(&(1.0 + (next() % 512) as f32 / 512.0).to_le_bytes()),
            Dtype::IQ1_M => block[55] = block[55] & 15 | 0x20,
            _ => {}
        }
    }
    bytes
}

fn sum_words(bytes: &[u8]) -> u64 {
    let mut lanes = [0u64; 32];
    for words in bytes.as_chunks::<256>().0 {
        for (lane, &word) in lanes.iter_mut().zip(words.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(word));
        }
    }
    lanes.iter().fold(0, |a, &b| a.wrapping_add(b))
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let best_only = wanted.iter().any(|w| w == "512");
    let wanted: Vec<String> = wanted.into_iter().filter(|w| w != "512").collect();
    let levels = [Simd::Avx512, Simd::Avx2, Simd::Portable];
    let header =
        "type     | limit GB/s | AVX-512 GB/s | ratio | G el/s | AVX2 GB/s | ratio | portable GB/s | ratio | decoding GB/s";
    let mut out = vec![header.to_owned()];
    for &dtype in Dtype::ALL.iter().filter(|d| d.is_block_quant()) {
        let (Some(name), Some(row)) = (dtype.name(), dtype.info()) else { continue };
        if !wanted.is_empty() && !wanted.iter().any(|w| w == name) {
            continue;
        }
        let size = row.bytes_per_block as usize;
        let bytes = blocks(dtype, size);
        let leaf_bytes = LEAF / row.elements_per_block as usize * size;
        // A level that this processor lacks shows as 0 GB/s.
        let kernels = levels.map(|simd| leaf_with(simd, dtype).ok().flatten());
        let mut best = [f64::INFINITY; 5];
        for round in 0..5 {
            best[0] = best[0].min(seconds(|| {
                black_box(sum_words(black_box(&bytes)));
            }));
            for (i, kernel) in kernels.iter().enumerate().take(if best_only { 1 } else { 3 }) {
                let Some(kernel) = kernel else { continue };
                best[i + 1] = best[i + 1].min(seconds(|| {
                    for leaf in bytes.chunks(leaf_bytes) {
                        black_box(kernel(leaf));
                    }
                }));
            }
            if round == 0 && !best_only {
                best[4] = seconds(|| {
                    for leaf in bytes.chunks(leaf_bytes) {
                        black_box(leaf_by_decoding(dtype, leaf));
                    }
                });
            }
        }
        let rate = |i: usize| bytes.len() as f64 / best[i] / 1e9;
        let elements = rate(1) / size as f64 * row.elements_per_block as f64;
        out.push(format!(
            "{name:8} | {:10.1} | {:12.2} | {:5.2} | {elements:6.2} | {:9.2} | {:5.2} | {:13.2} | {:5.2} | {:.2}",
            rate(0),
            rate(1),
            rate(1) / rate(0),
            rate(2),
            rate(2) / rate(0),
            rate(3),
            rate(3) / rate(0),
            rate(4)
        ));
    }
    report(&out);
}

#[allow(clippy::print_stdout)]
fn report(lines: &[String]) {
    lines.iter().for_each(|line| println!("{line}"));
}
