//! Kernels for AVX2: superblocks of eight groups with a scale and a minimum each, eight superblocks at a time.
//!
//! The codes give the sum and the sum of squares of each group, in words; these are transposed, so that a vector has the same
//! groups of eight superblocks, and meet the scales there.

use std::arch::x86_64::*;

use super::sums::{Affine, steps};
use crate::scan::simd::memory::{load128, load256, prefetch_far, store256};

/// Superblocks to a step.
const STEP: usize = 8;

/// The columns of four vectors of rows: in the result, element `i` of a lane of vector `k` is element `k` of that lane of vector `i`.
#[inline]
#[target_feature(enable = "avx2")]
fn columns(v: [__m256i; 4]) -> [__m256i; 4] {
    let (a, b) = (_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpacklo_epi32(v[2], v[3]));
    let (c, d) = (_mm256_unpackhi_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[2], v[3]));
    [_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b), _mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d)]
}

/// Sums, then sums of squares, of four groups, in words; both lanes have a part of each.
#[inline]
#[target_feature(enable = "avx2")]
fn groups(codes: [__m256i; 4]) -> __m256i {
    let sum = |q| _mm256_sad_epu8(q, _mm256_setzero_si256());
    let low = _mm256_or_si256(sum(codes[0]), _mm256_slli_epi64::<16>(sum(codes[1])));
    let high = _mm256_or_si256(sum(codes[2]), _mm256_slli_epi64::<16>(sum(codes[3])));
    let sums = _mm256_or_si256(low, _mm256_slli_epi64::<32>(high));
    let square = |q| _mm256_madd_epi16(_mm256_maddubs_epi16(q, q), _mm256_set1_epi16(1));
    let low = _mm256_or_si256(square(codes[0]), _mm256_slli_epi32::<16>(square(codes[1])));
    let high = _mm256_or_si256(square(codes[2]), _mm256_slli_epi32::<16>(square(codes[3])));
    let squares = _mm256_add_epi16(_mm256_unpacklo_epi32(low, high), _mm256_unpackhi_epi32(low, high));
    _mm256_add_epi16(_mm256_unpacklo_epi64(sums, squares), _mm256_unpackhi_epi64(sums, squares))
}

/// Eight superblocks, which begin with d, dmin and twelve bytes of scales and minimums. `codes(block, c)` are the codes of groups
/// 2 c and 2 c + 1.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn step<const SIZE: usize>(blocks: &[u8], batch: &mut Affine, unit: usize, codes: impl Fn(&[u8], usize) -> [__m256i; 2]) {
    let blocks = &blocks[..STEP * SIZE];
    let zero = _mm256_setzero_si256();
    let (mut headers, mut first, mut second) = ([zero; 4], [zero; 4], [zero; 4]);
    for j in 0..4 {
        // The lanes have superblocks j and j + 4, so that the columns come out in order.
        let at = [j * SIZE, (j + 4) * SIZE];
        headers[j] = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(load128(blocks, at[0])), load128(blocks, at[1]));
        let one = |at: usize| {
            for line in (0..SIZE).step_by(64) {
                prefetch_far(blocks, at + line);
            }
            let block = &blocks[at..][..SIZE];
            let ([a, b], [c, d]) = (codes(block, 0), codes(block, 2));
            let first = groups([a, b, c, d]);
            let ([a, b], [c, d]) = (codes(block, 1), codes(block, 3));
            let second = groups([a, b, c, d]);
            let (even, odd) = (_mm256_permute2x128_si256::<0x20>(first, second), _mm256_permute2x128_si256::<0x31>(first, second));
            _mm256_add_epi16(even, odd)
        };
        let (a, b) = (one(at[0]), one(at[1]));
        first[j] = _mm256_permute2x128_si256::<0x20>(a, b);
        second[j] = _mm256_permute2x128_si256::<0x31>(a, b);
    }
    let [head, a, b, c] = columns(headers);
    let half = |v: __m256i| {
        let words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        _mm256_castps_si256(_mm256_cvtph_ps(words))
    };
    store256(&mut batch.d[unit..], half(_mm256_and_si256(head, _mm256_set1_epi32(0xffff))));
    store256(&mut batch.dmin[unit..], half(_mm256_srli_epi32::<16>(head)));
    // Six-bit fields: the last four groups have their lower four bits in `c`, the upper two above the first four groups.
    let (six, four, two) = (_mm256_set1_epi8(0x3f), _mm256_set1_epi8(0x0f), _mm256_set1_epi8(0x30));
    let top = |v| _mm256_and_si256(_mm256_srli_epi32::<2>(v), two);
    let scales = [_mm256_and_si256(a, six), _mm256_or_si256(_mm256_and_si256(c, four), top(a))];
    let upper = _mm256_and_si256(_mm256_srli_epi32::<4>(c), four);
    let mins = [_mm256_and_si256(b, six), _mm256_or_si256(upper, top(b))];
    for i in 0..2 {
        store256(&mut batch.scales[i][unit..], scales[i]);
        store256(&mut batch.mins[i][unit..], mins[i]);
    }
    let ([s01, s45, q01, q45], [s23, s67, q23, q67]) = (columns(first), columns(second));
    let (mut sum, mut sum_sq, mut cross) = (zero, zero, zero);
    let each = _mm_set_epi32(0x0f0d_0e0c, 0x0b09_0a08, 0x0705_0604, 0x0301_0200);
    let each = _mm256_broadcastsi128_si256(each);
    for (i, sums, squares) in [(0, [s01, s23], [q01, q23]), (1, [s45, s67], [q45, q67])] {
        let (s, m) = (_mm256_shuffle_epi8(scales[i], each), _mm256_shuffle_epi8(mins[i], each));
        let word = _mm256_set1_epi16(0xff);
        for pair in 0..2 {
            let of = |v| if pair == 0 { _mm256_and_si256(v, word) } else { _mm256_srli_epi16::<8>(v) };
            let (s, m) = (of(s), of(m));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(sums[pair], s));
            sum_sq = _mm256_add_epi32(sum_sq, _mm256_madd_epi16(squares[pair], _mm256_mullo_epi16(s, s)));
            cross = _mm256_add_epi32(cross, _mm256_madd_epi16(sums[pair], _mm256_mullo_epi16(s, m)));
        }
    }
    store256(&mut batch.sum[unit..], sum);
    store256(&mut batch.sum_sq[unit..], sum_sq);
    store256(&mut batch.cross[unit..], cross);
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn q4_k(bytes: &[u8], batch: &mut Affine) {
    let low = _mm256_set1_epi8(15);
    let codes = |block: &[u8], c: usize| {
        let v = load256(block, 16 + 32 * c);
        [_mm256_and_si256(v, low), _mm256_and_si256(_mm256_srli_epi16::<4>(v), low)]
    };
    steps::<STEP, 144>(bytes, |blocks, unit| step::<144>(blocks, batch, unit, codes));
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn q5_k(bytes: &[u8], batch: &mut Affine) {
    let (low, fifth) = (_mm256_set1_epi8(15), _mm256_set1_epi8(16));
    let codes = |block: &[u8], c: usize| {
        let (v, bits) = (load256(block, 48 + 32 * c), load256(block, 16));
        let join = |v, g: usize| {
            let bit = _mm256_set1_epi8((1u8 << g) as i8);
            let set = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bits, bit), bit), fifth);
            _mm256_or_si256(_mm256_and_si256(v, low), set)
        };
        [join(v, 2 * c), join(_mm256_srli_epi16::<4>(v), 2 * c + 1)]
    };
    steps::<STEP, 176>(bytes, |blocks, unit| step::<176>(blocks, batch, unit, codes));
}
