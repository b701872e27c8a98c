//! Kernels for AVX2: the types with one scale for 32 codes, eight blocks at a time.
//!
//! No `unsafe`: intrinsics on registers are safe where their features are enabled; loads and stores are functions of `simd::memory`.

use std::arch::x86_64::*;

use super::fp4::{E2M1_DOUBLED, ue4m3_half};
use super::iq4::IQ4_VALUES;
use super::portable::mxfp4_scale;
use super::sums::{BATCH, Flat, Products, steps};
use crate::scan::simd::memory::{load128, load256, prefetch, store256, table128};

/// Blocks to a step.
const STEP: usize = 8;

/// The 16-bit words at `at` in each of eight blocks; 16 bytes from there are read.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn first_words<const SIZE: usize>(blocks: &[u8], at: usize) -> __m128i {
    let blocks = &blocks[..STEP * SIZE];
    let two = |i: usize| _mm_unpacklo_epi16(load128(blocks, i * SIZE + at), load128(blocks, (i + 1) * SIZE + at));
    let (first, last) = (_mm_unpacklo_epi32(two(0), two(2)), _mm_unpacklo_epi32(two(4), two(6)));
    _mm_unpacklo_epi64(first, last)
}

/// Eight f16 at `at`, one in each block.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn scales<const SIZE: usize>(blocks: &[u8], at: usize, out: &mut [f32], unit: usize) {
    let values = _mm256_cvtph_ps(first_words::<SIZE>(blocks, at));
    store256(&mut out[unit..unit + STEP], _mm256_castps_si256(values));
}

/// Adds up each 128-bit lane of four vectors: in the result, element `i` of a lane is the sum of that lane of vector `i`.
#[inline]
#[target_feature(enable = "avx2")]
fn lane_sums(v: [__m256i; 4]) -> __m256i {
    _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]))
}

/// Sums, sums of squares and numbers of zeros of eight blocks.
type Eight = (__m256i, __m256i, __m256i);

/// Eight blocks of 16 bytes of nibbles at `qs`, which `table` turns into codes. With `fifth`, where the fifth bits are, `table`
/// is that of a clear fifth bit, and a set one adds 16.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles<const SIZE: usize>(blocks: &[u8], qs: usize, fifth: Option<usize>, table: __m128i) -> Eight {
    let blocks = &blocks[..STEP * SIZE];
    let (table, low) = (_mm256_broadcastsi128_si256(table), _mm256_set1_epi8(15));
    let (ones, ones16, zero) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1), _mm256_setzero_si256());
    for line in (0..STEP * SIZE).step_by(64) {
        prefetch(blocks, line);
    }
    let (mut counts, mut squares) = ([zero; 4], [zero; 4]);
    for j in 0..4 {
        // The lanes have blocks j and j + 4, so that the lane sums come out in order.
        let at = [j * SIZE, (j + 4) * SIZE];
        let v = _mm256_castsi128_si256(load128(blocks, at[0] + qs));
        let v = _mm256_inserti128_si256::<1>(v, load128(blocks, at[1] + qs));
        let mut a = _mm256_shuffle_epi8(table, _mm256_and_si256(v, low));
        let mut b = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(v), low));
        if let Some(fifth) = fifth {
            let word = |from: usize| i32::from_le_bytes([blocks[from], blocks[from + 1], blocks[from + 2], blocks[from + 3]]);
            let words = [word(at[0] + fifth), word(at[1] + fifth)];
            let words = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(_mm_set1_epi32(words[0])), _mm_set1_epi32(words[1]));
            // Each byte of bits to eight bytes, of which each keeps its own.
            let mine = _mm256_set1_epi64x(0x8040_2010_0804_0201u64 as i64);
            let first = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0101_0101_0101_0101, 0));
            let second = _mm256_add_epi8(first, _mm256_set1_epi8(2));
            let set = |pick| {
                let bits = _mm256_and_si256(_mm256_shuffle_epi8(words, pick), mine);
                _mm256_and_si256(_mm256_cmpeq_epi8(bits, mine), _mm256_set1_epi8(16))
            };
            a = _mm256_add_epi8(a, set(first));
            b = _mm256_add_epi8(b, set(second));
        }
        let (size_a, size_b) = (_mm256_abs_epi8(a), _mm256_abs_epi8(b));
        let square = |v| _mm256_madd_epi16(_mm256_maddubs_epi16(v, v), ones16);
        squares[j] = _mm256_add_epi32(square(size_a), square(size_b));
        let sum = _mm256_add_epi16(_mm256_maddubs_epi16(ones, a), _mm256_maddubs_epi16(ones, b));
        let some = _mm256_add_epi8(_mm256_min_epu8(size_a, ones), _mm256_min_epu8(size_b, ones));
        // The number of non-zero codes goes above bit 16, their sum (at most 2^12) below.
        let some = _mm256_madd_epi16(_mm256_maddubs_epi16(ones, some), ones16);
        counts[j] = _mm256_add_epi32(_mm256_slli_epi32::<16>(some), _mm256_madd_epi16(sum, ones16));
    }
    let (counts, squares) = (lane_sums(counts), lane_sums(squares));
    let (sum, zeros) = split(counts);
    (sum, squares, zeros)
}

