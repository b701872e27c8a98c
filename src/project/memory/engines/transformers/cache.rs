//! The dynamic cache of transformers: one tensor per layer that grows by a token.
//!
//! Source: transformers 5.23 `cache_utils.py`; a windowed layer keeps as many tokens as its window has.

use crate::checkpoint::{KvKind, KvLayer};
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{KvFigure, Sum, product};
use crate::project::memory::torch::states::encoder_tokens;
use crate::project::plan::Basis;

/// The cache after a whole context.
///
/// # Errors
/// Why transformers would refuse, or why it is not known.
pub(super) fn kv(layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
    if settings.kv_k != settings.kv_v {
        return Err("transformers caches keys and values in one type".to_owned());
    }
    let mut sum = Sum::default();
    let mut basis = Basis::Exact;
    for layer in layers {
        let (least, most) = match layer.kind {
            KvKind::Full | KvKind::Mla => (settings.ctx, settings.ctx),
            KvKind::Sliding | KvKind::Chunked => {
                let window = layer.window.ok_or("a windowed layer without a window")?;
                // The newest token of a full window may or may not be kept between steps.
                basis = Basis::Estimate;
                (settings.ctx.min(window), settings.ctx.min(window))
            }
            KvKind::Cross => encoder_tokens(layer, settings),
            KvKind::Shared | KvKind::None | KvKind::Recurrent => continue,
        };
        let width = match layer.kind {
            KvKind::Mla => layer.head_dim_k,
            _ => layer.head_dim_k.saturating_add(layer.head_dim_v),
        };
        let token = layer.kv_heads.checked_mul(width).and_then(|n| settings.kv_k.bytes(n)).ok_or("too large")?;
        let of = |kept| product(&[kept, token, layer.layers, settings.seqs]);
        let kept = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let (layers, seqs) = (layer.layers, settings.seqs);
        sum.add(of(least), of(most), format!("{layers} layers x {kept} tokens x {token} B x {seqs} sequences"));
    }
    sum.figure(basis, " (cache_utils.py)")
}
