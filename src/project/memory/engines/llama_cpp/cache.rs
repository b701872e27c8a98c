//! KV cache and recurrent state, to the byte.
//!
//! Source: `llama-kv-cache.cpp`, `llama-memory-recurrent.cpp`, `llama_init_from_model` of llama.cpp ([`crate::pins::LLAMA_CPP`]);
//! every row of `fixtures/memory` was printed by that build.

use super::cells::Cells;
use crate::checkpoint::{KvKind, KvLayer};
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{KvFigure, Sum, product};
use crate::project::plan::Basis;

/// Whether settings are ones that llama.cpp starts with.
///
/// # Errors
/// What it says.
fn accepted(layers: &[KvLayer], settings: &Settings) -> Result<(), String> {
    let (k, v) = (settings.kv_k, settings.kv_v);
    if layers.iter().any(|l| l.kind == KvKind::Mla) && k != v {
        return Err(format!("model does not support different K ({}) and V ({}) cache types", k.name(), v.name()));
    }
    if v.is_quantized() && !settings.flash_attention {
        return Err("quantized V cache requires flash_attn to be enabled".to_owned());
    }
    for (which, small, t) in [("K", "k", k), ("V", "v", v)] {
        let width = |l: &KvLayer| if which == "K" { l.head_dim_k } else { l.head_dim_v };
        if let Some(l) = layers.iter().find(|l| !width(l).is_multiple_of(t.block())) {
            let (name, block, width) = (t.name(), t.block(), width(l));
            return Err(format!("{which} cache type {name} with block size {block} does not divide n_embd_head_{small}={width}"));
        }
    }
    Ok(())
}

/// The cache of the layers that attend.
///
/// # Errors
/// Why llama.cpp would refuse, or why it is not known.
pub(super) fn kv_cache(layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
    accepted(layers, settings)?;
    let cells = Cells::of(settings)?;
    let (k, v) = (settings.kv_k, settings.kv_v);
    // Without flash attention V is stored transposed, and every layer takes the widest one's room.
    let widest = layers.iter().map(|l| l.kv_heads.saturating_mul(l.head_dim_v)).max().unwrap_or(0);
    let mut sum = Sum::default();
    for layer in layers {
        let kept = match layer.kind {
            KvKind::Full | KvKind::Mla => cells.full,
            KvKind::Sliding | KvKind::Chunked => cells.windowed(layer.window.ok_or("a windowed layer without a window")?),
            // Cross-attention reads the encoder's output each time; nothing is kept of it.
            KvKind::Shared | KvKind::None | KvKind::Recurrent | KvKind::Cross => continue,
        };
        let wide_k = layer.kv_heads.checked_mul(layer.head_dim_k).and_then(|n| k.bytes(n)).ok_or("too large")?;
        let wide_v = match (layer.kind, settings.flash_attention) {
            (KvKind::Mla, _) => 0,
            (_, true) => layer.kv_heads.checked_mul(layer.head_dim_v).and_then(|n| v.bytes(n)).ok_or("too large")?,
            (_, false) => v.bytes(widest).ok_or("too large")?,
        };
        let bytes = product(&[kept, cells.streams, layer.layers, wide_k.saturating_add(wide_v)]);
        let text = format!("{} layers x {kept} cells x {} streams x ({wide_k} + {wide_v}) B", layer.layers, cells.streams);
        sum.add(bytes, bytes, text);
    }
    if sum.is_empty() {
        sum.add(0, 0, format!("none: {}", layers.iter().map(layers_text).collect::<Vec<_>>().join(" + ")));
    }
    sum.figure(Basis::Exact, " (llama-kv-cache.cpp)")
}

/// The state of the recurrent layers: 32-bit floats, one a sequence, whatever the context; `None` where there are no such layers.
///
/// # Errors
/// Why llama.cpp would refuse.
pub(super) fn recurrent_state(layers: &[KvLayer], settings: &Settings) -> Result<Option<KvFigure>, String> {
    accepted(layers, settings)?;
    Cells::of(settings)?;
    let mut sum = Sum::default();
    for layer in layers.iter().filter(|l| l.kind == KvKind::Recurrent) {
        let state = layer.state.ok_or("a recurrent layer without a state")?;
        let one = u128::from(state.conv) + u128::from(state.recurrent);
        let bytes = one.saturating_mul(product(&[4, layer.layers, settings.seqs]));
        let text = format!("{} layers x {} sequences x ({} + {}) x 4 B", layer.layers, settings.seqs, state.conv, state.recurrent);
        sum.add(bytes, bytes, text);
    }
    if sum.is_empty() { Ok(None) } else { sum.figure(Basis::Exact, " (llama-memory-recurrent.cpp)").map(Some) }
}

/// `layers x what`, for formula texts.
fn layers_text(layer: &KvLayer) -> String {
    let heads = format!("{} x ({} + {})", layer.kv_heads, layer.head_dim_k, layer.head_dim_v);
    format!("{} {} layers x {heads}", layer.layers, layer.kind.name())
}
