//! Reading every weight.

pub mod kernel;
mod simd_quant;
