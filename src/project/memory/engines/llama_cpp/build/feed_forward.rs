//! `build_ffn`.

use super::builder::Builder;
use crate::families::graph::Act;
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose};

impl Builder<'_> {
    /// The block of a layer; `suffix` is empty or `_shexp`.
    pub(super) fn feed_forward(&mut self, layer: u64, suffix: &str, x: Id, act: Act) -> Result<Id, String> {
        self.g.now(Purpose::FeedForward);
        let up = self.linear(layer, &format!("ffn_up{suffix}"), x)?;
        let gated = act == Act::Unit && self.has(layer, &format!("ffn_gate{suffix}.weight"));
        let acted = if gated {
            let gate = self.linear(layer, &format!("ffn_gate{suffix}"), x)?;
            self.g.glu(gate, Some(up))
        } else {
            match act {
                Act::Unit => self.g.in_place(&[up]),
                Act::Halves => self.g.glu(up, None),
            }
        };
        self.linear(layer, &format!("ffn_down{suffix}"), acted)
    }
}
