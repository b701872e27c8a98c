//! Output heads that share the input embedding and are not stored: their module exists all the same.

use std::borrow::Cow;

use crate::checkpoint::{Part, Role};
use crate::project::input::ProjectInput;

/// An output head that shares the tensor of the input embedding.
#[derive(Debug, Clone)]
pub(super) struct TiedHead {
    /// Name of its module.
    pub(super) name: Cow<'static, str>,
    /// Index of the embedding among the checkpoint's tensors.
    pub(super) embedding: usize,
    /// Whether its bias too is another tensor's.
    pub(super) bias: bool,
}

/// A head of another name than `lm_head`.
struct Other {
    /// A tensor that gives it away, by the end of its name.
    sign: &'static str,
    /// The linear layer that is tied, in its place.
    module: &'static str,
    /// Whether its bias is the sign, under another name.
    bias: bool,
}

/// Heads of encoders for masked language models (transformers 5.23: `BertLMPredictionHead`, `RobertaLMHead`, `AlbertMLMHead`,
/// `ElectraForMaskedLM`, `DistilBertForMaskedLM`; the first of `SIGNS` that a file has counts).
const SIGNS: &[Other] = &[
    Other { sign: "cls.predictions.bias", module: "cls.predictions.decoder", bias: true },
    Other { sign: "lm_predictions.lm_head.bias", module: "lm_predictions.lm_head.dense", bias: true },
    Other { sign: "generator_lm_head.bias", module: "generator_lm_head", bias: false },
    Other { sign: "vocab_projector.bias", module: "vocab_projector", bias: false },
    Other { sign: "predictions.bias", module: "predictions.decoder", bias: true },
];

/// Heads without a tensor of their own, by class.
const BY_CLASS: &[(&str, &str)] = &[
    ("BioGptForCausalLM", "output_projection"),
    ("GteForMaskedLM", "lm_head.decoder"),
    ("ModernBertForMaskedLM", "decoder"),
    ("NomicBertForMaskedLM", "cls.predictions.decoder"),
    ("TrOCRForCausalLM", "output_projection"),
    ("WhisperForCausalLM", "proj_out"),
    ("WhisperForConditionalGeneration", "proj_out"),
    ("XLMWithLMHeadModel", "pred_layer.proj"),
];

impl TiedHead {
    /// The head of a checkpoint whose configuration ties it; `None` without one.
    pub(super) fn of(input: &ProjectInput<'_>) -> Option<Self> {
        if input.model.tied_embeddings != Some(true) {
            return None;
        }
        let named = |name: &str| input.tensors.iter().any(|t| t.name == name);
        let embedding = input.tensors.iter().position(|t| {
            t.role == Role::Embedding && t.part == Part::Weight && t.shape.len() == 2 && t.name.ends_with(".weight")
        })?;
        let class = input.model.architecture.as_deref().unwrap_or_default();
        let other = BY_CLASS.iter().find(|(of, _)| *of == class).map(|(_, name)| (Cow::Borrowed(*name), false));
        if let Some((name, bias)) = other.or_else(|| signed(input)).filter(|(name, _)| !named(&format!("{name}.weight"))) {
            return Some(Self { name, embedding, bias });
        }
        // RoBERTa and its like: a dense layer in the head, and the decoder behind it.
        if named("lm_head.bias") && named("lm_head.dense.weight") && !named("lm_head.decoder.weight") {
            return Some(Self { name: Cow::Borrowed("lm_head.decoder"), embedding, bias: true });
        }
        // An encoder without such a head has none.
        let encoder = input.tensors.iter().any(|t| t.name.contains("encoder.layer."));
        (!encoder && makes_text(class)).then_some(Self { name: Cow::Borrowed("lm_head"), embedding, bias: false })
    }
}

/// Whether a class has an output head, as far as its name tells.
fn makes_text(class: &str) -> bool {
    !["Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice"]
        .iter()
        .any(|end| class.ends_with(end) && !class.ends_with("LMHeadModel"))
}

/// The head that a tensor gives away, and whether its bias is another tensor's.
fn signed(input: &ProjectInput<'_>) -> Option<(Cow<'static, str>, bool)> {
    SIGNS.iter().find_map(|other| {
        let start = input.tensors.iter().find_map(|t| {
            let start = t.name.strip_suffix(other.sign)?;
            (start.is_empty() || start.ends_with('.')).then(|| start.to_owned())
        })?;
        Some((
            if start.is_empty() { Cow::Borrowed(other.module) } else { Cow::Owned(format!("{start}{}", other.module)) },
            other.bias,
        ))
    })
}
