//! Kernels for AVX-512 with VNNI: superblocks of 256 codes under small integer scales, 64 codes at a time.
//!
//! A vector of 64 codes has a group (or half of one) in each 128-bit lane; the groups' scales are spread to match.

use std::arch::x86_64::*;

use super::avx2_k::span;
use super::f16_at;
use super::iq4::{IQ4_VALUES, iq4_xs_scales};
use super::k_quants::q3_scales;
use super::portable::q2_header;
use super::sums::{Affine, BATCH, Products};
use crate::scan::simd::memory::{load128, load256, load512, prefetch_far, table128};

/// Requests the memory of a superblock some way ahead.
#[inline(always)]
pub(super) fn prefetch_block(block: &[u8]) {
    for at in (0..block.len()).step_by(64) {
        prefetch_far(block, at);
    }
}

/// Bytes that pick, for each lane, the group of that number.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn lanes(groups: [i8; 4]) -> __m512i {
    let lane = |g: i8| _mm_set1_epi8(g);
    let v = _mm512_castsi128_si512(lane(groups[0]));
    let v = _mm512_inserti32x4::<1>(v, lane(groups[1]));
    let v = _mm512_inserti32x4::<2>(v, lane(groups[2]));
    _mm512_inserti32x4::<3>(v, lane(groups[3]))
}

/// Sums so far of a superblock with signed group scales.
struct Signed {
    scales: __m512i,
    squares: __m512i,
    sum: __m512i,
    offset: __m512i,
    sum_sq: __m512i,
    zeros: u32,
    negative: u32,
}

impl Signed {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn new(scales: &[i8; 16]) -> Self {
        let scales = table128(scales);
        let wide = _mm256_cvtepi8_epi16(scales);
        let zero = _mm512_setzero_si512();
        Signed {
            scales: _mm512_broadcast_i32x4(scales),
            squares: _mm512_castsi256_si512(_mm256_mullo_epi16(wide, wide)),
            sum: zero,
            offset: zero,
            sum_sq: zero,
            zeros: 0,
            negative: 0,
        }
    }

