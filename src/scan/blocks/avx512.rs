//! Kernels for AVX-512 with VNNI: the types with one scale for 32 codes, sixteen blocks at a time.
//!
//! No `unsafe`: intrinsics on registers are safe where their features are enabled; loads and stores are functions of `simd::memory`.

use std::arch::x86_64::*;

use super::avx2::{counting, first_words, square_table};
use super::fp4::E2M1_DOUBLED;
use super::iq4::IQ4_VALUES;
use super::portable::mxfp4_scale;
use super::sums::{Flat, Products, steps};
use crate::scan::simd::memory::{load128, load256, prefetch, store512, table128};

/// Blocks to a step.
const STEP: usize = 16;

/// Sixteen f16 at `at`, one in each block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn scales<const SIZE: usize>(blocks: &[u8], at: usize, out: &mut [f32], unit: usize) {
    let blocks = &blocks[..STEP * SIZE];
    let (first, last) = (first_words::<SIZE>(blocks, at), first_words::<SIZE>(&blocks[8 * SIZE..], at));
    let values = _mm512_cvtph_ps(_mm256_inserti128_si256::<1>(_mm256_castsi128_si256(first), last));
    store512(&mut out[unit..unit + STEP], _mm512_castps_si512(values));
}

/// Adds up each 128-bit lane of four vectors: in the result, element `i` of a lane is the sum of that lane of vector `i`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn lane_sums(v: [__m512i; 4]) -> __m512i {
    let pair = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (ab, cd) = (pair(v[0], v[1]), pair(v[2], v[3]));
    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
}

/// Sums, sums of squares and numbers of zeros of sixteen blocks.
type Sixteen = (__m512i, __m512i, __m512i);

/// Sixteen blocks of 16 bytes of nibbles at `qs`, which `table` turns into codes. With `fifth`, where the fifth bits are, `table`
/// is that of a clear fifth bit, and a set one adds 16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn nibbles<const SIZE: usize>(blocks: &[u8], qs: usize, fifth: Option<usize>, table: __m128i) -> Sixteen {
    let blocks = &blocks[..STEP * SIZE];
    let (table, low, ones) = (_mm512_broadcast_i32x4(table), _mm512_set1_epi8(15), _mm512_set1_epi8(1));
    let zero = _mm512_setzero_si512();
    let (mut sum, mut sum_sq, mut nonzero) = ([zero; 4], [zero; 4], [zero; 4]);
    for line in (0..STEP * SIZE).step_by(64) {
        prefetch(blocks, line);
    }
    for j in 0..4 {
        // Lane l has block 4 l + j, so that the lane sums come out in order.
        let at = |l: usize| (4 * l + j) * SIZE;
        let v = _mm512_castsi128_si512(load128(blocks, at(0) + qs));
        let v = _mm512_inserti32x4::<1>(v, load128(blocks, at(1) + qs));
        let v = _mm512_inserti32x4::<2>(v, load128(blocks, at(2) + qs));
        let v = _mm512_inserti32x4::<3>(v, load128(blocks, at(3) + qs));
        let mut a = _mm512_shuffle_epi8(table, _mm512_and_si512(v, low));
        let mut b = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16::<4>(v), low));
        if let Some(fifth) = fifth {
            let bits = _mm512_castsi128_si512(load128(blocks, at(0) + fifth));
            let bits = _mm512_inserti32x4::<1>(bits, load128(blocks, at(1) + fifth));
            let bits = _mm512_inserti32x4::<2>(bits, load128(blocks, at(2) + fifth));
            let bits = _mm512_inserti32x4::<3>(bits, load128(blocks, at(3) + fifth));
            // Each byte of bits to eight bytes, of which each keeps its own.
            let mine = _mm512_set1_epi64(0x8040_2010_0804_0201u64 as i64);
            let lower = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0101_0101_0101_0101, 0));
            let upper = _mm512_add_epi8(lower, _mm512_set1_epi8(2));
            let first = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, lower), mine);
            let second = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, upper), mine);
            let sixteen = _mm512_set1_epi8(16);
            a = _mm512_mask_add_epi8(a, first, a, sixteen);
            b = _mm512_mask_add_epi8(b, second, b, sixteen);
        }
        let (size_a, size_b) = (_mm512_abs_epi8(a), _mm512_abs_epi8(b));
        sum[j] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, ones, a), ones, b);
        sum_sq[j] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, size_a, size_a), size_b, size_b);
        let (some_a, some_b) = (_mm512_min_epu8(size_a, ones), _mm512_min_epu8(size_b, ones));
        nonzero[j] = _mm512_dpbusd_epi32(zero, _mm512_add_epi8(some_a, some_b), ones);
    }
    (lane_sums(sum), lane_sums(sum_sq), _mm512_sub_epi32(_mm512_set1_epi32(32), lane_sums(nonzero)))
}

