//! Plain code that fills batches: the types with one scale for 16 to 256 codes, and the superblocks with integer scales.
//!
//! Written so that it vectorises: codes go to a small array of bytes first. Layouts: see the decoders.

use super::f16_at;
use super::fp4::{E2M1_DOUBLED, e8m0_half, ue4m3_half};
use super::iq4::{IQ4_VALUES, iq4_xs_scales};
use super::k_quants::{q3_scales, scales_and_mins};
use super::sums::{Affine, BATCH, DONE, Flat, Products};

/// Sum, sum of squares and number of zeros of codes.
#[inline(always)]
pub(super) fn tally<const N: usize>(codes: &[i8; N]) -> (i32, u32, u32) {
    let (mut sum, mut sum_sq, mut zeros) = (0i32, 0i32, 0u32);
    for &q in codes {
        let q = i32::from(q);
        sum += q;
        sum_sq += q * q;
        zeros += u32::from(q == 0);
    }
    (sum, sum_sq as u32, zeros)
}

/// 32 codes out of 16 bytes of nibbles.
#[inline(always)]
fn nibbles(qs: &[u8]) -> [i8; 32] {
    let mut codes = [0; 32];
    for (i, &b) in qs[..16].iter().enumerate() {
        codes[i] = (b & 15) as i8;
        codes[i + 16] = (b >> 4) as i8;
    }
    codes
}

/// 32 codes out of 16 bytes of nibbles and 4 of fifth bits.
#[inline(always)]
fn fives(high: &[u8], qs: &[u8]) -> [i8; 32] {
    let mut codes = nibbles(qs);
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    for (i, q) in codes.iter_mut().enumerate() {
        *q |= ((high >> i & 1) << 4) as i8;
    }
    codes
}

/// Fills one unit a block from its codes; `-0.0` then comes only from the sign of the scale.
#[inline(always)]
fn fill<const SIZE: usize, const N: usize>(
    bytes: &[u8],
    batch: &mut Products,
    scale: impl Fn(&[u8; SIZE]) -> f32,
    codes: impl Fn(&[u8; SIZE]) -> [i8; N],
) {
    for (i, block) in bytes.as_chunks::<SIZE>().0.iter().take(BATCH).enumerate() {
        batch.d[i] = scale(block);
        (batch.sum[i], batch.sum_sq[i], batch.zeros[i]) = tally(&codes(block));
    }
}

#[inline(always)]
pub(super) fn q4_0(bytes: &[u8], batch: &mut Products) {
    fill::<18, 32>(bytes, batch, |b| f16_at(b, 0), |b| nibbles(&b[2..]).map(|q| q - 8));
}

#[inline(always)]
pub(super) fn q5_0(bytes: &[u8], batch: &mut Products) {
    fill::<22, 32>(bytes, batch, |b| f16_at(b, 0), |b| fives(&b[2..], &b[6..]).map(|q| q - 16));
}

#[inline(always)]
pub(super) fn q8_0(bytes: &[u8], batch: &mut Products) {
    fill::<34, 32>(bytes, batch, |b| f16_at(b, 0), |b| std::array::from_fn(|i| b[2 + i] as i8));
}

#[inline(always)]
pub(super) fn q8_1(bytes: &[u8], batch: &mut Products) {
    fill::<36, 32>(bytes, batch, |b| f16_at(b, 0), |b| std::array::from_fn(|i| b[4 + i] as i8));
}

/// A scale whose products overflow an f32 is set infinite, to have the unit decoded.
#[inline(always)]
pub(super) fn q8_k(bytes: &[u8], batch: &mut Products) {
    let scale = |b: &[u8; 292]| {
        let d = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        if (d * 128.0).is_finite() && d != DONE { d } else { f32::INFINITY }
    };
    fill::<292, 256>(bytes, batch, scale, |b| std::array::from_fn(|i| b[4 + i] as i8));
}

#[inline(always)]
pub(super) fn iq4_nl(bytes: &[u8], batch: &mut Products) {
    fill::<18, 32>(bytes, batch, |b| f16_at(b, 0), |b| nibbles(&b[2..]).map(|q| IQ4_VALUES[usize::from(q as u8 & 15)]));
}

/// The scale of an MXFP4 block; infinite where 12 times it is (to have the block decoded).
#[inline(always)]
pub(super) fn mxfp4_scale(e: u8) -> f32 {
    if e < 253 { e8m0_half(e) } else { f32::INFINITY }
}

