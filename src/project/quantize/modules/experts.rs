//! Routed experts in the walk: left alone, fused, taken one by one, stacked.

use super::Walk;
use crate::project::plan::{Change, OutTensor, Refusal, too_large};
use crate::project::quantize::experts::{Block, PROJECTIONS};
use crate::project::quantize::packing::{Experts, Module, Packed, Packing};
use crate::project::quantize::stacks::{Dims, Stack};

impl<'a, P: Packing> Walk<'_, '_, 'a, P> {
    pub(super) fn experts(&mut self) -> Result<(), Refusal<'a>> {
        if let Some(stacks) = self.stacks {
            for (name, (stack, dims)) in stacks {
                let name = self.packing.rename(self.family, name).into_owned();
                match self.tool.experts {
                    Experts::FusedScales => self.scales_of_stack(&name, stack, *dims)?,
                    _ => self.unstacked(&name, stack, *dims)?,
                }
            }
        }
        let Some(blocks) = self.blocks else { return Ok(()) };
        for (name, block) in blocks {
            let name = self.packing.rename(self.family, name).into_owned();
            let count = block.experts.len() as u64;
            match self.tool.experts {
                Experts::Kept => {}
                Experts::Fused => self.fused(&name, block, count)?,
                Experts::Modules => self.one_by_one(&name, block)?,
                Experts::FusedScales => self.fused_scales(&name, block, count)?,
                Experts::Stacked => self.stacked(&name, block, count)?,
            }
        }
        Ok(())
    }

    fn fused(&mut self, name: &str, block: &Block, count: u64) -> Result<(), Refusal<'a>> {
        let gate_up = block.width.checked_mul(2).ok_or_else(|| too_large(name))?;
        for (what, shape) in [("gate_up_proj", [count, gate_up, block.hidden]), ("down_proj", [count, block.hidden, block.width])] {
            let out = OutTensor::added(format!("{name}.experts.{what}"), self.tool.kept(block.dtype), &shape);
            self.tensors.push(OutTensor { change: Change::Kept, ..out.ok_or_else(|| too_large(name))? });
        }
        Ok(())
    }

    fn one_by_one(&mut self, name: &str, block: &Block) -> Result<(), Refusal<'a>> {
        for (expert, three) in block.experts.iter().enumerate() {
            for (projection, &i) in three.iter().enumerate() {
                let stem = format!("{name}.experts.{expert}.{}", PROJECTIONS[projection]);
                let (rows, columns) = block.shape(projection);
                let module = Module { rows, columns, ..self.module(&stem, block.dtype) };
                match self.may(self.packing.pack(&module), &stem)? {
                    Packed::As(pieces) => self.pack(&stem, pieces, &[], Some(i))?,
                    Packed::Kept | Packed::KeptWith(_) => {
                        self.skipped += 1;
                        self.keep(i, format!("{stem}.weight"), false)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn fused_scales(&mut self, name: &str, block: &Block, count: u64) -> Result<(), Refusal<'a>> {
        let gate_up = block.width.checked_mul(2).ok_or_else(|| too_large(name))?;
        for (what, rows, columns, members) in
            [("gate_up_proj", gate_up, block.hidden, 0..2), ("down_proj", block.hidden, block.width, 2..3)]
        {
            let stem = format!("{name}.experts.{what}");
            let module = Module { rows, columns, ..self.module(&stem, block.dtype) };
            let (dtype, scales) = match self.may(self.packing.pack(&module), &stem)? {
                Packed::As(pieces) => (pieces.first().map(|p| p.dtype), pieces.into_iter().skip(1).collect()),
                Packed::KeptWith(scales) => (None, scales),
                Packed::Kept => (None, Vec::new()),
            };
            for &i in block.experts.iter().flat_map(|three| &three[members.clone()]) {
                let t = &self.input.tensors[i];
                let out = OutTensor::retyped(i, t, dtype.unwrap_or(t.dtype));
                self.tensors.push(out.ok_or_else(|| too_large(&t.name))?);
                self.modules += 1;
            }
            for scale in &scales {
                let suffix = scale.suffix.trim_start_matches(".weight");
                self.add(format!("{stem}{suffix}"), scale, &[count])?;
            }
        }
        Ok(())
    }

    fn stacked(&mut self, name: &str, block: &Block, count: u64) -> Result<(), Refusal<'a>> {
        for (projection, what) in PROJECTIONS.iter().enumerate() {
            let stem = format!("{name}.switch_mlp.{what}");
            let (rows, columns) = block.shape(projection);
            let module = Module { rows, columns, ..self.module(&stem, block.dtype) };
            match self.may(self.packing.pack(&module), &stem)? {
                Packed::As(pieces) => self.pack(&stem, pieces, &[count], None)?,
                Packed::Kept | Packed::KeptWith(_) => {
                    self.skipped += 1;
                    let out = OutTensor::added(format!("{stem}.weight"), self.tool.kept(block.dtype), &[count, rows, columns]);
                    self.tensors.push(OutTensor { change: Change::Kept, ..out.ok_or_else(|| too_large(name))? });
                }
            }
        }
        Ok(())
    }

    /// A stack taken apart: each expert's projections as modules of their own.
    fn unstacked(&mut self, name: &str, stack: &Stack, dims: Dims) -> Result<(), Refusal<'a>> {
        let biases = stack.biases.iter().any(Option::is_some);
        for expert in 0..dims.experts {
            for (projection, what) in PROJECTIONS.iter().enumerate() {
                let stem = format!("{name}.experts.{expert}.{what}");
                let (rows, columns) = if projection == 2 { (dims.hidden, dims.width) } else { (dims.width, dims.hidden) };
                let module = Module { rows, columns, ..self.module(&stem, dims.dtype) };
                let mut kept = vec![(".bias", vec![rows])];
                kept.truncate(usize::from(biases));
                match self.may(self.packing.pack(&module), &stem)? {
                    Packed::As(pieces) => self.pack(&stem, pieces, &[], None)?,
                    Packed::Kept | Packed::KeptWith(_) => {
                        self.skipped += 1;
                        kept.push((".weight", vec![rows, columns]));
                    }
                }
                for (end, shape) in kept {
                    let out = OutTensor::added(format!("{stem}{end}"), self.tool.kept(dims.dtype), &shape);
                    self.tensors.push(OutTensor { change: Change::Kept, ..out.ok_or_else(|| too_large(name))? });
                }
            }
        }
        Ok(())
    }

    /// A stack whose two tensors stay and get scales, an expert at a time.
    ///
    /// transformers 5.23 asserts: "FP8Experts does not support bias for now".
    fn scales_of_stack(&mut self, name: &str, stack: &Stack, dims: Dims) -> Result<(), Refusal<'a>> {
        if stack.biases.iter().any(Option::is_some) {
            return Err(Refusal::new("transformers' FP8 takes no experts with biases"));
        }
        let gate_up = dims.width.checked_mul(2).ok_or_else(|| too_large(name))?;
        let shapes = [("gate_up_proj", gate_up, dims.hidden), ("down_proj", dims.hidden, dims.width)];
        for ((what, rows, columns), weights) in shapes.into_iter().zip(stack.weights) {
            let stem = format!("{name}.experts.{what}");
            let module = Module { rows, columns, ..self.module(&stem, dims.dtype) };
            let (dtype, scales) = match self.may(self.packing.pack(&module), &stem)? {
                Packed::As(pieces) => (pieces.first().map(|p| p.dtype), pieces.into_iter().skip(1).collect()),
                Packed::KeptWith(scales) => (None, scales),
                Packed::Kept => (None, Vec::new()),
            };
            if let Some(i) = weights {
                let t = &self.input.tensors[i];
                self.tensors.push(OutTensor::retyped(i, t, dtype.unwrap_or(t.dtype)).ok_or_else(|| too_large(&t.name))?);
                self.modules += 1;
            }
            for scale in &scales {
                let suffix = scale.suffix.trim_start_matches(".weight");
                self.add(format!("{stem}{suffix}"), scale, &[dims.experts])?;
            }
        }
        Ok(())
    }

    /// A stack in a class that was not seen, taken whole: the fewest bytes it may come to. `None` where it cannot be packed.
    pub(super) fn least_of_stack(&self, name: &str, i: usize) -> Option<OutTensor<'a>> {
        let t = &self.input.tensors[i];
        let &[outer, x, y] = t.shape.as_slice() else { return None };
        let each = [(x, y), (y, x)].into_iter().filter_map(|(rows, columns)| {
            let module = Module { rows, columns, ..self.module(name, t.dtype) };
            let Ok(Packed::As(pieces)) = self.packing.pack(&module) else { return None };
            let sizes = pieces.iter().map(|p| OutTensor::added(String::new(), p.dtype, &p.shape).map(|out| out.bytes));
            sizes.sum::<Option<u64>>()
        });
        let bytes = each.min()?.checked_mul(outer)?.min(t.bytes);
        Some(OutTensor { bytes, ..OutTensor::kept(i, t) })
    }
}
