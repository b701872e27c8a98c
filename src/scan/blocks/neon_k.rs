//! Kernels for NEON: superblocks of 256 codes under small integer scales, 128 codes at a time.
//!
//! The codes give the sum and the sum of squares of each group of sixteen, in words, and then meet the scales.

use std::arch::aarch64::*;

use super::f16_at;
use super::iq4::{IQ4_VALUES, iq4_xs_scales};
use super::k_quants::q3_scales;
use super::neon::{squares, totals16};
use super::portable::{q2_header, q6_k_scale, q6_k_scales};
use super::sums::{Affine, BATCH, Products};
use crate::scan::simd::memory::{eight, load128, prefetch_far, table128};

/// Requests the memory of a superblock some way ahead.
#[inline(always)]
fn prefetch_block(block: &[u8]) {
    for at in (0..block.len()).step_by(64) {
        prefetch_far(block, at);
    }
}

/// Codes of eight groups of sixteen, from 0 to 63.
type Eight = [uint8x16_t; 8];

/// The sum of each group, one to an element.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn sums(codes: Eight) -> uint16x8_t {
    // Of four codes in 8 bits: at most 252.
    let four = |i: usize| vpaddq_u8(vpaddq_u8(codes[i], codes[i + 1]), vpaddq_u8(codes[i + 2], codes[i + 3]));
    vpaddq_u16(vpaddlq_u8(four(0)), vpaddlq_u8(four(4)))
}

/// The sum of squares of each group: at most 16 x 63^2.
#[inline]
#[target_feature(enable = "neon")]
fn sums_of_squares(codes: Eight) -> uint16x8_t {
    let square = |q| vmlal_high_u8(vmull_u8(vget_low_u8(q), vget_low_u8(q)), q, q);
    totals16(eight(|i| square(codes[i])))
}

/// How many bytes of each group are set, of masks of sixteen groups.
#[inline]
#[target_feature(enable = "neon")]
fn counts(masks: [Eight; 2]) -> uint8x16_t {
    let four = |v: &Eight, i: usize| vpaddq_u8(vpaddq_u8(v[i], v[i + 1]), vpaddq_u8(v[i + 2], v[i + 3]));
    let [a, b] = [&masks[0], &masks[1]].map(|v| vpaddq_u8(four(v, 0), four(v, 4)));
    // A set byte is -1.
    vreinterpretq_u8_s8(vnegq_s8(vreinterpretq_s8_u8(vpaddq_u8(a, b))))
}

/// The sum of products of sixteen signed words.
#[inline]
#[target_feature(enable = "neon")]
fn dot(a: [int16x8_t; 2], b: [int16x8_t; 2]) -> i32 {
    let v = vmlal_high_s16(vmull_s16(vget_low_s16(a[0]), vget_low_s16(b[0])), a[0], b[0]);
    vaddvq_s32(vmlal_high_s16(vmlal_s16(v, vget_low_s16(a[1]), vget_low_s16(b[1])), a[1], b[1]))
}

/// The sum of products of sixteen unsigned words.
#[inline]
#[target_feature(enable = "neon")]
fn dot_unsigned(a: [uint16x8_t; 2], b: [uint16x8_t; 2]) -> u32 {
    let v = vmlal_high_u16(vmull_u16(vget_low_u16(a[0]), vget_low_u16(b[0])), a[0], b[0]);
    vaddvq_u32(vmlal_high_u16(vmlal_u16(v, vget_low_u16(a[1]), vget_low_u16(b[1])), a[1], b[1]))
}

/// Fills a superblock of groups with signed scales, whose codes are `BIAS` too high; all but `d`.
#[inline]
#[target_feature(enable = "neon")]
fn signed<const BIAS: u8>(batch: &mut Products, i: usize, codes: [Eight; 2], scales: int8x16_t) {
    let bias = u16::from(BIAS);
    let words = [vmovl_s8(vget_low_s8(scales)), vmovl_high_s8(scales)];
    let sums = codes.map(|codes| sums(codes));
    let centred = sums.map(|v| vreinterpretq_s16_u16(vsubq_u16(v, vdupq_n_u16(16 * bias))));
    batch.sum[i] = dot(words, centred);
    // The sum of (q - bias)^2 is that of q^2, less twice the bias times that of q, and 16 squares of the bias: it fits, what is
    // on the way to it wraps.
    let raw = codes.map(|codes| sums_of_squares(codes));
    let squares = |half: usize| vaddq_u16(vmlsq_n_u16(raw[half], sums[half], 2 * bias), vdupq_n_u16(16 * bias * bias));
    batch.sum_sq[i] = dot_unsigned(words.map(|v| vreinterpretq_u16_s16(vmulq_s16(v, v))), [squares(0), squares(1)]);
    let (least, most) = (vminvq_s8(scales), vmaxvq_s8(scales));
    batch.range(i, i32::from(least), i32::from(most), -i32::from(BIAS), if BIAS == 32 { 31 } else { i32::from(BIAS) - 1 });
    let bias = vdupq_n_u8(BIAS);
    let mut zeros = counts(codes.map(|codes| eight(|i| vceqq_u8(codes[i], bias))));
    let mut negative = vandq_u8(zeros, vcltzq_s8(scales));
    let without = vceqzq_s8(scales);
    if vmaxvq_u8(without) != 0 {
        // Under a zero scale all is 0, and the product with a negative code is -0.
        let below = counts(codes.map(|codes| eight(|i| vcltq_u8(codes[i], bias))));
        zeros = vbslq_u8(without, vdupq_n_u8(16), zeros);
        negative = vbslq_u8(without, below, negative);
    }
    (batch.zeros[i], batch.negative[i]) = (u32::from(vaddlvq_u8(zeros)), u32::from(vaddlvq_u8(negative)));
}

