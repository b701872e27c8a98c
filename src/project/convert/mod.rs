//! What `convert_hf_to_gguf.py` writes from a Hugging Face folder, to the byte.
//!
//! Source: the converter and gguf-py at llama.cpp ([`crate::pins::LLAMA_CPP`]), with transformers
//! ([`crate::pins::CONVERTER_TRANSFORMERS`]), which it pins. `fixtures/convert` and `fixtures/families` hold folders and what those
//! programs wrote of them.

mod candidates;
mod class_tokens;
mod common_keys;
mod conversion;
mod converted;
mod dequantize;
mod family;
mod general;
mod header;
mod hparams;
mod keys;
mod loaded;
mod model_keys;
mod nvfp4;
mod sentencepiece;
mod source_names;
mod special_tokens;
mod stop;
mod tensors;
mod tokens;
mod typed;
mod types;
mod vocab;
#[cfg(test)]
mod tests;

pub(crate) use candidates::gguf_candidates;
pub(crate) use converted::{ConvertedModel, convert};
pub(crate) use header::{ConvertedHeader, header};
pub(crate) use stop::Stop;
pub(crate) use typed::Typed;
