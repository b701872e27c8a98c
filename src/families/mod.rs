//! What is known of model families, as data: what their classes fill in, which tensors their GGUF files have and how those are named.
//!
//! Tables that other programs own are in `generated`, made from their packages by `scripts/generate/check --write`; nobody types them.

pub mod defaults;
mod generated;
pub mod gguf_names;

pub use generated::token_classes;
