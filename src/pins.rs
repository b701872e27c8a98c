//! The version of every program whose rules are written down here, once. Documentation, reports and scripts cite it.

/// llama.cpp: the converter, the quantizer, and memory as its programs allocate it.
pub const LLAMA_CPP: &str = "commit 0c1e570 (2026-10-01)";
/// The package whose source distribution holds that llama.cpp.
pub const LLAMA_CPP_PYTHON: &str = "0.3.36";
/// The transformers that llama.cpp's converter pins.
pub const CONVERTER_TRANSFORMERS: &str = "4.57.6";
/// Whose configuration classes are known.
pub const TRANSFORMERS: &str = "5.24.0";
