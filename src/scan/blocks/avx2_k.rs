//! Kernels for AVX2: superblocks of 256 codes under small integer scales, 32 codes at a time.

use std::arch::x86_64::*;

use super::f16_at;
use super::iq4::{IQ4_VALUES, iq4_xs_scales};
use super::k_quants::q3_scales;
use super::portable::{q2_header, q6_k_scale, q6_k_scales};
use super::sums::{Affine, BATCH, Products};
use crate::scan::simd::memory::{load128, load256, prefetch_far, table128};

/// Requests the memory of a superblock some way ahead.
#[inline(always)]
fn prefetch_block(block: &[u8]) {
    for at in (0..block.len()).step_by(64) {
        prefetch_far(block, at);
    }
}

/// The sum of eight 32-bit integers.
#[inline]
#[target_feature(enable = "avx2")]
fn total(v: __m256i) -> i32 {
    let v = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let v = _mm_add_epi32(v, _mm_shuffle_epi32::<0b00_00_11_10>(v));
    _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32::<0b00_00_00_01>(v)))
}

/// Bytes that pick group `a` in the lower lane and `b` in the upper.
#[inline]
#[target_feature(enable = "avx2")]
fn lanes(a: i8, b: i8) -> __m256i {
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(_mm_set1_epi8(a)), _mm_set1_epi8(b))
}

/// The smallest and the largest of sixteen signed bytes.
#[inline]
#[target_feature(enable = "sse4.1")]
pub(super) fn span(scales: __m128i) -> (i32, i32) {
    let least = |v| _mm_cvtsi128_si32(_mm_minpos_epu16(_mm_min_epu8(v, _mm_srli_epi16::<8>(v)))) & 0xff;
    let biased = _mm_xor_si128(scales, _mm_set1_epi8(-128));
    (least(biased) - 128, 127 - least(_mm_xor_si128(biased, _mm_set1_epi8(-1))))
}

/// Sums so far of a superblock with signed group scales.
struct Signed {
    scales: __m256i,
    sum: __m256i,
    sum_sq: __m256i,
    zeros: u32,
    negative: u32,
}

impl Signed {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(scales: &[i8; 16]) -> Self {
        let zero = _mm256_setzero_si256();
        Signed { scales: _mm256_broadcastsi128_si256(table128(scales)), sum: zero, sum_sq: zero, zeros: 0, negative: 0 }
    }

    /// 32 codes, each `bias` too high to be positive; the lanes are of groups `a` and `b`.
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn add(&mut self, codes: __m256i, bias: i8, a: i8, b: i8) {
        let bias = _mm256_set1_epi8(bias);
        let scales = _mm256_shuffle_epi8(self.scales, lanes(a, b));
        // All bytes of a lane are alike, so that any two of them make its scale in 16 bits.
        let wide = _mm256_srai_epi16::<8>(scales);
        let q = _mm256_sub_epi8(codes, bias);
        let size = _mm256_abs_epi8(q);
        // The sum of two codes without their bias, of at most 8 bits each, times a scale of 8 bits.
        let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
        self.sum = _mm256_add_epi32(self.sum, _mm256_madd_epi16(pairs, wide));
        let squares = _mm256_madd_epi16(_mm256_maddubs_epi16(size, size), _mm256_mullo_epi16(wide, wide));
        self.sum_sq = _mm256_add_epi32(self.sum_sq, squares);
        let zero = _mm256_or_si256(_mm256_cmpeq_epi8(codes, bias), _mm256_cmpeq_epi8(scales, _mm256_setzero_si256()));
        let zero = _mm256_movemask_epi8(zero);
        let sign = _mm256_movemask_epi8(_mm256_xor_si256(q, scales));
        self.zeros += zero.count_ones();
        self.negative += (zero & sign).count_ones();
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(self, batch: &mut Products, i: usize) {
        (batch.sum[i], batch.sum_sq[i]) = (total(self.sum), total(self.sum_sq) as u32);
        (batch.zeros[i], batch.negative[i]) = (self.zeros, self.negative);
    }
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn q6_k(bytes: &[u8], batch: &mut Products) {
    let (low, pair) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
    for (i, block) in bytes.as_chunks::<210>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        let scales = q6_k_scales(block);
        batch.d[i] = q6_k_scale(block, &scales);
        let (least, most) = span(table128(&scales));
        batch.range(i, least, most, -32, 31);
        let mut sums = Signed::new(&scales);
        for half in 0..2 {
            let (first, second) = (load256(block, 64 * half), load256(block, 64 * half + 32));
            let high = load256(block, 128 + 32 * half);
            let g = 8 * half as i8;
            let join = |nibbles, high| _mm256_or_si256(_mm256_and_si256(nibbles, low), _mm256_and_si256(high, pair));
            sums.add(join(first, _mm256_slli_epi16::<4>(high)), 32, g, g + 1);
            sums.add(join(second, _mm256_slli_epi16::<2>(high)), 32, g + 2, g + 3);
            sums.add(join(_mm256_srli_epi16::<4>(first), high), 32, g + 4, g + 5);
            sums.add(join(_mm256_srli_epi16::<4>(second), _mm256_srli_epi16::<2>(high)), 32, g + 6, g + 7);
        }
        sums.store(batch, i);
    }
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn q3_k(bytes: &[u8], batch: &mut Products) {
    let (two, four) = (_mm256_set1_epi8(3), _mm256_set1_epi8(4));
    for (i, block) in bytes.as_chunks::<110>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        batch.d[i] = f16_at(block, 108);
        let scales = q3_scales(&block[96..108]);
        let (least, most) = span(table128(&scales));
        batch.range(i, least, most, -4, 3);
        let mut sums = Signed::new(&scales);
        let high = load256(block, 0);
        for half in 0..2 {
            let pairs = load256(block, 32 + 32 * half);
            for j in 0..4 {
                // Bit 4 half + j goes to bit 2.
                let bit = _mm256_set1_epi8((1u8 << (4 * half + j)) as i8);
                let set = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(high, bit), bit), four);
                let code = _mm256_and_si256(_mm256_srl_epi16(pairs, _mm_cvtsi32_si128(2 * j as i32)), two);
                let g = 8 * half as i8 + 2 * j as i8;
                sums.add(_mm256_or_si256(code, set), 4, g, g + 1);
            }
        }
        sums.store(batch, i);
    }
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn iq4_xs(bytes: &[u8], batch: &mut Products) {
    let (low, flip) = (_mm256_set1_epi8(15), _mm256_set1_epi8(-128));
    let table = _mm256_xor_si256(_mm256_broadcastsi128_si256(table128(&IQ4_VALUES)), flip);
    for (i, block) in bytes.as_chunks::<136>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        batch.d[i] = f16_at(block, 0);
        let eight = iq4_xs_scales(block);
        batch.bound(i, &eight, -127, 113);
        let mut scales = [0; 16];
        scales[..8].copy_from_slice(&eight);
        let mut sums = Signed::new(&scales);
        for c in 0..4 {
            let nibbles = load256(block, 8 + 32 * c);
            let g = 2 * c as i8;
            sums.add(_mm256_shuffle_epi8(table, _mm256_and_si256(nibbles, low)), -128, g, g + 1);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(nibbles), low);
            sums.add(_mm256_shuffle_epi8(table, high), -128, g, g + 1);
        }
        sums.store(batch, i);
    }
}

