//! The graphs that llama.cpp reserves its compute buffer for, built as its own sources build them.
//!
//! Source: `llama-graph.cpp` and `models/*.cpp` of llama.cpp ([`crate::pins::LLAMA_CPP`]). Names of steps are those of the sources;
//! every graph was laid out and compared with what that build reserved (`fixtures/memory`, `docs/memory-model.md`).

mod attention;
pub(super) mod builder;
mod decoder;
mod delta_net;
mod experts;
mod feed_forward;
mod latent;
mod mamba;
mod norm;
mod short_convolution;

use super::graph::Graph;
use super::sheet::Sheet;
use crate::families;
use crate::families::graph::Graph as Known;
use crate::families::graph::{DECODER, Decoder, Norm};
use builder::{Builder, Setup};

/// The graph of a model.
///
/// # Errors
/// What is missing.
pub(super) fn graph(sheet: &Sheet<'_>, setup: Setup) -> Result<Graph, String> {
    let mut builder = Builder::new(sheet, setup);
    match families::by_gguf(sheet.arch).map_or(Known::Unknown, |row| row.graph) {
        Known::Unknown | Known::PositionBias => {
            return Err(format!("the graph of `{}` is not known", crate::text::escape(sheet.arch)));
        }
        Known::Decoder(traits) => decoder::build(&mut builder, &traits)?,
        Known::DeepSeek2 => latent::deepseek2(&mut builder)?,
        Known::Mamba => mamba::mamba(&mut builder, false)?,
        Known::Mamba2 => mamba::mamba(&mut builder, true)?,
        Known::FalconH1 => mamba::falcon_h1(&mut builder)?,
        Known::Qwen3Next => delta_net::qwen3next(&mut builder)?,
        Known::NemotronH => mamba::nemotron_h(&mut builder)?,
    }
    builder.finish()
}

/// A plain decoder's graph of the same tensors, for a family whose own is not known.
///
/// # Errors
/// What is missing.
pub(super) fn similar(sheet: &Sheet<'_>, setup: Setup) -> Result<Graph, String> {
    let norm = if sheet.shape("output_norm.bias").is_some() { Norm::Layer } else { Norm::Rms };
    let mut builder = Builder::new(sheet, setup);
    // A block of which half is known to run otherwise is not similar.
    let parallel_without_ffn_norm = match families::by_gguf(sheet.arch).map(|row| row.graph) {
        Some(Known::Decoder(traits)) => traits.parallel_without_ffn_norm,
        _ => false,
    };
    decoder::build(&mut builder, &Decoder { norm, parallel_without_ffn_norm, ..DECODER })?;
    builder.finish()
}
