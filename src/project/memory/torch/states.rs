//! What recurrent layers and cross-attention keep in the engines built on torch.

use crate::checkpoint::{KvKind, KvLayer};
use crate::project::memory::request::Settings;
use crate::project::memory::terms::{KvFigure, Sum, product};
use crate::project::plan::Basis;

/// The states of the recurrent layers: 16-bit at least; the recurrent part in 32-bit floats at most (vLLM `mamba_utils.py`: the dtype
/// is the model's or `mamba_ssm_cache_dtype`). `kept` says by what the tail of the convolution may grow: transformers keeps `kernel`
/// columns where `kernel - 1` would do, at most twice as many.
///
/// # Errors
/// Where a layer has no state, or it does not fit 64 bits.
pub(in crate::project::memory) fn recurrent(
    layers: &[KvLayer],
    settings: &Settings,
    kept: u64,
) -> Result<Option<KvFigure>, String> {
    let mut sum = Sum::default();
    for layer in layers.iter().filter(|l| l.kind == KvKind::Recurrent) {
        let state = layer.state.ok_or("a recurrent layer without a state")?;
        let (conv, own) = (u128::from(state.conv), u128::from(state.recurrent));
        let times = product(&[layer.layers, settings.seqs]);
        let low = times.saturating_mul(conv.saturating_add(own).saturating_mul(2));
        let high = times.saturating_mul((2 * u128::from(kept) * conv).saturating_add(own.saturating_mul(4)));
        let text = format!(
            "{} layers x {} sequences x ({} convolution x 2 B{} + {} state x 2 to 4 B)",
            layer.layers,
            settings.seqs,
            state.conv,
            if kept > 1 { format!(" x 1 to {kept}") } else { String::new() },
            state.recurrent
        );
        sum.add(low, high, text);
    }
    if sum.is_empty() { Ok(None) } else { sum.figure(Basis::Range, "").map(Some) }
}

/// Tokens of the encoder's output that cross-attention keeps: a fixed number, or none to as many as the context.
pub(in crate::project::memory) fn encoder_tokens(layer: &KvLayer, settings: &Settings) -> (u64, u64) {
    layer.window.map_or((0, settings.ctx), |fixed| (fixed, fixed))
}
