//! Kernels for NEON: superblocks of eight groups of 32 with a scale and a minimum each, four superblocks at a time.

use std::arch::aarch64::*;

use super::neon::{squares, steps, totals16, totals32};
use super::neon_k::sums;
use super::sums::Affine;
use crate::scan::simd::memory::{eight, four, load128, store128, widen_halves};

/// Superblocks to a step.
const STEP: usize = 4;

/// Codes of a group, from 0 to 31.
type Group = [uint8x16_t; 2];

/// The columns of four rows.
#[inline]
#[target_feature(enable = "neon")]
fn columns(v: [uint32x4_t; 4]) -> [uint32x4_t; 4] {
    let wide = |v| vreinterpretq_u64_u32(v);
    let (a, b) = (wide(vtrn1q_u32(v[0], v[1])), wide(vtrn1q_u32(v[2], v[3])));
    let (c, d) = (wide(vtrn2q_u32(v[0], v[1])), wide(vtrn2q_u32(v[2], v[3])));
    [vtrn1q_u64(a, b), vtrn1q_u64(c, d), vtrn2q_u64(a, b), vtrn2q_u64(c, d)].map(|v| vreinterpretq_u32_u64(v))
}

/// Partial sums of products of eight words.
#[inline]
#[target_feature(enable = "neon")]
fn products(a: uint16x8_t, b: uint16x8_t) -> uint32x4_t {
    vmlal_high_u16(vmull_u16(vget_low_u16(a), vget_low_u16(b)), a, b)
}

/// Scales and minimums of the groups of four superblocks, from rows of d, dmin and twelve bytes; stores them and d and dmin.
/// Gives for each superblock its eight scales and its eight minimums.
#[inline]
#[target_feature(enable = "neon")]
fn headers(rows: [uint32x4_t; STEP], batch: &mut Affine, unit: usize) -> [[uint16x8_t; STEP]; 2] {
    let [head, a, b, c] = columns(rows);
    let [d, dmin] = widen_halves(vcombine_u16(vmovn_u32(head), vshrn_n_u32::<16>(head)));
    store128(&mut batch.d[unit..], vreinterpretq_u32_f32(d));
    store128(&mut batch.dmin[unit..], vreinterpretq_u32_f32(dmin));
    // Six-bit fields: the last four groups have their lower four bits in `c`, the upper two above the first four groups.
    let [a, b, c] = [a, b, c].map(|v| vreinterpretq_u8_u32(v));
    let (six, four, two) = (vdupq_n_u8(0x3f), vdupq_n_u8(0x0f), vdupq_n_u8(0x30));
    let top = |v| vandq_u8(vshrq_n_u8::<2>(v), two);
    let scales = [vandq_u8(a, six), vorrq_u8(vandq_u8(c, four), top(a))].map(|v| vreinterpretq_u32_u8(v));
    let mins = [vandq_u8(b, six), vorrq_u8(vshrq_n_u8::<4>(c), top(b))].map(|v| vreinterpretq_u32_u8(v));
    for i in 0..2 {
        store128(&mut batch.scales[i][unit..], scales[i]);
        store128(&mut batch.mins[i][unit..], mins[i]);
    }
    [scales, mins].map(|[low, high]| {
        let [first, second] = [vzip1q_u32(low, high), vzip2q_u32(low, high)].map(|v| vreinterpretq_u8_u32(v));
        [vmovl_u8(vget_low_u8(first)), vmovl_high_u8(first), vmovl_u8(vget_low_u8(second)), vmovl_high_u8(second)]
    })
}

/// Four superblocks. `codes(block, c)` are the codes of groups 2 c and 2 c + 1.
#[inline]
#[target_feature(enable = "neon")]
fn step<const SIZE: usize>(blocks: &[u8], batch: &mut Affine, unit: usize, codes: impl Fn(&[u8], usize) -> [Group; 2]) {
    let blocks = &blocks[..STEP * SIZE];
    let rows = four(|j| vreinterpretq_u32_u8(load128(blocks, j * SIZE)));
    let [scales, mins] = headers(rows, batch, unit);
    let partial = four(|j| {
        let block = &blocks[j * SIZE..][..SIZE];
        let [[a, b], [c, d], [e, f], [g, h]] = [codes(block, 0), codes(block, 1), codes(block, 2), codes(block, 3)];
        let groups = [a, b, c, d, e, f, g, h];
        let sums = sums(eight(|g| vaddq_u8(groups[g][0], groups[g][1])));
        let signed = |v| vreinterpretq_s8_u8(v);
        let squares = totals16(eight(|g| squares(signed(groups[g][0]), signed(groups[g][1]))));
        let (s, m) = (scales[j], mins[j]);
        [products(sums, s), products(squares, vmulq_u16(s, s)), products(sums, vmulq_u16(s, m))]
    });
    let total = |what: usize| totals32(four(|j| partial[j][what]));
    store128(&mut batch.sum[unit..], total(0));
    store128(&mut batch.sum_sq[unit..], total(1));
    store128(&mut batch.cross[unit..], total(2));
}

#[target_feature(enable = "neon")]
pub(super) fn q4_k(bytes: &[u8], batch: &mut Affine) {
    let low = vdupq_n_u8(15);
    let codes = |block: &[u8], c: usize| {
        let v = [load128(block, 16 + 32 * c), load128(block, 32 + 32 * c)];
        [v.map(|v| vandq_u8(v, low)), v.map(|v| vshrq_n_u8::<4>(v))]
    };
    steps::<STEP, 144>(bytes, |blocks, unit| step::<144>(blocks, batch, unit, codes));
}

#[target_feature(enable = "neon")]
pub(super) fn q5_k(bytes: &[u8], batch: &mut Affine) {
    let (low, fifth) = (vdupq_n_u8(15), vdupq_n_u8(16));
    let codes = |block: &[u8], c: usize| {
        let part = |half: usize| {
            let (v, bits) = (load128(block, 48 + 32 * c + 16 * half), load128(block, 16 + 16 * half));
            // Bit g goes to bit 4.
            let join = |v, g: usize| vbslq_u8(fifth, vshlq_u8(bits, vdupq_n_s8(4 - g as i8)), v);
            [join(vandq_u8(v, low), 2 * c), join(vshrq_n_u8::<4>(v), 2 * c + 1)]
        };
        let ([a, b], [c, d]) = (part(0), part(1));
        [[a, c], [b, d]]
    };
    steps::<STEP, 176>(bytes, |blocks, unit| step::<176>(blocks, batch, unit, codes));
}
