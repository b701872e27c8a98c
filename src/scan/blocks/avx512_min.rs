//! Kernels for AVX-512 with VNNI: superblocks of eight groups with a scale and a minimum each, sixteen superblocks at a time.
//!
//! The codes give the sum and the sum of squares of each group, in words; these are transposed, so that a vector has the same
//! groups of sixteen superblocks, and meet the scales there.

use std::arch::x86_64::*;

use super::sums::{Affine, steps};
use crate::scan::simd::memory::{load128, load256, load512, prefetch_far, store512};

/// Superblocks to a step.
const STEP: usize = 16;

/// The columns of four vectors of rows: in the result, element `i` of a lane of vector `k` is element `k` of that lane of vector `i`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn columns(v: [__m512i; 4]) -> [__m512i; 4] {
    let (a, b) = (_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpacklo_epi32(v[2], v[3]));
    let (c, d) = (_mm512_unpackhi_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[2], v[3]));
    [_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b), _mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d)]
}

/// Sums and sums of squares of the groups of a superblock, in words: lanes 0 and 1 add up to those of groups 0, 1, 4 and 5 (sums,
/// then squares), lanes 2 and 3 to those of groups 2, 3, 6 and 7. The halves of the codes are of groups 0 2, 1 3, 4 6, 5 7.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn groups(codes: [__m512i; 4]) -> __m512i {
    let zero = _mm512_setzero_si512();
    let sum = |q| _mm512_sad_epu8(q, zero);
    let low = _mm512_or_si512(sum(codes[0]), _mm512_slli_epi64::<16>(sum(codes[1])));
    let high = _mm512_or_si512(sum(codes[2]), _mm512_slli_epi64::<16>(sum(codes[3])));
    let sums = _mm512_or_si512(low, _mm512_slli_epi64::<32>(high));
    let square = |q| _mm512_dpbusd_epi32(zero, q, q);
    let low = _mm512_or_si512(square(codes[0]), _mm512_slli_epi32::<16>(square(codes[1])));
    let high = _mm512_or_si512(square(codes[2]), _mm512_slli_epi32::<16>(square(codes[3])));
    let squares = _mm512_add_epi16(_mm512_unpacklo_epi32(low, high), _mm512_unpackhi_epi32(low, high));
    _mm512_add_epi16(_mm512_unpacklo_epi64(sums, squares), _mm512_unpackhi_epi64(sums, squares))
}