/// Eight blocks of 16 bytes of nibbles at `qs`: of each the sum of the nibbles (from bit 20 up) and that of the squares of what
/// `table` makes of them (below).
#[inline]
#[target_feature(enable = "avx2")]
fn plain_nibbles<const SIZE: usize>(blocks: &[u8], qs: usize, table: __m128i) -> __m256i {
    let blocks = &blocks[..STEP * SIZE];
    let (table, low) = (_mm256_broadcastsi128_si256(table), _mm256_set1_epi8(15));
    let zero = _mm256_setzero_si256();
    for line in (0..STEP * SIZE).step_by(64) {
        prefetch(blocks, line);
    }
    let mut both = [zero; 4];
    for (j, both) in both.iter_mut().enumerate() {
        // The lanes have blocks j and j + 4, so that the lane sums come out in order.
        let v = _mm256_castsi128_si256(load128(blocks, j * SIZE + qs));
        let v = _mm256_inserti128_si256::<1>(v, load128(blocks, (j + 4) * SIZE + qs));
        let (a, b) = (_mm256_and_si256(v, low), _mm256_and_si256(_mm256_srli_epi16::<4>(v), low));
        let sum = _mm256_sad_epu8(_mm256_add_epi8(a, b), zero);
        let (a, b) = (_mm256_shuffle_epi8(table, a), _mm256_shuffle_epi8(table, b));
        // Four squares of at most 2^12 to a word.
        let squares = _mm256_add_epi16(_mm256_maddubs_epi16(a, a), _mm256_maddubs_epi16(b, b));
        let squares = _mm256_madd_epi16(squares, _mm256_set1_epi16(1));
        *both = _mm256_add_epi32(_mm256_slli_epi64::<20>(sum), squares);
    }
    lane_sums(both)
}

/// What nibbles stand for in sums of squares if codes are nibbles less `less`, at most 8: their magnitude; but 64 for a code of 0.
/// The sum of squares of 32 codes is at most 2^11, so that the squares of 64 count the zeros from bit 12 up.
pub(super) const fn square_table(less: i8) -> [i8; 16] {
    let mut table = counting(-less);
    let mut i = 0;
    while i < 16 {
        table[i] = if table[i] == 0 { 64 } else { table[i].abs() };
        i += 1;
    }
    table
}

/// Codes are nibbles less 8.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn q4_0(bytes: &[u8], batch: &mut Products) {
    const TABLE: [i8; 16] = square_table(8);
    let table = table128(&TABLE);
    steps::<STEP, 18>(bytes, |blocks, unit| {
        scales::<18>(blocks, 0, &mut batch.d, unit);
        let both = plain_nibbles::<18>(blocks, 2, table);
        let sum = _mm256_sub_epi32(_mm256_srli_epi32::<20>(both), _mm256_set1_epi32(8 * 32));
        let zeros = _mm256_and_si256(_mm256_srli_epi32::<12>(both), _mm256_set1_epi32(0x3f));
        store(batch, unit, (sum, _mm256_and_si256(both, _mm256_set1_epi32(0xfff)), zeros));
    });
}

