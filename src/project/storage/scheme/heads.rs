//! Output heads that share the input embedding and are not stored: their module exists all the same.

use crate::checkpoint::{Part, Role};
use crate::project::input::ProjectInput;

/// A head that is the embedding.
#[derive(Debug, Clone, Copy)]
pub(super) struct TiedHead {
    /// Its module.
    pub(super) name: &'static str,
    /// Index of the embedding.
    pub(super) embedding: usize,
    /// Whether its bias too is another tensor's.
    pub(super) bias: bool,
}

/// Heads of encoders for masked language models: a tensor that gives them away, and the linear layer that is tied (transformers
/// 5.23, `BertLMPredictionHead`, `RobertaLMHead`).
const ENCODER_HEADS: &[(&str, &str)] = &[("cls.predictions.bias", "cls.predictions.decoder"), ("lm_head.bias", "lm_head.decoder")];

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
        if let Some((_, name)) = ENCODER_HEADS.iter().find(|(sign, name)| named(sign) && !named(&format!("{name}.weight"))) {
            return Some(Self { name, embedding, bias: true });
        }
        // An encoder without such a head has none.
        let encoder = input.tensors.iter().any(|t| t.name.contains("encoder.layer."));
        (!encoder).then_some(Self { name: "lm_head", embedding, bias: false })
    }
}
