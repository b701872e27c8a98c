//! Kernels for NEON: the types with one scale for 32 codes, eight blocks at a time.
//!
//! No `unsafe`: intrinsics on registers are safe where their features are enabled; loads and stores are functions of `simd::memory`.

use std::arch::aarch64::*;

use super::fp4::{E2M1_DOUBLED, ue4m3_half};
use super::iq4::IQ4_VALUES;
use super::portable::mxfp4_scale;
use super::sums::{self, BATCH, Flat, Products};
use crate::scan::simd::memory::{Word, eight, load128, prefetch_far, store128, table128, widen_halves};

/// Blocks to a step.
const STEP: usize = 8;

/// Runs `step` on eight blocks at a time, and requests memory ahead of them.
#[inline(always)]
pub(super) fn steps<const STEP: usize, const SIZE: usize>(bytes: &[u8], mut step: impl FnMut(&[u8], usize)) {
    sums::steps::<STEP, SIZE>(bytes, |blocks, unit| {
        for line in (0..STEP * SIZE).step_by(64) {
            prefetch_far(blocks, line);
        }
        step(blocks, unit);
    });
}

/// Eight f16 at `at`, one in each block.
#[inline]
#[target_feature(enable = "neon")]
fn scales<const SIZE: usize>(blocks: &[u8], at: usize, out: &mut [f32], unit: usize) {
    let blocks = &blocks[..STEP * SIZE];
    let half = |i: usize| u16::from_le_bytes([blocks[i * SIZE + at], blocks[i * SIZE + at + 1]]);
    let v = vdupq_n_u16(half(0));
    let v = vsetq_lane_u16::<1>(half(1), v);
    let v = vsetq_lane_u16::<2>(half(2), v);
    let v = vsetq_lane_u16::<3>(half(3), v);
    let v = vsetq_lane_u16::<4>(half(4), v);
    let v = vsetq_lane_u16::<5>(half(5), v);
    let v = vsetq_lane_u16::<6>(half(6), v);
    let v = vsetq_lane_u16::<7>(half(7), v);
    store(&mut out[unit..unit + STEP], widen_halves(v).map(|v| vreinterpretq_u32_f32(v)));
}

/// The sum of each of eight vectors of words, if every pair of partial sums fits: one to an element.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn totals16(v: [uint16x8_t; 8]) -> uint16x8_t {
    let four = |i: usize| vpaddq_u16(vpaddq_u16(v[i], v[i + 1]), vpaddq_u16(v[i + 2], v[i + 3]));
    vpaddq_u16(four(0), four(4))
}

/// The sum of each of four vectors, one to an element.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn totals32(v: [uint32x4_t; 4]) -> uint32x4_t {
    vpaddq_u32(vpaddq_u32(v[0], v[1]), vpaddq_u32(v[2], v[3]))
}

/// Sums of squares of 32 codes, of which four fit 16 bits: of magnitudes up to 127.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn squares(a: int8x16_t, b: int8x16_t) -> uint16x8_t {
    let v = vmull_s8(vget_low_s8(a), vget_low_s8(a));
    let v = vmlal_high_s8(v, a, a);
    let v = vmlal_s8(v, vget_low_s8(b), vget_low_s8(b));
    vreinterpretq_u16_s16(vmlal_high_s8(v, b, b))
}

/// Sums of squares of any 32 codes: only two squares of -128 fit 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn wide_squares(a: int8x16_t, b: int8x16_t) -> uint32x4_t {
    let pair = |q: int8x16_t| vreinterpretq_u16_s16(vmlal_high_s8(vmull_s8(vget_low_s8(q), vget_low_s8(q)), q, q));
    vpadalq_u16(vpaddlq_u16(pair(a)), pair(b))
}

/// Stores two vectors to eight elements.
#[inline]
#[target_feature(enable = "neon")]
fn store<T: Word>(out: &mut [T], [low, high]: [uint32x4_t; 2]) {
    store128(&mut out[..4], low);
    store128(&mut out[4..], high);
}

/// Sums, sums of squares and numbers of zeros of eight blocks.
struct Eight {
    sum: [uint32x4_t; 2],
    sum_sq: [uint32x4_t; 2],
    zeros: [uint32x4_t; 2],
}

impl Eight {
    #[inline]
    #[target_feature(enable = "neon")]
    fn store(self, batch: &mut Products, unit: usize) {
        store(&mut batch.sum[unit..], self.sum);
        store(&mut batch.sum_sq[unit..], self.sum_sq);
        store(&mut batch.zeros[unit..], self.zeros);
    }
}

