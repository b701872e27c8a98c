//! Why a tensor has its type: the rule that decided it, with its figures.

use super::category::{Category, why_kept};
use super::mixture::MixtureTensor;
use super::mixture::Model;
use super::target::QuantTarget;
use crate::dtype::Dtype;
use crate::project::quantize::options::Options;

/// What the rules read besides the tensor itself.
pub(super) struct Figures<'f> {
    pub(super) model: Model<'f>,
    pub(super) target: QuantTarget,
    pub(super) options: &'f Options,
    /// No `output.weight` is there.
    pub(super) tied: bool,
    /// Tensors of the value category.
    pub(super) values: u64,
    /// The tensor's place in the running counter of its category, or its layer.
    pub(super) place: Option<u64>,
}

fn name(dtype: Dtype) -> &'static str {
    dtype.name().unwrap_or("an unknown type")
}

/// The rule in words; `wanted` is what it asked for where the rows do not fill its blocks.
pub(super) fn rule(tensor: &MixtureTensor<'_>, got: Dtype, wanted: Option<Dtype>, figures: &Figures<'_>) -> String {
    let Some(base) = figures.target.base() else { return "copy: every tensor stays as it is stored".to_owned() };
    if let Some(why) = why_kept(tensor.name, tensor.dims) {
        return format!("llama-quantize leaves it as stored ({}): {why}", name(got));
    }
    if figures.target.is_plain() {
        return format!("a target without a mixture: everything that may be quantized becomes {}", name(base));
    }
    let mut text = by_category(tensor, base, wanted.unwrap_or(got), figures);
    if let Some(wanted) = wanted {
        let block = wanted.info().map_or(1, |row| row.elements_per_block);
        text.push_str(&format!(
            "; its rows of {} do not fill blocks of {block}, so {} falls back to {}",
            tensor.row,
            name(wanted),
            name(got)
        ));
    }
    text
}

fn by_category(tensor: &MixtureTensor<'_>, base: Dtype, wanted: Dtype, figures: &Figures<'_>) -> String {
    let (options, category) = (figures.options, tensor.category);
    let model = &figures.model;
    let is_output = category == Category::Output || (figures.tied && category == Category::Embedding);
    let given = match category {
        Category::Embedding if options.embedding_type.is_some() => Some("--token-embedding-type"),
        _ if is_output && options.output_type.is_some() => Some("--output-tensor-type"),
        _ => None,
    };
    if let Some(option) = given {
        return format!("{option} says {}", name(wanted));
    }
    if options.pure_mixture {
        return format!("--pure: the base type {} for all", name(base));
    }
    if is_output {
        let what = if category == Category::Output { "the output" } else { "the embedding, which is the output too (tied)" };
        return format!("{what}: kept at {} where the base type is {}", name(wanted), name(base));
    }
    let what = match category {
        Category::Embedding => "the token embedding",
        Category::V => "an attention value matrix",
        Category::K => "an attention key matrix",
        Category::Q => "an attention query matrix",
        Category::O => "an attention output matrix",
        Category::Up => "a feed-forward up matrix",
        Category::Gate => "a feed-forward gate matrix",
        Category::Down => "a feed-forward down matrix",
        _ => "a matrix of no category of its own",
    };
    let mut facts = Vec::new();
    if let Some(i) = figures.place {
        let n = if category == Category::V { figures.values } else { model.layers };
        facts.push(format!(
            "number {i} of {n}, counted from 0; the first eighth ends at {}, the last begins at {}",
            n / 8,
            7 * n / 8
        ));
    }
    if category == Category::V && model.kv_heads > 0 {
        facts.push(format!("{} query heads for each of {} key/value heads", model.heads / model.kv_heads, model.kv_heads));
    }
    if model.experts > 0 && matches!(category, Category::V | Category::K | Category::O | Category::Down) {
        facts.push(format!("{} experts", model.experts));
    }
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join("; ")) };
    if wanted == base {
        format!("{what}{facts}: the base type {}", name(base))
    } else {
        format!("{what}{facts}: the mixture gives {} in place of the base type {}", name(wanted), name(base))
    }
}
