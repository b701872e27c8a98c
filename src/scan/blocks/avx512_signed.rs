//! Q6_K for AVX-512 with VNNI, sixteen superblocks at a time.
//!
//! A lane of 128 bits has the codes of one group. They give its sum and sum of squares, in words, which then meet the scales.

use std::arch::x86_64::*;

use super::avx2_k::span;
use super::portable::{self, q6_k_scale, q6_k_scales};
use super::sums::{BATCH, Products};
use crate::scan::simd::memory::{halves256, load128, load256, load512, prefetch_far, store512};

/// Superblocks to a step.
const STEP: usize = 16;
/// Bytes of a superblock.
const SIZE: usize = 210;

/// Sums and sums of squares of a superblock under the groups' scales: of each lane two parts of both. Counts zeros, and those
/// under a negative scale.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,popcnt")]
fn superblock(block: &[u8], scales: __m128i) -> (__m512i, u32, u32) {
    let (low, pair, bias) = (_mm512_set1_epi8(15), _mm512_set1_epi8(0x30), _mm512_set1_epi8(32));
    // Bits 2k and 2k+1 of quarter k go to bits 4 and 5.
    let first = _mm512_inserti64x4::<1>(_mm512_set1_epi32(4), _mm256_set1_epi32(2));
    let second = _mm512_inserti64x4::<1>(_mm512_setzero_si512(), _mm256_set1_epi32(30));
    let join = |nibbles, high| _mm512_or_si512(_mm512_and_si512(nibbles, low), _mm512_and_si512(high, pair));
    let half = |h: usize| {
        let (nibbles, high) = (load512(block, 64 * h), _mm512_broadcast_i64x4(load256(block, 128 + 32 * h)));
        let upper = _mm512_srli_epi16::<4>(nibbles);
        [join(nibbles, _mm512_rolv_epi32(high, first)), join(upper, _mm512_rolv_epi32(high, second))]
    };
    let ([a, b], [c, d]) = (half(0), half(1));
    let zero = _mm512_setzero_si512();
    let sum = |q| _mm512_sad_epu8(q, zero);
    let lower = _mm512_or_si512(sum(a), _mm512_slli_epi64::<16>(sum(b)));
    let upper = _mm512_or_si512(sum(c), _mm512_slli_epi64::<16>(sum(d)));
    let sums = _mm512_or_si512(lower, _mm512_slli_epi64::<32>(upper));
    let square = |q| {
        let size = _mm512_abs_epi8(_mm512_sub_epi8(q, bias));
        _mm512_dpbusd_epi32(zero, size, size)
    };
    let lower = _mm512_or_si512(square(a), _mm512_slli_epi32::<16>(square(b)));
    let upper = _mm512_or_si512(square(c), _mm512_slli_epi32::<16>(square(d)));
    let squares = _mm512_add_epi16(_mm512_unpacklo_epi32(lower, upper), _mm512_unpackhi_epi32(lower, upper));
    let both = _mm512_add_epi16(_mm512_unpacklo_epi64(sums, squares), _mm512_unpackhi_epi64(sums, squares));
    // The sums are those of codes 32 too high.
    let both = _mm512_sub_epi16(both, _mm512_set4_epi32(0, 0, 0x0200_0200, 0x0200_0200));
    // Lane l has groups l, l + 4, l + 8 and l + 12: their scales, then the squares of these.
    let order = _mm_set_epi32(0x0f0b_0703, 0x0e0a_0602, 0x0d09_0501, 0x0c08_0400);
    let words = _mm512_castsi256_si512(_mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, order)));
    let words = _mm512_permutexvar_epi64(_mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0), words);
    let weights = _mm512_mask_mullo_epi16(words, 0xf0f0_f0f0, words, words);
    let spread = _mm512_broadcast_i32x4(scales);
    let lanes = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(lanes(0, 1)), lanes(2, 3));
    let (mut zeros, mut negative) = (0, 0);
    for (k, q) in [a, b, c, d].into_iter().enumerate() {
        let pick = _mm512_add_epi8(lanes, _mm512_set1_epi8(4 * k as i8));
        let under = _mm512_movepi8_mask(_mm512_shuffle_epi8(spread, pick));
        let none = _mm512_cmpeq_epi8_mask(q, bias);
        zeros += none.count_ones();
        negative += (none & under).count_ones();
    }
    (_mm512_madd_epi16(both, weights), zeros, negative)
}