/// Sixteen blocks of 16 bytes of nibbles at `qs`: of each the sum of the nibbles (from bit 20 up) and that of the squares of what
/// `table` makes of them (below).
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn plain_nibbles<const SIZE: usize>(blocks: &[u8], qs: usize, table: __m128i) -> __m512i {
    let blocks = &blocks[..STEP * SIZE];
    let (table, low, ones) = (_mm512_broadcast_i32x4(table), _mm512_set1_epi8(15), _mm512_set1_epi8(1));
    let zero = _mm512_setzero_si512();
    for line in (0..STEP * SIZE).step_by(64) {
        prefetch(blocks, line);
    }
    let mut both = [zero; 4];
    for (j, both) in both.iter_mut().enumerate() {
        // Lane l has block 4 l + j, so that the lane sums come out in order.
        let at = |l: usize| (4 * l + j) * SIZE + qs;
        let v = _mm512_castsi128_si512(load128(blocks, at(0)));
        let v = _mm512_inserti32x4::<1>(v, load128(blocks, at(1)));
        let v = _mm512_inserti32x4::<2>(v, load128(blocks, at(2)));
        let v = _mm512_inserti32x4::<3>(v, load128(blocks, at(3)));
        let (a, b) = (_mm512_and_si512(v, low), _mm512_and_si512(_mm512_srli_epi16::<4>(v), low));
        let sum = _mm512_dpbusd_epi32(zero, _mm512_add_epi8(a, b), ones);
        let (a, b) = (_mm512_shuffle_epi8(table, a), _mm512_shuffle_epi8(table, b));
        *both = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_slli_epi32::<20>(sum), a, a), b, b);
    }
    lane_sums(both)
}

/// Codes are nibbles less 8.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn q4_0(bytes: &[u8], batch: &mut Products) {
    const TABLE: [i8; 16] = square_table(8);
    let table = table128(&TABLE);
    steps::<STEP, 18>(bytes, |blocks, unit| {
        scales::<18>(blocks, 0, &mut batch.d, unit);
        let both = plain_nibbles::<18>(blocks, 2, table);
        let sum = _mm512_sub_epi32(_mm512_srli_epi32::<20>(both), _mm512_set1_epi32(8 * 32));
        let zeros = _mm512_and_si512(_mm512_srli_epi32::<12>(both), _mm512_set1_epi32(0x3f));
        store(batch, unit, (sum, _mm512_and_si512(both, _mm512_set1_epi32(0xfff)), zeros));
    });
}

/// Codes are the nibbles.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn q4_1(bytes: &[u8], batch: &mut Flat) {
    const TABLE: [i8; 16] = counting(0);
    let table = table128(&TABLE);
    steps::<STEP, 20>(bytes, |blocks, unit| {
        scales::<20>(blocks, 0, &mut batch.d, unit);
        scales::<20>(blocks, 2, &mut batch.m, unit);
        let both = plain_nibbles::<20>(blocks, 4, table);
        store512(&mut batch.sum[unit..unit + STEP], _mm512_srli_epi32::<20>(both));
        store512(&mut batch.sum_sq[unit..unit + STEP], _mm512_and_si512(both, _mm512_set1_epi32(0xf_ffff)));
    });
}

/// Stores what a step gives.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn store(batch: &mut Products, unit: usize, (sum, sum_sq, zeros): Sixteen) {
    store512(&mut batch.sum[unit..unit + STEP], sum);
    store512(&mut batch.sum_sq[unit..unit + STEP], sum_sq);
    store512(&mut batch.zeros[unit..unit + STEP], zeros);
}