#[inline(always)]
pub(super) fn mxfp4(bytes: &[u8], batch: &mut Products) {
    let codes = |b: &[u8; 17]| nibbles(&b[1..]).map(|q| E2M1_DOUBLED[usize::from(q as u8 & 15)]);
    fill::<17, 32>(bytes, batch, |b| mxfp4_scale(b[0]), codes);
}

/// Four units a block.
#[inline(always)]
pub(super) fn nvfp4(bytes: &[u8], batch: &mut Products) {
    for (block, units) in bytes.as_chunks::<36>().0.iter().zip((0..BATCH).step_by(4)) {
        for sub in 0..4 {
            let qs = &block[4 + 8 * sub..][..8];
            let mut codes = [0; 16];
            for (j, &b) in qs.iter().enumerate() {
                codes[j] = E2M1_DOUBLED[usize::from(b & 15)];
                codes[j + 8] = E2M1_DOUBLED[usize::from(b >> 4)];
            }
            let i = units + sub;
            batch.d[i] = ue4m3_half(block[sub]);
            (batch.sum[i], batch.sum_sq[i], batch.zeros[i]) = tally(&codes);
        }
    }
}

/// Fills units whose value is d x q + m.
#[inline(always)]
fn fill_flat<const SIZE: usize>(bytes: &[u8], batch: &mut Flat, codes: impl Fn(&[u8; SIZE]) -> [i8; 32]) {
    for (i, block) in bytes.as_chunks::<SIZE>().0.iter().take(BATCH).enumerate() {
        (batch.d[i], batch.m[i]) = (f16_at(block, 0), f16_at(block, 2));
        (batch.sum[i], batch.sum_sq[i], _) = tally(&codes(block));
    }
}

#[inline(always)]
pub(super) fn q4_1(bytes: &[u8], batch: &mut Flat) {
    fill_flat::<20>(bytes, batch, |b| nibbles(&b[4..]));
}

#[inline(always)]
pub(super) fn q5_1(bytes: &[u8], batch: &mut Flat) {
    fill_flat::<24>(bytes, batch, |b| fives(&b[4..], &b[8..]));
}

/// Fills a superblock of groups with signed integer scales.
#[inline(always)]
fn fill_groups<const PER: usize>(batch: &mut Products, i: usize, scales: &[i8], codes: impl Fn(usize) -> [i8; PER]) {
    let (mut sum, mut sum_sq, mut zeros, mut negative) = (0i32, 0u32, 0u32, 0u32);
    for (g, &scale) in scales.iter().enumerate() {
        let codes = codes(g);
        let (s1, s2, z) = tally(&codes);
        let s = i32::from(scale);
        sum += s * s1;
        sum_sq = sum_sq.wrapping_add((s * s) as u32 * s2);
        if s == 0 {
            // The product with a negative code is -0.
            zeros += PER as u32;
            negative += codes.iter().map(|&q| u32::from(q < 0)).sum::<u32>();
        } else {
            zeros += z;
            negative += if s < 0 { z } else { 0 };
        }
    }
    (batch.sum[i], batch.sum_sq[i], batch.zeros[i], batch.negative[i]) = (sum, sum_sq, zeros, negative);
}

#[inline(always)]
pub(super) fn q3_k(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<110>().0.iter().take(BATCH).enumerate() {
        batch.d[i] = f16_at(block, 108);
        let scales = q3_scales(&block[96..108]);
        batch.bound(i, &scales, -4, 3);
        fill_groups::<16>(batch, i, &scales, |g| {
            let (qs, high) = (&block[32 + 32 * (g / 8) + 16 * (g % 2)..][..16], &block[16 * (g % 2)..][..16]);
            let (shift, bit) = (2 * (g % 8 / 2), g / 2);
            std::array::from_fn(|j| ((qs[j] >> shift & 3) | (high[j] >> bit & 1) << 2) as i8 - 4)
        });
    }
}

/// The integers of a Q6_K superblock can reach 2^32 in one case (every scale -128, every code 0), which is left to decoding.
#[inline(always)]
pub(super) fn q6_k_scale(block: &[u8; 210], scales: &[i8; 16]) -> f32 {
    if scales == &[-128; 16] { f32::INFINITY } else { f16_at(block, 208) }
}

#[inline(always)]
pub(super) fn q6_k_scales(block: &[u8; 210]) -> [i8; 16] {
    std::array::from_fn(|g| block[192 + g] as i8)
}