#[target_feature(enable = "neon")]
pub(super) fn q6_k(bytes: &[u8], batch: &mut Products) {
    let (low, pair) = (vdupq_n_u8(15), vdupq_n_u8(0x30));
    for (i, block) in bytes.as_chunks::<210>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        let scales = q6_k_scales(block);
        batch.d[i] = q6_k_scale(block, &scales);
        let half = |half: usize| {
            let nibbles = |part: usize| load128(block, 64 * half + 16 * part);
            let lower = |part: usize, high| vorrq_u8(vandq_u8(nibbles(part), low), vandq_u8(high, pair));
            let upper = |part: usize, high| vorrq_u8(vshrq_n_u8::<4>(nibbles(part)), vandq_u8(high, pair));
            let (a, b) = (load128(block, 128 + 32 * half), load128(block, 144 + 32 * half));
            [
                lower(0, vshlq_n_u8::<4>(a)),
                lower(1, vshlq_n_u8::<4>(b)),
                lower(2, vshlq_n_u8::<2>(a)),
                lower(3, vshlq_n_u8::<2>(b)),
                upper(0, a),
                upper(1, b),
                upper(2, vshrq_n_u8::<2>(a)),
                upper(3, vshrq_n_u8::<2>(b)),
            ]
        };
        signed::<32>(batch, i, [half(0), half(1)], table128(&scales));
    }
}

/// Codes of two bits out of 32 bytes: the first two of eight vectors from the lowest bits.
#[inline]
#[target_feature(enable = "neon")]
fn pairs(block: &[u8], at: usize) -> Eight {
    let (a, b, two) = (load128(block, at), load128(block, at + 16), vdupq_n_u8(3));
    [
        vandq_u8(a, two),
        vandq_u8(b, two),
        vandq_u8(vshrq_n_u8::<2>(a), two),
        vandq_u8(vshrq_n_u8::<2>(b), two),
        vandq_u8(vshrq_n_u8::<4>(a), two),
        vandq_u8(vshrq_n_u8::<4>(b), two),
        vshrq_n_u8::<6>(a),
        vshrq_n_u8::<6>(b),
    ]
}

#[target_feature(enable = "neon")]
pub(super) fn q3_k(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<110>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        batch.d[i] = f16_at(block, 108);
        let high = [load128(block, 0), load128(block, 16)];
        let half = |half: usize| {
            let codes = pairs(block, 32 + 32 * half);
            eight(|g| {
                // Bit 4 half + g / 2 goes to bit 2.
                let set = vtstq_u8(high[g % 2], vdupq_n_u8(1 << (4 * half + g / 2)));
                vorrq_u8(codes[g], vandq_u8(set, vdupq_n_u8(4)))
            })
        };
        signed::<4>(batch, i, [half(0), half(1)], table128(&q3_scales(&block[96..108])));
    }
}

/// No code is 0: zeros are all under a zero scale.
#[target_feature(enable = "neon")]
pub(super) fn iq4_xs(bytes: &[u8], batch: &mut Products) {
    let (table, low) = (table128(&IQ4_VALUES), vdupq_n_u8(15));
    for (i, block) in bytes.as_chunks::<136>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        batch.d[i] = f16_at(block, 0);
        let scales = iq4_xs_scales(block);
        batch.bound(i, &scales, -127, 113);
        let (mut sum, mut sum_sq) = (vdupq_n_s32(0), vdupq_n_u32(0));
        let (mut zeros, mut negative) = (0, 0);
        for (g, &scale) in scales.iter().enumerate() {
            let v = load128(block, 8 + 16 * g);
            let (a, b) = (vqtbl1q_s8(table, vandq_u8(v, low)), vqtbl1q_s8(table, vshrq_n_u8::<4>(v)));
            let pairs = vpadalq_s8(vpaddlq_s8(a), b);
            let s = i16::from(scale);
            sum = vmlal_high_n_s16(vmlal_n_s16(sum, vget_low_s16(pairs), s), pairs, s);
            sum_sq = vmlaq_n_u32(sum_sq, vpaddlq_u16(squares(a, b)), s.unsigned_abs().pow(2).into());
            if scale == 0 {
                // The first eight values of the table are negative: a clear fourth bit.
                let set = vcntq_u8(vandq_u8(v, vdupq_n_u8(0x88)));
                (zeros, negative) = (zeros + 32, negative + 32 - u32::from(vaddvq_u8(set)));
            }
        }
        (batch.sum[i], batch.sum_sq[i]) = (vaddvq_s32(sum), vaddvq_u32(sum_sq));
        (batch.zeros[i], batch.negative[i]) = (zeros, negative);
    }
}

#[target_feature(enable = "neon")]
pub(super) fn q2_k(bytes: &[u8], batch: &mut Affine) {
    for (i, block) in bytes.as_chunks::<84>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        q2_header(block, batch, i);
        let packed = load128(block, 0);
        let words = |v| [vmovl_u8(vget_low_u8(v)), vmovl_high_u8(v)];
        let (scales, mins) = (words(vandq_u8(packed, vdupq_n_u8(15))), words(vshrq_n_u8::<4>(packed)));
        let codes = [pairs(block, 16), pairs(block, 48)];
        let sums = codes.map(|codes| sums(codes));
        let times = |other: [uint16x8_t; 2]| [vmulq_u16(scales[0], other[0]), vmulq_u16(scales[1], other[1])];
        batch.sum[i] = dot_unsigned(sums, scales) as i32;
        batch.sum_sq[i] = dot_unsigned(codes.map(|codes| sums_of_squares(codes)), times(scales)) as i32;
        batch.cross[i] = dot_unsigned(sums, times(mins)) as i32;
    }
}