/// Codes are the nibbles.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn q4_1(bytes: &[u8], batch: &mut Flat) {
    const TABLE: [i8; 16] = counting(0);
    let table = table128(&TABLE);
    steps::<STEP, 20>(bytes, |blocks, unit| {
        scales::<20>(blocks, 0, &mut batch.d, unit);
        scales::<20>(blocks, 2, &mut batch.m, unit);
        let both = plain_nibbles::<20>(blocks, 4, table);
        store256(&mut batch.sum[unit..unit + STEP], _mm256_srli_epi32::<20>(both));
        store256(&mut batch.sum_sq[unit..unit + STEP], _mm256_and_si256(both, _mm256_set1_epi32(0xf_ffff)));
    });
}

/// Sums, and 32 less the counts above bit 16.
#[inline]
#[target_feature(enable = "avx2")]
fn split(counts: __m256i) -> (__m256i, __m256i) {
    let sum = _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(counts));
    let some = _mm256_srai_epi32::<16>(_mm256_sub_epi32(counts, sum));
    (sum, _mm256_sub_epi32(_mm256_set1_epi32(32), some))
}

/// Stores what a step gives.
#[inline]
#[target_feature(enable = "avx2")]
fn store(batch: &mut Products, unit: usize, (sum, sum_sq, zeros): Eight) {
    store256(&mut batch.sum[unit..unit + STEP], sum);
    store256(&mut batch.sum_sq[unit..unit + STEP], sum_sq);
    store256(&mut batch.zeros[unit..unit + STEP], zeros);
}

/// A table of nibbles from `first` upwards.
pub(super) const fn counting(first: i8) -> [i8; 16] {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        table[i] = first + i as i8;
        i += 1;
    }
    table
}

macro_rules! nibble_kernels {
    ($($name:ident $batch:ident $size:literal $qs:literal $fifth:expr, $table:expr;)*) => {$(
        #[target_feature(enable = "avx2,f16c")]
        pub(super) fn $name(bytes: &[u8], batch: &mut $batch) {
            const TABLE: [i8; 16] = $table;
            let table = table128(&TABLE);
            steps::<STEP, $size>(bytes, |blocks, unit| {
                scales::<$size>(blocks, 0, &mut batch.d, unit);
                let step = nibbles::<$size>(blocks, $qs, $fifth, table);
                nibble_kernels!(store $batch $size blocks batch unit step);
            });
        }
    )*};
    (store Products $size:literal $blocks:ident $batch:ident $unit:ident $step:ident) => {
        store($batch, $unit, $step);
    };
    (store Flat $size:literal $blocks:ident $batch:ident $unit:ident $step:ident) => {
        scales::<$size>($blocks, 2, &mut $batch.m, $unit);
        store256(&mut $batch.sum[$unit..$unit + STEP], $step.0);
        store256(&mut $batch.sum_sq[$unit..$unit + STEP], $step.1);
    };
}

nibble_kernels! {
    q5_0 Products 22 6 Some(2), counting(-16);
    q5_1 Flat 24 8 Some(4), counting(0);
    iq4_nl Products 18 2 None, IQ4_VALUES;
}

#[target_feature(enable = "avx2")]
pub(super) fn mxfp4(bytes: &[u8], batch: &mut Products) {
    let table = table128(&E2M1_DOUBLED);
    steps::<STEP, 17>(bytes, |blocks, unit| {
        for (d, block) in batch.d[unit..unit + STEP].iter_mut().zip(blocks.as_chunks::<17>().0) {
            *d = mxfp4_scale(block[0]);
        }
        store(batch, unit, nibbles::<17>(blocks, 1, None, table));
    });
}