    /// 64 codes, each `bias` too high to be positive; lane `l` is of group `groups[l]`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn add(&mut self, codes: __m512i, bias: i8, groups: [i8; 4]) {
        let bias = _mm512_set1_epi8(bias);
        let pick = lanes(groups);
        let scales = _mm512_shuffle_epi8(self.scales, pick);
        let squares = _mm512_permutexvar_epi16(_mm512_and_si512(pick, _mm512_set1_epi16(15)), self.squares);
        let q = _mm512_sub_epi8(codes, bias);
        let size = _mm512_abs_epi8(q);
        self.sum = _mm512_dpbusd_epi32(self.sum, codes, scales);
        self.offset = _mm512_dpbusd_epi32(self.offset, bias, scales);
        self.sum_sq = _mm512_dpwssd_epi32(self.sum_sq, _mm512_maddubs_epi16(size, size), squares);
        let zero = _mm512_cmpeq_epi8_mask(codes, bias) | _mm512_testn_epi8_mask(scales, scales);
        let sign = _mm512_movepi8_mask(_mm512_xor_si512(q, scales));
        self.zeros += zero.count_ones();
        self.negative += (zero & sign).count_ones();
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn store(self, batch: &mut Products, i: usize) {
        batch.sum[i] = _mm512_reduce_add_epi32(_mm512_sub_epi32(self.sum, self.offset));
        batch.sum_sq[i] = _mm512_reduce_add_epi32(self.sum_sq) as u32;
        (batch.zeros[i], batch.negative[i]) = (self.zeros, self.negative);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,popcnt")]
pub(super) fn q3_k(bytes: &[u8], batch: &mut Products) {
    let (two, four) = (_mm512_set1_epi8(3), _mm512_set1_epi8(4));
    for (i, block) in bytes.as_chunks::<110>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        batch.d[i] = f16_at(block, 108);
        let scales = q3_scales(&block[96..108]);
        let (least, most) = span(table128(&scales));
        batch.range(i, least, most, -4, 3);
        let mut sums = Signed::new(&scales);
        let pairs = load512(block, 32);
        let high = load256(block, 0);
        for j in 0..4u32 {
            // Bit j (of the second half: 4 + j) goes to bit 2.
            let rotate =
                _mm512_inserti64x4::<1>(_mm512_set1_epi32(((34 - j) % 32) as i32), _mm256_set1_epi32(((30 - j) % 32) as i32));
            let bit = _mm512_and_si512(_mm512_rolv_epi32(_mm512_broadcast_i64x4(high), rotate), four);
            let code = _mm512_and_si512(_mm512_srl_epi16(pairs, _mm_cvtsi32_si128(2 * j as i32)), two);
            let g = 2 * j as i8;
            sums.add(_mm512_or_si512(code, bit), 4, [g, g + 1, g + 8, g + 9]);
        }
        sums.store(batch, i);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,popcnt")]
pub(super) fn iq4_xs(bytes: &[u8], batch: &mut Products) {
    let (low, flip) = (_mm512_set1_epi8(15), _mm512_set1_epi8(-128));
    let table = _mm512_xor_si512(_mm512_broadcast_i32x4(table128(&IQ4_VALUES)), flip);
    for (i, block) in bytes.as_chunks::<136>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        batch.d[i] = f16_at(block, 0);
        let eight = iq4_xs_scales(block);
        batch.bound(i, &eight, -127, 113);
        let mut scales = [0; 16];
        scales[..8].copy_from_slice(&eight);
        let mut sums = Signed::new(&scales);
        for half in 0..2 {
            let nibbles = load512(block, 8 + 64 * half);
            let g = 4 * half as i8;
            let groups = [g, g + 1, g + 2, g + 3];
            sums.add(_mm512_shuffle_epi8(table, _mm512_and_si512(nibbles, low)), -128, groups);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(nibbles), low);
            sums.add(_mm512_shuffle_epi8(table, high), -128, groups);
        }
        sums.store(batch, i);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn q2_k(bytes: &[u8], batch: &mut Affine) {
    const SQUARES: [i8; 16] = [0, 1, 4, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let two = _mm512_set1_epi8(3);
    let table = _mm512_broadcast_i32x4(table128(&SQUARES));
    for (i, block) in bytes.as_chunks::<84>().0.iter().take(BATCH).enumerate() {
        prefetch_block(block);
        q2_header(block, batch, i);
        let (packed, four) = (load128(block, 0), _mm_set1_epi8(15));
        let (scales, mins) = (_mm_and_si128(packed, four), _mm_and_si128(_mm_srli_epi16::<4>(packed), four));
        let wide = _mm256_cvtepu8_epi16(scales);
        let products = |other| _mm512_broadcast_i32x4(_mm256_cvtepi16_epi8(_mm256_mullo_epi16(wide, other)));
        let (squares, crosses) = (products(wide), products(_mm256_cvtepu8_epi16(mins)));
        let scales = _mm512_broadcast_i32x4(scales);
        let pairs = load512(block, 16);
        let zero = _mm512_setzero_si512();
        let (mut sum, mut sum_sq, mut cross) = (zero, zero, zero);
        for j in 0..4i8 {
            let q = _mm512_and_si512(_mm512_srl_epi16(pairs, _mm_cvtsi32_si128(2 * i32::from(j))), two);
            let pick = lanes([2 * j, 2 * j + 1, 2 * j + 8, 2 * j + 9]);
            sum = _mm512_dpbusd_epi32(sum, q, _mm512_shuffle_epi8(scales, pick));
            sum_sq = _mm512_dpbusd_epi32(sum_sq, _mm512_shuffle_epi8(squares, pick), _mm512_shuffle_epi8(table, q));
            cross = _mm512_dpbusd_epi32(cross, _mm512_shuffle_epi8(crosses, pick), q);
        }
        batch.sum[i] = _mm512_reduce_add_epi32(sum);
        batch.sum_sq[i] = _mm512_reduce_add_epi32(sum_sq);
        batch.cross[i] = _mm512_reduce_add_epi32(cross);
    }
}