/// Eight blocks whose 32 codes `codes` takes out, each `BIAS` too high. If not `WIDE`, none is above 45 in magnitude, so that 32
/// squares fit 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn tally<const SIZE: usize, const BIAS: i8, const WIDE: bool>(blocks: &[u8], codes: impl Fn(&[u8]) -> [int8x16_t; 2]) -> Eight {
    let blocks = &blocks[..STEP * SIZE];
    let codes = eight(|i| codes(&blocks[i * SIZE..][..SIZE]));
    let sums = eight(|i| vreinterpretq_u16_s16(vpadalq_s8(vpaddlq_s8(codes[i][0]), codes[i][1])));
    // -1 where a code is zero.
    let none = |q| vreinterpretq_s8_u8(vceqq_s8(q, vdupq_n_s8(BIAS)));
    let zeros = eight(|i| vaddq_s8(none(codes[i][0]), none(codes[i][1])));
    let signed = |v| [vmovl_s16(vget_low_s16(v)), vmovl_high_s16(v)];
    let mut sum = signed(vreinterpretq_s16_u16(totals16(sums)));
    let four = |i: usize| vpaddq_s8(vpaddq_s8(zeros[i], zeros[i + 1]), vpaddq_s8(zeros[i + 2], zeros[i + 3]));
    let [low, high] = signed(vpaddlq_s8(vpaddq_s8(four(0), four(4))));
    let zeros = [vnegq_s32(low), vnegq_s32(high)];
    let mut sum_sq = if WIDE {
        let [a, b, c, d, e, f, g, h] = eight(|i| wide_squares(codes[i][0], codes[i][1]));
        [totals32([a, b, c, d]), totals32([e, f, g, h])]
    } else {
        let totals = totals16(eight(|i| squares(codes[i][0], codes[i][1])));
        [vmovl_u16(vget_low_u16(totals)), vmovl_high_u16(totals)]
    };
    if BIAS != 0 {
        // The sum of (q - bias)^2 is that of q^2, less twice the bias times that of q, and 32 squares of the bias.
        let bias = i32::from(BIAS);
        for (sum, sum_sq) in sum.iter_mut().zip(&mut sum_sq) {
            let less = vmlsq_n_s32(vreinterpretq_s32_u32(*sum_sq), *sum, 2 * bias);
            *sum_sq = vreinterpretq_u32_s32(vaddq_s32(less, vdupq_n_s32(32 * bias * bias)));
            *sum = vsubq_s32(*sum, vdupq_n_s32(32 * bias));
        }
    }
    let unsigned = |[low, high]: [int32x4_t; 2]| [vreinterpretq_u32_s32(low), vreinterpretq_u32_s32(high)];
    Eight { sum: unsigned(sum), sum_sq, zeros: unsigned(zeros) }
}

/// 32 codes from 0 to 15 out of 16 bytes.
#[inline]
#[target_feature(enable = "neon")]
fn nibbles(block: &[u8], qs: usize) -> [uint8x16_t; 2] {
    let v = load128(block, qs);
    [vandq_u8(v, vdupq_n_u8(15)), vshrq_n_u8::<4>(v)]
}

/// 32 codes from 0 to 15 as they are.
#[inline]
#[target_feature(enable = "neon")]
fn fours(block: &[u8], qs: usize) -> [int8x16_t; 2] {
    nibbles(block, qs).map(|v| vreinterpretq_s8_u8(v))
}

/// 32 codes from 0 to 31 out of 4 bytes of fifth bits and 16 bytes of nibbles.
#[inline]
#[target_feature(enable = "neon")]
fn fives(block: &[u8], high: usize, qs: usize) -> [int8x16_t; 2] {
    let [a, b] = nibbles(block, qs);
    let word = u32::from_le_bytes([block[high], block[high + 1], block[high + 2], block[high + 3]]);
    let word = vreinterpretq_u8_u32(vdupq_n_u32(word));
    // Each byte of bits to eight bytes, of which each keeps its own.
    let mine = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    let first = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
    let second = vcombine_u8(vdup_n_u8(2), vdup_n_u8(3));
    let set = |pick| vandq_u8(vtstq_u8(vqtbl1q_u8(word, pick), mine), vdupq_n_u8(16));
    [vorrq_u8(a, set(first)), vorrq_u8(b, set(second))].map(|v| vreinterpretq_s8_u8(v))
}

