//! Short convolutions of LFM2.
//!
//! Source: `models/lfm2.cpp`.

use super::builder::Builder;
use super::mamba::StateInputs;
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose, Type};

impl Builder<'_> {
    pub(super) fn short_convolution(&mut self, layer: u64, x: Id, states: StateInputs) -> Result<Id, String> {
        self.g.now(Purpose::State);
        let length = self.sheet.need("shortconv.l_cache")?;
        if length < 2 {
            return Err(format!("a short convolution over {length} tokens"));
        }
        let (seqs, tokens) = (self.setup.seqs, self.setup.seq_tokens());
        let width = self.g.ne(x)[0];
        let x = self.g.reshape(x, [width, tokens, seqs, 1]);
        let bcx = self.linear(layer, "shortconv.in_proj", x)?;
        let (ne, nb) = (self.g.ne(bcx), self.g.nb(bcx));
        let mut part = || self.g.view(bcx, [ne[0] / 3, ne[1], ne[2], 1], nb);
        let (b, c, x) = (part(), part(), part());
        let bx = self.g.in_place(&[b, x]);
        let bx = self.g.transpose(bx);
        let kept = (length - 1).saturating_mul(width);
        let all = self.state_cache(kept);
        let last = self.states(all, states, |b, all, ids| b.g.get_rows(all, ids));
        let last = self.g.reshape(last, [length - 1, width, seqs, 1]);
        let joined = self.g.concat(last, bx, 0);
        self.keep_newest(all, joined, length - 1, width);
        let kernel = self.weight(layer, "shortconv.conv.weight")?;
        let y = self.g.fresh(Type::F32, [width, tokens, seqs, 1], &[joined, kernel]);
        let y = self.g.in_place(&[c, y]);
        let y = self.linear(layer, "shortconv.out_proj", y)?;
        let width = self.g.ne(y)[0];
        Ok(self.g.reshape(y, [width, tokens * seqs, 1, 1]))
    }
}
