//! A configuration that the weights contradict: the cache is refused, not guessed from either.

use crate::checkpoint::{DecoderStack, KvKind, KvLayers, ModelConfig, Named, Role};
use crate::project::input::ProjectInput;

/// Rows of key projections must be key/value heads x head size, where every layer that attends has the same. The model with its cache
/// refused, where they are not.
pub(super) fn refuted(input: &ProjectInput<'_>) -> Option<ModelConfig> {
    let KvLayers::Known(layers) = &input.model.kv else { return None };
    let plain = |kind| matches!(kind, KvKind::Full | KvKind::Sliding | KvKind::Chunked | KvKind::Shared);
    if !layers.iter().all(|l| plain(l.kind)) {
        return None;
    }
    let mut shapes = layers.iter().filter(|l| l.kv_heads > 0).map(|l| (l.kv_heads, l.head_dim_k));
    let (kv_heads, head_dim) = shapes.next()?;
    if shapes.any(|other| other != (kv_heads, head_dim)) {
        return None;
    }
    let named = input.tensors.iter().map(|t| Named { name: &t.name, role: t.role, shape: &t.shape });
    let stack = DecoderStack::find(named, input.model)?;
    let is_key = |name: &str| matches!(stack.inside(name), Some((_, "self_attn.k_proj.weight" | "attn_k.weight")));
    let keys = input.tensors.iter().find(|t| t.role == Role::Attention && is_key(&t.name))?;
    let shape = match &keys.logical_shape {
        Some(shape) => shape,
        None if keys.packed => return None,
        None => &keys.shape,
    };
    let &[rows, _] = shape.as_slice() else { return None };
    if kv_heads.checked_mul(head_dim) == Some(rows) {
        return None;
    }
    let (of, name) = (input.model.origin.as_deref().unwrap_or("the configuration"), &keys.name);
    let reason =
        format!("`{name}` has {rows} rows, {of} says {kv_heads} key/value heads x head_dim {head_dim}: one of them is wrong");
    Some(ModelConfig { kv: KvLayers::Refused(reason), ..input.model.clone() })
}
