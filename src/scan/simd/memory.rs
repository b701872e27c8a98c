//! Loads, stores and prefetches for kernels written with intrinsics. Bounds are checked; the compiler removes the checks it can
//! prove.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
pub(in crate::scan) use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub(in crate::scan) use x86_64::*;

/// Distance in bytes from the block being read to the memory that is requested.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const AHEAD: usize = 4096;

/// Element of four bytes for which any bits are a value, so that a vector may be stored into a slice of it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(in crate::scan) trait Word {}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Word for i32 {}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Word for u32 {}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Word for f32 {}

/// Requests `len` bytes from twice [`AHEAD`] past an offset: while sums are folded, memory would be idle otherwise.
#[inline(always)]
pub(in crate::scan) fn prefetch_range(bytes: &[u8], at: usize, len: usize) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    for line in (at..at + len).step_by(64) {
        prefetch_far(bytes, line + AHEAD);
    }
    let _ = (bytes, at, len);
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    use super::{AHEAD, Word};

    /// Loads sixteen bytes from an offset.
    #[inline(always)]
    pub(in crate::scan) fn load128(bytes: &[u8], at: usize) -> __m128i {
        let bytes = &bytes[at..at + 16];
        // SAFETY: the slice has 16 bytes; the load requires no alignment, and SSE2 is part of x86-64.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    /// Loads a table of sixteen bytes.
    #[inline(always)]
    pub(in crate::scan) fn table128(table: &[i8; 16]) -> __m128i {
        // SAFETY: as for `load128`.
        unsafe { _mm_loadu_si128(table.as_ptr().cast()) }
    }

    /// Loads sixteen 16-bit words.
    #[inline]
    #[target_feature(enable = "avx")]
    pub(in crate::scan) fn halves256(words: &[u16; 16]) -> __m256i {
        // SAFETY: the array has 32 bytes; the load requires no alignment.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    /// Loads 32 bytes from an offset.
    #[inline]
    #[target_feature(enable = "avx")]
    pub(in crate::scan) fn load256(bytes: &[u8], at: usize) -> __m256i {
        let bytes = &bytes[at..at + 32];
        // SAFETY: the slice has 32 bytes; the load requires no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    /// Loads 64 bytes from an offset.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in crate::scan) fn load512(bytes: &[u8], at: usize) -> __m512i {
        let bytes = &bytes[at..at + 64];
        // SAFETY: the slice has 64 bytes; the load requires no alignment.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    /// Stores to the first 16 elements.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in crate::scan) fn store512<T: Word>(out: &mut [T], v: __m512i) {
        let out = &mut out[..16];
        // SAFETY: the slice has 16 elements of four bytes, of which any bits are a value; the store requires no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), v) }
    }

    /// Stores to the first 8 elements.
    #[inline]
    #[target_feature(enable = "avx")]
    pub(in crate::scan) fn store256<T: Word>(out: &mut [T], v: __m256i) {
        let out = &mut out[..8];
        // SAFETY: the slice has 8 elements of four bytes, of which any bits are a value; the store requires no alignment.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), v) }
    }

    /// Requests the line at an offset, which may lie outside `bytes`: a prefetch is a hint and reads nothing.
    #[inline(always)]
    pub(in crate::scan) fn prefetch_at(bytes: &[u8], at: usize) {
        // SAFETY: SSE is part of x86-64, and the instruction neither faults nor changes anything that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(at).cast()) }
    }

    /// Requests the line [`AHEAD`] of an offset.
    #[inline(always)]
    pub(in crate::scan) fn prefetch(bytes: &[u8], at: usize) {
        prefetch_at(bytes, at + AHEAD);
    }

    /// Requests the same line into the second-level cache, for superblocks, which request many lines at once.
    #[inline(always)]
    pub(in crate::scan) fn prefetch_far(bytes: &[u8], at: usize) {
        // SAFETY: as for `prefetch_at`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(at + AHEAD).cast()) }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::*;
    use std::arch::asm;

    use super::{AHEAD, Word};
    pub(in crate::scan) use crate::scan::simd::neon::{eight, four, widen_halves};

    /// Loads sixteen bytes from an offset.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in crate::scan) fn load128(bytes: &[u8], at: usize) -> uint8x16_t {
        let bytes = &bytes[at..at + 16];
        // SAFETY: the slice has 16 bytes; the load requires no alignment.
        unsafe { vld1q_u8(bytes.as_ptr()) }
    }

    /// Loads a table of sixteen bytes.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in crate::scan) fn table128(table: &[i8; 16]) -> int8x16_t {
        // SAFETY: as for `load128`.
        unsafe { vld1q_s8(table.as_ptr()) }
    }

    /// Stores to the first 4 elements.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in crate::scan) fn store128<T: Word>(out: &mut [T], v: uint32x4_t) {
        let out = &mut out[..4];
        // SAFETY: the slice has 4 elements of four bytes, of which any bits are a value; they are aligned as any such element is.
        unsafe { vst1q_u32(out.as_mut_ptr().cast(), v) }
    }

    /// Requests the line at an offset, which may lie outside `bytes`: a prefetch is a hint and reads nothing.
    #[inline(always)]
    pub(in crate::scan) fn prefetch_at(bytes: &[u8], at: usize) {
        let from = bytes.as_ptr().wrapping_add(at).addr();
        // SAFETY: a prefetch of any address is allowed; it never faults, and changes nothing that a program can see.
        unsafe { asm!("prfm pldl1keep, [{}]", in(reg) from, options(nomem, nostack, preserves_flags)) }
    }

    /// Requests the line [`AHEAD`] of an offset. The distance is that of x86-64; no other was tried.
    #[inline(always)]
    pub(in crate::scan) fn prefetch_far(bytes: &[u8], at: usize) {
        prefetch_at(bytes, at + AHEAD);
    }
}