macro_rules! product_kernels {
    ($($name:ident $size:literal $bias:literal $wide:literal, $codes:expr;)*) => {$(
        #[target_feature(enable = "neon")]
        pub(super) fn $name(bytes: &[u8], batch: &mut Products) {
            steps::<STEP, $size>(bytes, |blocks, unit| {
                scales::<$size>(blocks, 0, &mut batch.d, unit);
                tally::<$size, $bias, $wide>(blocks, $codes).store(batch, unit);
            });
        }
    )*};
}

product_kernels! {
    q4_0 18 8 false, |block| fours(block, 2);
    q5_0 22 16 false, |block| fives(block, 2, 6);
    q8_0 34 0 true, |block| eights(block, 2);
    q8_1 36 0 true, |block| eights(block, 4);
    iq4_nl 18 0 true, |block| looked_up(block, 2, &IQ4_VALUES);
}

/// 32 codes of eight bits.
#[inline]
#[target_feature(enable = "neon")]
fn eights(block: &[u8], qs: usize) -> [int8x16_t; 2] {
    [load128(block, qs), load128(block, qs + 16)].map(|v| vreinterpretq_s8_u8(v))
}

/// 32 codes that a table has for nibbles.
#[inline]
#[target_feature(enable = "neon")]
fn looked_up(block: &[u8], qs: usize, table: &[i8; 16]) -> [int8x16_t; 2] {
    let table = table128(table);
    nibbles(block, qs).map(|v| vqtbl1q_s8(table, v))
}

#[target_feature(enable = "neon")]
pub(super) fn mxfp4(bytes: &[u8], batch: &mut Products) {
    steps::<STEP, 17>(bytes, |blocks, unit| {
        for (d, block) in batch.d[unit..unit + STEP].iter_mut().zip(blocks.as_chunks::<17>().0) {
            *d = mxfp4_scale(block[0]);
        }
        tally::<17, 0, false>(blocks, |block| looked_up(block, 1, &E2M1_DOUBLED)).store(batch, unit);
    });
}

macro_rules! flat_kernels {
    ($($name:ident $size:literal, $codes:expr;)*) => {$(
        #[target_feature(enable = "neon")]
        pub(super) fn $name(bytes: &[u8], batch: &mut Flat) {
            steps::<STEP, $size>(bytes, |blocks, unit| {
                scales::<$size>(blocks, 0, &mut batch.d, unit);
                scales::<$size>(blocks, 2, &mut batch.m, unit);
                let eight = tally::<$size, 0, false>(blocks, $codes);
                store(&mut batch.sum[unit..], eight.sum);
                store(&mut batch.sum_sq[unit..], eight.sum_sq);
            });
        }
    )*};
}

flat_kernels! {
    q4_1 20, |block| fours(block, 4);
    q5_1 24, |block| fives(block, 4, 8);
}

/// Four units a block, eight bytes of nibbles each.
#[target_feature(enable = "neon")]
pub(super) fn nvfp4(bytes: &[u8], batch: &mut Products) {
    for (block, i) in bytes.as_chunks::<36>().0.iter().zip((0..BATCH).step_by(4)) {
        prefetch_far(block, 0);
        for (d, &scale) in batch.d[i..i + 4].iter_mut().zip(block) {
            *d = ue4m3_half(scale);
        }
        let none = |q| vreinterpretq_s8_u8(vceqzq_s8(q));
        // Two units in the halves of each vector.
        let pair = |qs: usize| {
            let [a, b] = looked_up(block, qs, &E2M1_DOUBLED);
            let square = |q| vmull_s8(q, q);
            let first = vmlal_s8(square(vget_low_s8(a)), vget_low_s8(b), vget_low_s8(b));
            let second = vmlal_high_s8(vmull_high_s8(a, a), b, b);
            (vpadalq_s8(vpaddlq_s8(a), b), vpaddq_s16(first, second), vaddq_s8(none(a), none(b)))
        };
        let ((sum_a, squares_a, zeros_a), (sum_b, squares_b, zeros_b)) = (pair(4), pair(20));
        let unsigned = |v| vreinterpretq_u32_s32(v);
        store128(&mut batch.sum[i..], unsigned(vpaddlq_s16(vpaddq_s16(sum_a, sum_b))));
        store128(&mut batch.sum_sq[i..], unsigned(vpaddlq_s16(vpaddq_s16(squares_a, squares_b))));
        let zeros = vpaddlq_s16(vpaddlq_s8(vpaddq_s8(zeros_a, zeros_b)));
        store128(&mut batch.zeros[i..], unsigned(vnegq_s32(zeros)));
    }
}
