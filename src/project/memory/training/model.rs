//! What a training projection reads of a model: its parameters tensor by tensor, and the dimensions of its layers.

use std::collections::BTreeMap;

use crate::checkpoint::{KvKind, KvLayers, ModelConfig, Part, Role};
use crate::project::input::{ProjectInput, ProjectTensor};

/// Parameters that are trained or frozen.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters {
    /// Logical parameters, each tied weight once.
    pub(super) params: u64,
    /// Logical shapes, outermost first, and parameters of the tensors.
    pub(super) tensors: Vec<(Vec<u64>, u64)>,
    /// Parameters of the largest module: a weight and its bias.
    pub(super) largest_module: u64,
    /// Of `params`, those of routed experts, where a ZeRO stage shards them over fewer devices than the rest; and over how many.
    pub(super) experts: Option<(u64, u64)>,
}

impl Parameters {
    pub(super) fn of(input: &ProjectInput<'_>) -> Self {
        let mut found = Self::default();
        let mut modules: BTreeMap<&str, u64> = BTreeMap::new();
        for t in trained(input) {
            let shape = t.logical_shape.as_ref().unwrap_or(&t.shape).to_vec();
            found.params = found.params.saturating_add(t.logical_params);
            found.tensors.push((shape, t.logical_params));
            let module = t.name.rsplit_once('.').map_or(&*t.name, |(module, _)| module);
            let sum = modules.entry(module).or_default();
            *sum = sum.saturating_add(t.logical_params);
        }
        found.largest_module = modules.into_values().max().unwrap_or(0);
        found
    }
}

/// The weights, without buffers, without bookkeeping, and without the second copy of a tied head.
pub(super) fn trained<'a, 'b>(input: &'b ProjectInput<'a>) -> impl Iterator<Item = &'b ProjectTensor<'a>> {
    let embedded = input.tensors.iter().any(|t| t.role == Role::Embedding);
    let tied = input.model.tied_embeddings == Some(true) && embedded;
    input.tensors.iter().filter(move |t| t.part == Part::Weight && t.logical_params > 0 && !(tied && t.role == Role::LmHead))
}

/// Dimensions of the decoder layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dims {
    pub(super) family: String,
    pub(super) layers: u64,
    pub(super) hidden: u64,
    pub(super) heads: u64,
    pub(super) kv_heads: u64,
    pub(super) head_dim: u64,
    pub(super) ffn: u64,
}

/// Dimensions beyond this are refused, which keeps the products of three of them within 128 bits.
const LARGEST: u64 = 1 << 32;

impl Dims {
    /// The dimensions of a decoder whose layers are all attention and a dense feed-forward block.
    ///
    /// # Errors
    /// What is missing, or what makes the known rules wrong for this model.
    pub(super) fn of(model: &ModelConfig) -> Result<Self, String> {
        if model.experts.is_some_and(|n| n > 0) {
            return Err("no published rule for the activations of a mixture of experts".to_owned());
        }
        if let KvLayers::Known(layers) = &model.kv {
            let known = |k| matches!(k, KvKind::Full | KvKind::Sliding | KvKind::Chunked | KvKind::Shared);
            if let Some(other) = layers.iter().find(|l| !known(l.kind)) {
                return Err(format!("no published rule for the activations of {} layers", other.kind.name()));
            }
        }
        let need = |value: Option<u64>, name: &str| match value {
            None | Some(0) => Err(format!("{name} is not known")),
            Some(n) if n > LARGEST => Err(format!("{name} of {n} is beyond any model")),
            Some(n) => Ok(n),
        };
        let hidden = need(model.hidden_size, "the hidden size")?;
        let heads = need(model.heads, "the number of attention heads")?;
        Ok(Self {
            family: model.family.clone().unwrap_or_default(),
            layers: need(model.layers, "the number of layers")?,
            hidden,
            heads,
            kv_heads: need(model.kv_heads.or(Some(heads)), "the number of KV heads")?,
            head_dim: need(model.head_dim.or(hidden.checked_div(heads)), "the head size")?,
            ffn: need(model.ffn_size, "the feed-forward width")?,
        })
    }
}

/// Rows of the output head: the stored embedding or head, else as configured.
pub(super) fn vocabulary(input: &ProjectInput<'_>) -> Option<u64> {
    let stored = |role| input.tensors.iter().find(|t| t.role == role && t.shape.len() == 2).and_then(|t| t.shape.first().copied());
    stored(Role::LmHead).or_else(|| stored(Role::Embedding)).or(input.model.vocab_size)
}