macro_rules! nibble_kernels {
    ($($name:ident $batch:ident $size:literal $qs:literal $fifth:expr, $table:expr;)*) => {$(
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        pub(super) fn $name(bytes: &[u8], batch: &mut $batch) {
            const TABLE: [i8; 16] = $table;
            let table = table128(&TABLE);
            steps::<STEP, $size>(bytes, |blocks, unit| {
                nibble_kernels!($batch $size blocks batch unit);
                let step = nibbles::<$size>(blocks, $qs, $fifth, table);
                nibble_kernels!(store $batch batch unit step);
            });
        }
    )*};
    (Products $size:literal $blocks:ident $batch:ident $unit:ident) => {
        scales::<$size>($blocks, 0, &mut $batch.d, $unit);
    };
    (Flat $size:literal $blocks:ident $batch:ident $unit:ident) => {
        scales::<$size>($blocks, 0, &mut $batch.d, $unit);
        scales::<$size>($blocks, 2, &mut $batch.m, $unit);
    };
    (store Products $batch:ident $unit:ident $step:ident) => {
        store($batch, $unit, $step);
    };
    (store Flat $batch:ident $unit:ident $step:ident) => {
        store512(&mut $batch.sum[$unit..$unit + STEP], $step.0);
        store512(&mut $batch.sum_sq[$unit..$unit + STEP], $step.1);
    };
}

nibble_kernels! {
    q5_0 Products 22 6 Some(2), counting(-16);
    q5_1 Flat 24 8 Some(4), counting(0);
    iq4_nl Products 18 2 None, IQ4_VALUES;
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn mxfp4(bytes: &[u8], batch: &mut Products) {
    let table = table128(&E2M1_DOUBLED);
    steps::<STEP, 17>(bytes, |blocks, unit| {
        for (d, block) in batch.d[unit..unit + STEP].iter_mut().zip(blocks.as_chunks::<17>().0) {
            *d = mxfp4_scale(block[0]);
        }
        store(batch, unit, nibbles::<17>(blocks, 1, None, table));
    });
}

/// 32 signed bytes at `qs` in each of sixteen blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn bytes32<const SIZE: usize>(blocks: &[u8], qs: usize) -> Sixteen {
    let blocks = &blocks[..STEP * SIZE];
    let (zero, ones, flip) = (_mm512_setzero_si512(), _mm512_set1_epi8(1), _mm512_set1_epi8(-128));
    for line in (0..STEP * SIZE).step_by(64) {
        prefetch(blocks, line);
    }
    let (mut counts, mut squares) = ([zero; 8], [zero; 8]);
    for j in 0..8 {
        // The halves have blocks 8 (j / 4) + j % 4 and four further on, so that the sums come out in order.
        let first = (8 * (j / 4) + j % 4) * SIZE;
        let second = first + 4 * SIZE;
        let q = _mm512_castsi256_si512(load256(blocks, first + qs));
        let q = _mm512_inserti64x4::<1>(q, load256(blocks, second + qs));
        // The number of non-zero codes goes above bit 16, their sum (at most 2^12) below.
        let some = _mm512_dpbusd_epi32(zero, _mm512_min_epu8(q, ones), ones);
        counts[j] = _mm512_dpbusd_epi32(_mm512_slli_epi32::<16>(some), ones, q);
        // (q + 128) q, of which 128 q is taken off below.
        squares[j] = _mm512_dpbusd_epi32(zero, _mm512_xor_si512(q, flip), q);
    }
    let total = |v: [__m512i; 8]| {
        let (a, b) = (lane_sums([v[0], v[1], v[2], v[3]]), lane_sums([v[4], v[5], v[6], v[7]]));
        _mm512_add_epi32(_mm512_shuffle_i32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b))
    };
    let counts = total(counts);
    let sum = _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(counts));
    let some = _mm512_srai_epi32::<16>(_mm512_sub_epi32(counts, sum));
    let squares = _mm512_sub_epi32(total(squares), _mm512_slli_epi32::<7>(sum));
    (sum, squares, _mm512_sub_epi32(_mm512_set1_epi32(32), some))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn q8_0(bytes: &[u8], batch: &mut Products) {
    steps::<STEP, 34>(bytes, |blocks, unit| {
        scales::<34>(blocks, 0, &mut batch.d, unit);
        store(batch, unit, bytes32::<34>(blocks, 2));
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn q8_1(bytes: &[u8], batch: &mut Products) {
    steps::<STEP, 36>(bytes, |blocks, unit| {
        scales::<36>(blocks, 0, &mut batch.d, unit);
        store(batch, unit, bytes32::<36>(blocks, 4));
    });
}