/// The codes of a group of Q6_K.
#[inline(always)]
fn q6_k_codes(block: &[u8; 210], g: usize) -> [i8; 16] {
    let (half, quarter, part) = (g / 8, g % 8 / 2, 16 * (g % 2));
    let low = &block[64 * half + 32 * (quarter % 2) + part..][..16];
    let high = &block[128 + 32 * half + part..][..16];
    let (low_shift, high_shift) = (4 * (quarter / 2), 2 * quarter);
    std::array::from_fn(|j| ((low[j] >> low_shift & 15) | (high[j] >> high_shift & 3) << 4) as i8 - 32)
}

/// Adds to the zeros of a superblock what the zero scales make of other codes: the product with a negative code is -0.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn q6_k_zeros(block: &[u8; 210], batch: &mut Products, i: usize) {
    for (g, _) in q6_k_scales(block).iter().enumerate().filter(|(_, s)| **s == 0) {
        for q in q6_k_codes(block, g) {
            batch.zeros[i] += u32::from(q != 0);
            batch.negative[i] += u32::from(q < 0);
        }
    }
}

#[inline(always)]
pub(super) fn q6_k(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<210>().0.iter().take(BATCH).enumerate() {
        let scales = q6_k_scales(block);
        batch.d[i] = q6_k_scale(block, &scales);
        batch.bound(i, &scales, -32, 31);
        fill_groups::<16>(batch, i, &scales, |g| q6_k_codes(block, g));
    }
}

#[inline(always)]
pub(super) fn iq4_xs(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<136>().0.iter().take(BATCH).enumerate() {
        batch.d[i] = f16_at(block, 0);
        let scales = iq4_xs_scales(block);
        batch.bound(i, &scales, -127, 113);
        fill_groups::<32>(batch, i, &scales, |g| nibbles(&block[8 + 16 * g..]).map(|q| IQ4_VALUES[usize::from(q as u8 & 15)]));
    }
}

/// Fills the integers of a superblock whose scales and minimums are in the batch.
#[inline(always)]
fn fill_affine<const PER: usize>(batch: &mut Affine, i: usize, groups: usize, codes: impl Fn(usize) -> [i8; PER]) {
    let (mut sum, mut sum_sq, mut cross) = (0, 0, 0);
    for g in 0..groups {
        let (s1, s2, _) = tally(&codes(g));
        let of = |words: &[[u32; BATCH]; 4]| i32::from(words[g / 4][i].to_le_bytes()[g % 4]);
        let (scale, min) = (of(&batch.scales), of(&batch.mins));
        sum += scale * s1;
        sum_sq += scale * scale * s2 as i32;
        cross += scale * min * s1;
    }
    (batch.sum[i], batch.sum_sq[i], batch.cross[i]) = (sum, sum_sq, cross);
}

/// Scales and minimums of Q4_K and Q5_K: the same 16 bytes at the start of a superblock.
#[inline(always)]
fn k_header(block: &[u8], batch: &mut Affine, i: usize) {
    (batch.d[i], batch.dmin[i]) = (f16_at(block, 0), f16_at(block, 2));
    let (scales, mins) = scales_and_mins(&block[4..16]);
    for (word, (scales, mins)) in scales.as_chunks::<4>().0.iter().zip(mins.as_chunks::<4>().0).enumerate() {
        batch.scales[word][i] = u32::from_le_bytes(*scales);
        batch.mins[word][i] = u32::from_le_bytes(*mins);
    }
}

/// Scales and minimums of Q2_K.
#[inline(always)]
pub(super) fn q2_header(block: &[u8], batch: &mut Affine, i: usize) {
    (batch.d[i], batch.dmin[i]) = (f16_at(block, 80), f16_at(block, 82));
    for (word, packed) in block[..16].as_chunks::<4>().0.iter().enumerate() {
        let packed = u32::from_le_bytes(*packed);
        (batch.scales[word][i], batch.mins[word][i]) = (packed & 0x0f0f_0f0f, packed >> 4 & 0x0f0f_0f0f);
    }
}

#[inline(always)]
pub(super) fn q4_k(bytes: &[u8], batch: &mut Affine) {
    for (i, block) in bytes.as_chunks::<144>().0.iter().take(BATCH).enumerate() {
        k_header(block, batch, i);
        fill_affine::<32>(batch, i, 8, |g| {
            let (qs, shift) = (&block[16 + 32 * (g / 2)..][..32], 4 * (g % 2));
            std::array::from_fn(|j| (qs[j] >> shift & 15) as i8)
        });
    }
}