/// Sums so far of a superblock whose groups have scales and minimums.
struct Minimum {
    scales: __m256i,
    mins: __m256i,
    sum: __m256i,
    sum_sq: __m256i,
    cross: __m256i,
}

impl Minimum {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(packed: __m128i) -> Self {
        let (zero, four) = (_mm256_setzero_si256(), _mm256_set1_epi8(15));
        let packed = _mm256_broadcastsi128_si256(packed);
        let mins = _mm256_and_si256(_mm256_srli_epi16::<4>(packed), four);
        Minimum { scales: _mm256_and_si256(packed, four), mins, sum: zero, sum_sq: zero, cross: zero }
    }

    /// 32 codes; the lanes are of groups `a` and `b`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, q: __m256i, a: i8, b: i8) {
        let pick = lanes(a, b);
        let scales = _mm256_shuffle_epi8(self.scales, pick);
        let wide = _mm256_srli_epi16::<8>(scales);
        let mins = _mm256_srli_epi16::<8>(_mm256_shuffle_epi8(self.mins, pick));
        let scaled = _mm256_maddubs_epi16(q, scales);
        self.sum = _mm256_add_epi32(self.sum, _mm256_madd_epi16(scaled, _mm256_set1_epi16(1)));
        self.cross = _mm256_add_epi32(self.cross, _mm256_madd_epi16(scaled, mins));
        let squares = _mm256_madd_epi16(_mm256_maddubs_epi16(q, q), _mm256_mullo_epi16(wide, wide));
        self.sum_sq = _mm256_add_epi32(self.sum_sq, squares);
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(self, batch: &mut Affine, i: usize) {
        (batch.sum[i], batch.sum_sq[i], batch.cross[i]) = (total(self.sum), total(self.sum_sq), total(self.cross));
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn q2_k(bytes: &[u8], batch: &mut Affine) {
    let two = _mm256_set1_epi8(3);
    for (i, block) in bytes.as_chunks::<84>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        q2_header(block, batch, i);
        let mut sums = Minimum::new(load128(block, 0));
        for half in 0..2 {
            let pairs = load256(block, 16 + 32 * half);
            for j in 0..4 {
                let g = 8 * half as i8 + 2 * j as i8;
                sums.add(_mm256_and_si256(_mm256_srl_epi16(pairs, _mm_cvtsi32_si128(2 * j)), two), g, g + 1);
            }
        }
        sums.store(batch, i);
    }
}
