//! Q2_K to Q6_K and Q8_K: superblocks of 256 elements; groups of 16 or 32 with small integer scales under one or two f16.
//!
//! Layouts and order of operations: `ggml-common.h` and `dequantize_row_*` of `ggml-quants.c`. The product of the f16 and the
//! group's scale is an f32; it times the code is an f32; the group's minimum is subtracted from that.

use super::f16_at;

/// Scales and minimums of the eight groups of a Q4_K or Q5_K superblock, out of 12 bytes of six-bit fields.
#[inline(always)]
pub(super) fn scales_and_mins(packed: &[u8]) -> ([u8; 8], [u8; 8]) {
    let word = |i: usize| u32::from_le_bytes([packed[i], packed[i + 1], packed[i + 2], packed[i + 3]]);
    let (a, b, c) = (word(0), word(4), word(8));
    let low = u64::from(a & 0x3f3f_3f3f);
    let high = u64::from((c & 0x0f0f_0f0f) | ((a >> 2) & 0x3030_3030));
    let low_min = u64::from(b & 0x3f3f_3f3f);
    let high_min = u64::from(((c >> 4) & 0x0f0f_0f0f) | ((b >> 2) & 0x3030_3030));
    ((low | high << 32).to_le_bytes(), (low_min | high_min << 32).to_le_bytes())
}

/// The sixteen six-bit scales, less 32, of a Q3_K superblock out of 12 bytes.
#[inline(always)]
pub(super) fn q3_scales(packed: &[u8]) -> [i8; 16] {
    let word = |i: usize| u32::from_le_bytes([packed[i], packed[i + 1], packed[i + 2], packed[i + 3]]);
    let (a, b, high) = (word(0), word(4), word(8));
    let words = [
        (a & 0x0f0f_0f0f) | ((high & 0x0303_0303) << 4),
        (b & 0x0f0f_0f0f) | ((high >> 2 & 0x0303_0303) << 4),
        (a >> 4 & 0x0f0f_0f0f) | ((high >> 4 & 0x0303_0303) << 4),
        (b >> 4 & 0x0f0f_0f0f) | ((high >> 6 & 0x0303_0303) << 4),
    ];
    let mut scales = [0; 16];
    for (i, s) in scales.iter_mut().enumerate() {
        *s = words[i / 4].to_le_bytes()[i % 4] as i8 - 32;
    }
    scales
}

/// scales (16 bytes: nibbles of scale and minimum), 64 bytes of 2-bit codes, d, dmin.
#[inline(always)]
pub(super) fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, qs, d, dmin) = (&block[..16], &block[16..80], f16_at(block, 80), f16_at(block, 82));
    for (g, (y, &packed)) in out[..256].chunks_exact_mut(16).zip(scales).enumerate() {
        let (dl, ml) = (d * f32::from(packed & 15), dmin * f32::from(packed >> 4));
        let (bytes, shift) = (&qs[32 * (g / 8) + 16 * (g % 2)..][..16], 2 * (g % 8 / 2));
        for (y, &b) in y.iter_mut().zip(bytes) {
            *y = dl * f32::from(b >> shift & 3) - ml;
        }
    }
}

/// high bits (32 bytes), 64 bytes of 2-bit codes, scales (12), d. A clear high bit takes 4 off.
#[inline(always)]
pub(super) fn q3_k(block: &[u8], out: &mut [f32]) {
    let (high, qs, d) = (&block[..32], &block[32..96], f16_at(block, 108));
    let scales = q3_scales(&block[96..108]);
    for (g, (y, &scale)) in out[..256].chunks_exact_mut(16).zip(&scales).enumerate() {
        let dl = d * f32::from(scale);
        let (bytes, shift) = (&qs[32 * (g / 8) + 16 * (g % 2)..][..16], 2 * (g % 8 / 2));
        let (high, bit) = (&high[16 * (g % 2)..][..16], g / 2);
        for (y, (&b, &h)) in y.iter_mut().zip(bytes.iter().zip(high)) {
            let q = (b >> shift & 3) as i8 - if h >> bit & 1 == 0 { 4 } else { 0 };
            *y = dl * f32::from(q);
        }
    }
}

/// d, dmin, scales (12 bytes), 128 bytes of nibbles: each 32 bytes are two groups.
#[inline(always)]
pub(super) fn q4_k(block: &[u8], out: &mut [f32]) {
    let (d, dmin, qs) = (f16_at(block, 0), f16_at(block, 2), &block[16..144]);
    let (scales, mins) = scales_and_mins(&block[4..16]);
    for (g, y) in out[..256].chunks_exact_mut(32).enumerate() {
        let (dl, ml) = (d * f32::from(scales[g]), dmin * f32::from(mins[g]));
        for (y, &b) in y.iter_mut().zip(&qs[32 * (g / 2)..][..32]) {
            *y = dl * f32::from(b >> (4 * (g % 2)) & 15) - ml;
        }
    }
}

/// d, dmin, scales (12 bytes), fifth bits (32), 128 bytes of nibbles; bit g of a byte of fifth bits is for group g.
#[inline(always)]
pub(super) fn q5_k(block: &[u8], out: &mut [f32]) {
    let (d, dmin, high, qs) = (f16_at(block, 0), f16_at(block, 2), &block[16..48], &block[48..176]);
    let (scales, mins) = scales_and_mins(&block[4..16]);
    for (g, y) in out[..256].chunks_exact_mut(32).enumerate() {
        let (dl, ml) = (d * f32::from(scales[g]), dmin * f32::from(mins[g]));
        for (y, (&b, &h)) in y.iter_mut().zip(qs[32 * (g / 2)..][..32].iter().zip(high)) {
            let q = (b >> (4 * (g % 2)) & 15) | (h >> g & 1) << 4;
            *y = dl * f32::from(q) - ml;
        }
    }
}

/// low nibbles (128 bytes), high pairs of bits (64), scales (16 signed bytes), d: d x scale x (q - 32).
#[inline(always)]
pub(super) fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, high, scales, d) = (&block[..128], &block[128..192], &block[192..208], f16_at(block, 208));
    for (g, (y, &scale)) in out[..256].chunks_exact_mut(16).zip(scales).enumerate() {
        let dl = d * f32::from(scale as i8);
        // Half of 128, quarter of 32 in it, half of that.
        let (half, quarter, part) = (g / 8, g % 8 / 2, 16 * (g % 2));
        let low = &low[64 * half + 32 * (quarter % 2) + part..][..16];
        let high = &high[32 * half + part..][..16];
        for (y, (&l, &h)) in y.iter_mut().zip(low.iter().zip(high)) {
            let q = (l >> (4 * (quarter / 2)) & 15) | (h >> (2 * quarter) & 3) << 4;
            *y = dl * f32::from(q as i8 - 32);
        }
    }
}

/// d (f32), 256 signed bytes, 16 sums of 16 codes (i16, an aid to dot products): d x q.
#[inline(always)]
pub(super) fn q8_k(block: &[u8], out: &mut [f32]) {
    let d = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    for (y, &q) in out[..256].iter_mut().zip(&block[4..260]) {
        *y = d * f32::from(q as i8);
    }
}