#[inline(always)]
pub(super) fn q5_k(bytes: &[u8], batch: &mut Affine) {
    for (i, block) in bytes.as_chunks::<176>().0.iter().take(BATCH).enumerate() {
        k_header(block, batch, i);
        fill_affine::<32>(batch, i, 8, |g| {
            let (qs, high, shift) = (&block[48 + 32 * (g / 2)..][..32], &block[16..48], 4 * (g % 2));
            std::array::from_fn(|j| ((qs[j] >> shift & 15) | (high[j] >> g & 1) << 4) as i8)
        });
    }
}

#[inline(always)]
pub(super) fn q2_k(bytes: &[u8], batch: &mut Affine) {
    for (i, block) in bytes.as_chunks::<84>().0.iter().take(BATCH).enumerate() {
        q2_header(block, batch, i);
        fill_affine::<16>(batch, i, 16, |g| {
            let (qs, shift) = (&block[16 + 32 * (g / 8) + 16 * (g % 2)..][..16], 2 * (g % 8 / 2));
            std::array::from_fn(|j| (qs[j] >> shift & 3) as i8)
        });
    }
}

/// Sum, sum of squares and zeros of 2-bit codes less 1, from the counts of their bits.
#[inline(always)]
fn two_bit(low: u32, high: u32, both: u32, elements: u32) -> (i32, u32, u32) {
    // Codes 1 (low alone), 2 (high alone) and 3 (both) stand for 0, 1 and 2; the rest for -1.
    let (ones, twos, none) = (high - both, both, elements + both - low - high);
    ((ones + 2 * twos) as i32 - none as i32, ones + 4 * twos + none, low - both)
}

/// Counts of low bits, high bits and both over the 2-bit codes of `qs`, whose length is a multiple of 8.
#[inline(always)]
fn bit_counts(qs: &[u8]) -> (u32, u32, u32) {
    let (mut low, mut high, mut both) = (0, 0, 0);
    for &word in qs.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(word);
        let (l, h) = (word & 0x5555_5555_5555_5555, word >> 1 & 0x5555_5555_5555_5555);
        low += l.count_ones();
        high += h.count_ones();
        both += (l & h).count_ones();
    }
    (low, high, both)
}

#[inline(always)]
pub(super) fn tq2_0(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<66>().0.iter().take(BATCH).enumerate() {
        batch.d[i] = f16_at(block, 64);
        let (low, high, both) = bit_counts(&block[..64]);
        (batch.sum[i], batch.sum_sq[i], batch.zeros[i]) = two_bit(low, high, both, 256);
    }
}

#[inline(always)]
pub(super) fn q2_0(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<18>().0.iter().take(BATCH).enumerate() {
        batch.d[i] = f16_at(block, 0);
        let (low, high, both) = bit_counts(&block[2..]);
        (batch.sum[i], batch.sum_sq[i], batch.zeros[i]) = two_bit(low, high, both, 64);
    }
}

/// No value is 0 except under a zero scale, in which case the block is decoded.
#[inline(always)]
pub(super) fn q1_0(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<18>().0.iter().take(BATCH).enumerate() {
        batch.d[i] = f16_at(block, 0);
        let ones: u32 = block[2..].as_chunks::<8>().0.iter().map(|&w| u64::from_le_bytes(w).count_ones()).sum();
        (batch.sum[i], batch.sum_sq[i]) = (2 * ones as i32 - 128, 128);
    }
}

/// For each byte of five digits: their sum (plus 5) in the low nibble, the number of digits that are 0 in the high one.
static DIGITS: [[u8; 256]; 2] = [digit_table(5), digit_table(4)];

const fn digit_table(digits: usize) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut zeros, mut n) = (5, 0, 0);
        while n < digits {
            let digit = super::ternary::digit(byte as u8, n);
            sum += digit;
            zeros += (digit == 0) as u8;
            n += 1;
        }
        table[byte] = sum as u8 | zeros << 4;
        byte += 1;
    }
    table
}

#[inline(always)]
pub(super) fn tq1_0(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<54>().0.iter().take(BATCH).enumerate() {
        batch.d[i] = f16_at(block, 52);
        let (mut sum, mut zeros) = (0u32, 0u32);
        for (at, &byte) in block[..52].iter().enumerate() {
            let entry = u32::from(DIGITS[usize::from(at >= 48)][usize::from(byte)]);
            sum += entry & 15;
            zeros += entry >> 4;
        }
        (batch.sum[i], batch.sum_sq[i], batch.zeros[i]) = (sum as i32 - 5 * 52, 256 - zeros, zeros);
    }
}
