//! What a recurrent layer keeps in llama.cpp, and which layers keep a window: the rules of its loaders.
//!
//! Source: `llama_hparams::n_embd_r`, `n_embd_s` and `models/*.cpp` (`load_arch_hparams`) of llama.cpp commit 0c1e570.

use super::gguf_keys::Reader;
use super::{KvKind, ModelConfig, StateSize, layers};
use crate::families::cache::{GgufCache, GgufWindow};
use crate::text::escape_limited;

/// RWKV keeps the last two token shifts where the keys do not say how many.
const TOKEN_SHIFTS: u64 = 2;

impl Reader<'_> {
    /// The state of a recurrent layer: RWKV, short convolutions, Kimi's delta attention, else the state space keys.
    pub(super) fn state(&self, model: &ModelConfig) -> Result<StateSize, String> {
        let range = |what: &str| format!("the `{}` keys are out of range", escape_limited(&self.key(what), 80));
        let width = || model.hidden_size.ok_or_else(|| self.missing("embedding_length"));
        if let Some(head) = self.count("wkv.head_size") {
            let (width, shifts) = (width()?, self.count("token_shift_count").unwrap_or(TOKEN_SHIFTS));
            let sizes = shifts.checked_mul(width).zip(width.checked_mul(head));
            return sizes.map(|(conv, recurrent)| StateSize { conv, recurrent }).ok_or_else(|| range("wkv"));
        }
        if let Some(length) = self.count("shortconv.l_cache") {
            let conv = length.checked_sub(1).and_then(|n| n.checked_mul(width().ok()?));
            return conv.map(|conv| StateSize { conv, recurrent: 0 }).ok_or_else(|| range("shortconv"));
        }
        if let Some(head) = self.count("kda.head_dim") {
            let heads = model.heads.ok_or_else(|| self.missing("attention.head_count"))?;
            let inner = heads.checked_mul(head);
            let conv = self.need("ssm.conv_kernel")?.saturating_sub(1).checked_mul(3).and_then(|n| n.checked_mul(inner?));
            let sizes = conv.zip(inner.and_then(|n| n.checked_mul(head)));
            return sizes.map(|(conv, recurrent)| StateSize { conv, recurrent }).ok_or_else(|| range("kda"));
        }
        // R = (conv_kernel - 1) x (inner + 2 x groups x state), S = state x inner; Mamba-1 and gated delta nets fit the same formula.
        let groups = self.count("ssm.group_count").unwrap_or(0);
        let (conv, inner) = (self.need("ssm.conv_kernel")?, self.need("ssm.inner_size")?);
        layers::mamba2(conv, inner, groups, self.need("ssm.state_size")?).ok_or_else(|| range("ssm"))
    }

    /// Which layers keep a window: the array or number under `attention.sliding_window_pattern`, else the family's own pattern.
    pub(super) fn pattern(&self, layout: GgufCache, layers: u64, model: &mut ModelConfig) -> Result<Pattern, String> {
        let name = "attention.sliding_window_pattern";
        let (default, full_first, kind) = match layout {
            GgufCache::Pattern(n) | GgufCache::SharedTail(n) => (n, false, KvKind::Sliding),
            GgufCache::FullFirst(n) => (n, true, KvKind::Sliding),
            GgufCache::Chunked(n) => (n, false, KvKind::Chunked),
            // LFM2: every layer that attends keeps the window, where one is set.
            GgufCache::HybridWindowed => (0, false, KvKind::Sliding),
            _ => return Ok(Pattern::None),
        };
        let stated = self.count("attention.sliding_window");
        let mut note = |text: &str| model.notes.push(text.to_owned());
        let window = match (self.row.map_or(GgufWindow::Key, |row| row.gguf_window), stated) {
            (GgufWindow::Always(_), Some(0)) => return Ok(Pattern::None),
            (GgufWindow::Always(window), _) => window,
            (GgufWindow::OnlyAt { layers: only, .. }, _) if layers != only => return Ok(Pattern::None),
            (GgufWindow::OrElse(window) | GgufWindow::OnlyAt { otherwise: window, .. }, None) => {
                note(&format!("no `attention.sliding_window`: llama.cpp takes {window}"));
                window
            }
            (GgufWindow::Replaced(window), Some(n)) if n > 0 => window,
            (GgufWindow::Required, None) => return Err(self.missing("attention.sliding_window")),
            (GgufWindow::NoneWithout, None) => {
                note("no `attention.sliding_window`: every layer keeps every token in llama.cpp");
                return Ok(Pattern::None);
            }
            (_, None | Some(0)) => return Ok(Pattern::None),
            (_, Some(window)) => window,
        };
        if let Some(flags) = self.metadata.numbers(&self.key(name)) {
            if (flags.len() as u64) < layers {
                let shown = escape_limited(&self.key(name), 80);
                return Err(format!("key `{shown}` has {} entries for {layers} layers", flags.len()));
            }
            return Ok(Pattern::Listed { flags: flags.iter().map(|&flag| flag != 0.0).collect(), kind, window });
        }
        Ok(Pattern::Every { n: self.count(name).unwrap_or(default), full_first, kind, window })
    }
}

/// Which layers keep a window.
pub(super) enum Pattern {
    /// None does.
    None,
    /// By a period; one of 0 means all.
    Every { n: u64, full_first: bool, kind: KvKind, window: u64 },
    /// Layer by layer.
    Listed { flags: Vec<bool>, kind: KvKind, window: u64 },
}

impl Pattern {
    /// The kind and window of a layer that keeps one.
    pub(super) fn kind(&self, layer: u64) -> Option<(KvKind, u64)> {
        match self {
            Self::None => None,
            Self::Every { n: 0, kind, window, .. } => Some((*kind, *window)),
            Self::Every { n, full_first: true, kind, window } => (!layer.is_multiple_of(*n)).then_some((*kind, *window)),
            Self::Every { n, full_first: false, kind, window } => (layer % n < n - 1).then_some((*kind, *window)),
            Self::Listed { flags, kind, window } => {
                let flag = usize::try_from(layer).ok().and_then(|i| flags.get(i)).copied().unwrap_or(false);
                flag.then_some((*kind, *window))
            }
        }
    }
}
