//! Layers one by one, and their fold into runs of like ones.

use super::{KvKind, KvLayer, StateSize};

/// A layer that caches keys and values of `heads` heads.
pub(super) fn attention(kind: KvKind, heads: u64, dim_k: u64, dim_v: u64, window: Option<u64>) -> KvLayer {
    KvLayer { kind, layers: 1, kv_heads: heads, head_dim_k: dim_k, head_dim_v: dim_v, window, state: None }
}

/// A layer that keeps a state of fixed size.
pub(super) fn recurrent(state: StateSize) -> KvLayer {
    KvLayer { kind: KvKind::Recurrent, layers: 1, kv_heads: 0, head_dim_k: 0, head_dim_v: 0, window: None, state: Some(state) }
}

/// A layer that keeps nothing of its own.
pub(super) fn nothing(kind: KvKind) -> KvLayer {
    KvLayer { kind, layers: 1, kv_heads: 0, head_dim_k: 0, head_dim_v: 0, window: None, state: None }
}

/// Runs of like layers: most layers first, then in the order met.
pub(super) fn fold(layers: impl IntoIterator<Item = KvLayer>) -> Vec<KvLayer> {
    let mut runs: Vec<KvLayer> = Vec::new();
    for layer in layers {
        // Real models have a handful of kinds, so a walk is cheaper than a map and keeps the order.
        match runs.iter_mut().find(|run| KvLayer { layers: layer.layers, ..**run } == layer) {
            Some(run) => run.layers = run.layers.saturating_add(layer.layers),
            None => runs.push(layer),
        }
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.layers));
    runs
}

/// The state of a Mamba-1 layer: `(conv_kernel - 1) x inner` and `inner x state` (vLLM `mamba_utils.py`).
pub(super) fn mamba1(conv_kernel: u64, inner: u64, state: u64) -> Option<StateSize> {
    mamba2(conv_kernel, inner, 0, state)
}

/// The state of a Mamba-2 layer: `(conv_kernel - 1) x (inner + 2 x groups x state)` and `inner x state`.
pub(super) fn mamba2(conv_kernel: u64, inner: u64, groups: u64, state: u64) -> Option<StateSize> {
    let channels = inner.checked_add(groups.checked_mul(state)?.checked_mul(2)?)?;
    Some(StateSize { conv: conv_kernel.checked_sub(1)?.checked_mul(channels)?, recurrent: inner.checked_mul(state)? })
}
