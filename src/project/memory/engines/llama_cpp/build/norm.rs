//! `build_norm`.

use super::builder::Builder;
use crate::families::graph::Norm;
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose};

impl Builder<'_> {
    /// A norm with the weight and bias of a block, where they are there.
    pub(super) fn norm(&mut self, layer: u64, name: &str, x: Id, norm: Norm) -> Id {
        let weight = self.maybe(layer, &format!("{name}.weight"));
        let bias = self.maybe(layer, &format!("{name}.bias"));
        self.norm_with(x, weight, bias, norm)
    }

    /// # Errors
    /// The name of the tensor that is missing.
    pub(super) fn output_norm(&mut self, x: Id, norm: Norm) -> Result<Id, String> {
        self.g.now(Purpose::Residual);
        // LFM2 calls it by another name.
        let lfm2 = self.sheet.shape("output_norm.weight").is_none() && self.sheet.shape("token_embd_norm.weight").is_some();
        let weight = self.global(if lfm2 { "token_embd_norm.weight" } else { "output_norm.weight" })?;
        let bias = self.sheet.shape("output_norm.bias").is_some().then(|| self.global("output_norm.bias")).transpose()?;
        Ok(self.norm_with(x, Some(weight), bias, norm))
    }

    pub(super) fn norm_with(&mut self, x: Id, weight: Option<Id>, bias: Option<Id>, norm: Norm) -> Id {
        let mut y = match norm {
            Norm::Rms => self.g.in_place(&[x]),
            Norm::Layer => self.g.same_shape(&[x]),
        };
        for factor in [weight, bias].into_iter().flatten() {
            y = self.g.in_place(&[y, factor]);
        }
        y
    }
}
