//! Which vector instructions a scan uses: the only place where the processor is asked.

use crate::error::{Error, ErrorKind, Result};

/// Vector instructions, by choice of the caller. Figures are the same with all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Simd {
    /// The best this processor has.
    #[default]
    Auto,
    /// What the compiler makes of plain code for the target it was given (SSE2 on x86-64, NEON on aarch64).
    Portable,
    /// AVX2 with F16C (x86-64).
    Avx2,
    /// AVX-512 F, BW, DQ and VL (x86-64).
    Avx512,
}

/// What [`Simd`] comes to on this processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Plain code.
    Portable,
}

impl Level {
    pub(super) fn choose(simd: Simd) -> Result<Self> {
        match simd {
            Simd::Auto | Simd::Portable => Ok(Self::Portable),
            _ => Err(Error::new(ErrorKind::Usage, "this processor has no such instructions")),
        }
    }
}