/// Sixteen superblocks, which begin with d, dmin and twelve bytes of scales and minimums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn step<const SIZE: usize>(blocks: &[u8], batch: &mut Affine, unit: usize, codes: impl Fn(&[u8]) -> [__m512i; 4]) {
    let blocks = &blocks[..STEP * SIZE];
    let zero = _mm512_setzero_si512();
    let (mut headers, mut first, mut second) = ([zero; 4], [zero; 4], [zero; 4]);
    for j in 0..4 {
        // Lane l has superblock 4 l + j, so that the columns come out in order.
        let at = |l: usize| (4 * l + j) * SIZE;
        let v = _mm512_castsi128_si512(load128(blocks, at(0)));
        let v = _mm512_inserti32x4::<1>(v, load128(blocks, at(1)));
        let v = _mm512_inserti32x4::<2>(v, load128(blocks, at(2)));
        headers[j] = _mm512_inserti32x4::<3>(v, load128(blocks, at(3)));
        let one = |l: usize| {
            for line in (0..SIZE).step_by(64) {
                prefetch_far(blocks, at(l) + line);
            }
            groups(codes(&blocks[at(l)..][..SIZE]))
        };
        let pair = |a, b| {
            let (even, odd) = (_mm512_shuffle_i32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b));
            _mm512_add_epi16(even, odd)
        };
        let (a, b) = (pair(one(0), one(1)), pair(one(2), one(3)));
        first[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
        second[j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
    }
    let [head, a, b, c] = columns(headers);
    let half = |v| _mm512_castps_si512(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)));
    store512(&mut batch.d[unit..], half(head));
    store512(&mut batch.dmin[unit..], half(_mm512_srli_epi32::<16>(head)));
    // Six-bit fields: the last four groups have their lower four bits in `c`, the upper two above the first four groups.
    let (six, four, two) = (_mm512_set1_epi8(0x3f), _mm512_set1_epi8(0x0f), _mm512_set1_epi8(0x30));
    let top = |v| _mm512_and_si512(_mm512_srli_epi32::<2>(v), two);
    let scales = [_mm512_and_si512(a, six), _mm512_or_si512(_mm512_and_si512(c, four), top(a))];
    let upper = _mm512_and_si512(_mm512_srli_epi32::<4>(c), four);
    let mins = [_mm512_and_si512(b, six), _mm512_or_si512(upper, top(b))];
    for i in 0..2 {
        store512(&mut batch.scales[i][unit..], scales[i]);
        store512(&mut batch.mins[i][unit..], mins[i]);
    }
    let ([s01, s45, q01, q45], [s23, s67, q23, q67]) = (columns(first), columns(second));
    let (mut sum, mut sum_sq, mut cross) = (zero, zero, zero);
    let swap = _mm512_set1_epi32(0x0301_0200);
    let each = _mm512_add_epi8(swap, _mm512_broadcast_i32x4(_mm_set_epi32(0x0c0c_0c0c, 0x0808_0808, 0x0404_0404, 0)));
    for (i, sums, squares) in [(0, [s01, s23], [q01, q23]), (1, [s45, s67], [q45, q67])] {
        let (s, m) = (_mm512_shuffle_epi8(scales[i], each), _mm512_shuffle_epi8(mins[i], each));
        let word = _mm512_set1_epi16(0xff);
        for pair in 0..2 {
            let of = |v| if pair == 0 { _mm512_and_si512(v, word) } else { _mm512_srli_epi16::<8>(v) };
            let (s, m) = (of(s), of(m));
            sum = _mm512_dpwssd_epi32(sum, sums[pair], s);
            sum_sq = _mm512_dpwssd_epi32(sum_sq, squares[pair], _mm512_mullo_epi16(s, s));
            cross = _mm512_dpwssd_epi32(cross, sums[pair], _mm512_mullo_epi16(s, m));
        }
    }
    store512(&mut batch.sum[unit..], sum);
    store512(&mut batch.sum_sq[unit..], sum_sq);
    store512(&mut batch.cross[unit..], cross);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn q4_k(bytes: &[u8], batch: &mut Affine) {
    let low = _mm512_set1_epi8(15);
    let codes = |block: &[u8]| {
        let (a, b) = (load512(block, 16), load512(block, 80));
        let high = |v| _mm512_and_si512(_mm512_srli_epi16::<4>(v), low);
        [_mm512_and_si512(a, low), high(a), _mm512_and_si512(b, low), high(b)]
    };
    steps::<STEP, 144>(bytes, |blocks, unit| step::<144>(blocks, batch, unit, codes));
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn q5_k(bytes: &[u8], batch: &mut Affine) {
    let (low, fifth) = (_mm512_set1_epi8(15), _mm512_set1_epi8(16));
    // Bit g goes to bit 4; g is two more in the upper half.
    let rotate = |g: i32| _mm512_inserti64x4::<1>(_mm512_set1_epi32((36 - g) % 32), _mm256_set1_epi32((34 - g) % 32));
    let rotates = [rotate(0), rotate(1), rotate(4), rotate(5)];
    let codes = |block: &[u8]| {
        let (a, b) = (load512(block, 48), load512(block, 112));
        let bits = _mm512_broadcast_i64x4(load256(block, 16));
        let join = |v, rotate| {
            // Bits of the low nibble from one, the fifth from the other.
            let high = _mm512_and_si512(_mm512_rolv_epi32(bits, rotate), fifth);
            _mm512_or_si512(_mm512_and_si512(v, low), high)
        };
        let (c, d) = (_mm512_srli_epi16::<4>(a), _mm512_srli_epi16::<4>(b));
        [join(a, rotates[0]), join(c, rotates[1]), join(b, rotates[2]), join(d, rotates[3])]
    };
    steps::<STEP, 176>(bytes, |blocks, unit| step::<176>(blocks, batch, unit, codes));
}