/// Four units a block, eight bytes of nibbles each.
#[target_feature(enable = "avx2")]
pub(super) fn nvfp4(bytes: &[u8], batch: &mut Products) {
    let (table, low) = (_mm256_broadcastsi128_si256(table128(&E2M1_DOUBLED)), _mm256_set1_epi8(15));
    let (ones, ones16) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
    for (block, i) in bytes.as_chunks::<36>().0.iter().zip((0..BATCH).step_by(4)) {
        prefetch(block, 0);
        for (d, &scale) in batch.d[i..i + 4].iter_mut().zip(block) {
            *d = ue4m3_half(scale);
        }
        let v = load256(block, 4);
        let a = _mm256_shuffle_epi8(table, _mm256_and_si256(v, low));
        let b = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(v), low));
        let (size_a, size_b) = (_mm256_abs_epi8(a), _mm256_abs_epi8(b));
        let sum = _mm256_add_epi16(_mm256_maddubs_epi16(ones, a), _mm256_maddubs_epi16(ones, b));
        let sum_sq = _mm256_add_epi16(_mm256_maddubs_epi16(size_a, size_a), _mm256_maddubs_epi16(size_b, size_b));
        let some = _mm256_add_epi8(_mm256_min_epu8(size_a, ones), _mm256_min_epu8(size_b, ones));
        // Of each lane: the sums of its two units, then their sums of squares.
        let both = _mm256_hadd_epi32(_mm256_madd_epi16(sum, ones16), _mm256_madd_epi16(sum_sq, ones16));
        let (mut sums, mut counts) = ([0i32; 8], [0u32; 8]);
        store256(&mut sums, both);
        store256(&mut counts, _mm256_sad_epu8(some, _mm256_setzero_si256()));
        batch.sum[i..i + 4].copy_from_slice(&[sums[0], sums[1], sums[4], sums[5]]);
        batch.sum_sq[i..i + 4].copy_from_slice(&[sums[2] as u32, sums[3] as u32, sums[6] as u32, sums[7] as u32]);
        batch.zeros[i..i + 4].copy_from_slice(&[16 - counts[0], 16 - counts[2], 16 - counts[4], 16 - counts[6]]);
    }
}

/// 32 signed bytes at `qs` in each of eight blocks.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes32<const SIZE: usize>(blocks: &[u8], qs: usize) -> Eight {
    let blocks = &blocks[..STEP * SIZE];
    let (ones, ones16, zero) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1), _mm256_setzero_si256());
    for line in (0..STEP * SIZE).step_by(64) {
        prefetch(blocks, line);
    }
    let (mut counts, mut squares) = ([zero; 8], [zero; 8]);
    for j in 0..8 {
        let q = load256(blocks, j * SIZE + qs);
        let low = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(q));
        let high = _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(q));
        squares[j] = _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high));
        let sum = _mm256_madd_epi16(_mm256_add_epi16(low, high), ones16);
        // The number of non-zero codes goes above bit 16, their sum (at most 2^12) below.
        let some = _mm256_sad_epu8(_mm256_min_epu8(q, ones), zero);
        counts[j] = _mm256_add_epi32(_mm256_slli_epi32::<16>(some), sum);
    }
    let total = |v: [__m256i; 8]| {
        let (a, b) = (lane_sums([v[0], v[1], v[2], v[3]]), lane_sums([v[4], v[5], v[6], v[7]]));
        _mm256_add_epi32(_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b))
    };
    let (sum, zeros) = split(total(counts));
    (sum, total(squares), zeros)
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn q8_0(bytes: &[u8], batch: &mut Products) {
    steps::<STEP, 34>(bytes, |blocks, unit| {
        scales::<34>(blocks, 0, &mut batch.d, unit);
        store(batch, unit, bytes32::<34>(blocks, 2));
    });
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn q8_1(bytes: &[u8], batch: &mut Products) {
    steps::<STEP, 36>(bytes, |blocks, unit| {
        scales::<36>(blocks, 0, &mut batch.d, unit);
        store(batch, unit, bytes32::<36>(blocks, 4));
    });
}