/// The byte `a` in the lower lane and `b` in the upper.
#[inline]
#[target_feature(enable = "avx2")]
fn lanes(a: i8, b: i8) -> __m256i {
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(_mm_set1_epi8(a)), _mm_set1_epi8(b))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,popcnt")]
fn step(blocks: &[u8], batch: &mut Products, unit: usize) {
    let blocks = &blocks[..STEP * SIZE];
    let mut rows = [_mm512_setzero_si512(); 4];
    let mut without = 0u32;
    for (j, row) in rows.iter_mut().enumerate() {
        let mut one = |l: usize| {
            // Lane l has superblock 4 l + j, so that the columns come out in order.
            let at = (4 * l + j) * SIZE;
            for line in (0..SIZE).step_by(64) {
                prefetch_far(blocks, at + line);
            }
            let (block, i) = (&blocks[at..][..SIZE], unit + 4 * l + j);
            let scales = load128(block, 192);
            let (sums, zeros, negative) = superblock(block, scales);
            let (least, most) = span(scales);
            batch.range(i, least, most, -32, 31);
            (batch.zeros[i], batch.negative[i]) = (zeros, negative);
            let zero_scale = _mm_movemask_epi8(_mm_cmpeq_epi8(scales, _mm_setzero_si128())) != 0;
            without |= u32::from(zero_scale | (most == -128)) << (4 * l + j);
            sums
        };
        let mut two = |l: usize| {
            let (a, b) = (one(l), one(l + 1));
            let (even, odd) = (_mm512_shuffle_i32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b));
            _mm512_add_epi32(even, odd)
        };
        let (a, b) = (two(0), two(2));
        let (even, odd) = (_mm512_shuffle_i32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b));
        *row = _mm512_add_epi32(even, odd);
    }
    let halves = |a, b| (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let ((sum01, sq01), (sum23, sq23)) = (halves(rows[0], rows[1]), halves(rows[2], rows[3]));
    let total = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    store512(&mut batch.sum[unit..], total(sum01, sum23));
    store512(&mut batch.sum_sq[unit..], total(sq01, sq23));
    let mut bits = [0u16; STEP];
    for (bits, block) in bits.iter_mut().zip(blocks.as_chunks::<SIZE>().0) {
        *bits = u16::from_le_bytes([block[208], block[209]]);
    }
    let d = _mm512_cvtph_ps(halves256(&bits));
    store512(&mut batch.d[unit..], _mm512_castps_si512(d));
    // Groups with a zero scale have other zeros; and there is the superblock whose integers do not fit.
    while without != 0 {
        let k = without.trailing_zeros() as usize;
        without &= without - 1;
        if let Some(block) = blocks.as_chunks::<SIZE>().0.get(k) {
            batch.d[unit + k] = q6_k_scale(block, &q6_k_scales(block));
            portable::q6_k_zeros(block, batch, unit + k);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,popcnt")]
pub(super) fn q6_k(bytes: &[u8], batch: &mut Products) {
    for (blocks, unit) in bytes.chunks(STEP * SIZE).zip((0..BATCH).step_by(STEP)) {
        if blocks.len() == STEP * SIZE {
            step(blocks, batch, unit);
        } else {
            let mut padded = [0; STEP * SIZE];
            padded[..blocks.len()].copy_from_slice(blocks);
            step(&padded, batch, unit);
        }
    }
}
