//! Tables made from other people's packages. Each file says what made it; `scripts/generate/check` makes them anew and compares.

#[rustfmt::skip]
pub(super) mod gguf_architectures;
#[rustfmt::skip]
pub(super) mod gguf_tensors;
#[rustfmt::skip]
pub mod token_classes;
