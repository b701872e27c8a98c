//! A conversion at work: what was read, what is to be written, what stops it.

use std::collections::HashMap;

use super::family::Family;
use super::hparams::Hparams;
use super::types::TypeRule;
use crate::checkpoint::HfFolder;
use crate::dtype::Dtype;
use crate::families::gguf_names;
use crate::format::Shape;
use crate::project::bridge::{Group, Origin};
use crate::text::escape;

/// A tensor as the converter loads it: unpacked, under its Hugging Face name.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Element type on disk.
    pub(super) dtype: Dtype,
    /// Index of the tensor that holds the weights.
    pub(super) source: u32,
    /// Bytes of the tensors it is read from, scales included.
    pub(super) bytes: u64,
    pub(super) group: Group,
    /// Type in which it is written whatever the outtype.
    pub(super) fixed: Option<Dtype>,
}

impl Loaded {
    /// Returns the number of the block: the first number in the name.
    pub(super) fn block(&self) -> Option<u64> {
        self.name.split('.').find(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    }

    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d))
    }
}

/// A tensor of the converted file.
#[derive(Debug, Clone)]
pub(super) struct ConvertedTensor {
    pub(super) name: String,
    /// Sizes of the dimensions, outermost first, those of size 1 included.
    pub(super) shape: Shape,
    pub(super) rule: TypeRule,
    /// Index of the source tensor, where it is made of one.
    pub(super) source: Option<u32>,
    pub(super) origin: Origin,
}

impl ConvertedTensor {
    pub(super) fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d))
    }
}

/// The experts of one layer seen so far.
#[derive(Default)]
struct Experts {
    seen: u64,
    /// By projection: experts seen, their common shape, what they are made of.
    parts: HashMap<&'static str, (Vec<bool>, Shape, Origin)>,
}

/// The state of a conversion: what was read of the folder, and the tensors written so far.
pub(super) struct Conversion<'j> {
    pub(super) family: &'j Family,
    pub(super) hparams: &'j Hparams,
    pub(super) folder: &'j HfFolder,
    pub(super) blocks: u64,
    pub(super) out: Vec<ConvertedTensor>,
    pub(super) notes: Vec<String>,
    /// Something depends on values or was not modelled.
    pub(super) doubtful: bool,
    /// Whether T5's shared embedding was written already.
    pub(super) shared_seen: bool,
    experts: HashMap<u64, Experts>,
}

impl<'j> Conversion<'j> {
    pub(super) fn new(family: &'j Family, hparams: &'j Hparams, folder: &'j HfFolder, blocks: u64) -> Self {
        Self {
            family,
            hparams,
            folder,
            blocks,
            out: Vec::new(),
            notes: Vec::new(),
            doubtful: false,
            shared_seen: false,
            experts: HashMap::new(),
        }
    }

    /// Writes under the GGUF name of a Hugging Face name. `part` of `parts` equal shares of the tensor.
    pub(super) fn write(&mut self, name: &str, shape: &[u64], from: &Loaded, share: (u64, u64)) -> Result<(), String> {
        let to = gguf_names::of_architecture(self.family.arch, name, self.blocks)
            .ok_or_else(|| format!("can not map tensor `{}`", escape(name)))?;
        let (part, whole) = share;
        let bytes = u128::from(from.bytes) * u128::from(part) / u128::from(whole.max(1));
        let origin = Origin { group: from.group, dtype: Some(from.dtype), bytes: u64::try_from(bytes).unwrap_or(u64::MAX) };
        let source = (part == whole).then_some(from.source);
        self.push(to, shape, source, origin, from.fixed)
    }

    /// Whether the class has no output head, and its tensors no prefix.
    pub(super) fn is_headless(&self) -> bool {
        self.hparams.architecture().is_some_and(|class| self.family.row.headless.contains(&class))
    }

    /// Writes a tensor unchanged.
    pub(super) fn write_same(&mut self, from: &Loaded) -> Result<(), String> {
        self.write(&from.name, &from.shape, from, (1, 1))
    }

    /// A tensor that is kept as it comes, or a scale beside one, which has its name but for the suffix.
    pub(super) fn write_kept(&mut self, from: &Loaded) -> Result<(), String> {
        let scale = [".input_scale", ".scale"].iter().find_map(|s| Some((from.name.strip_suffix(s)?, *s)));
        let Some((stem, suffix)) = scale.filter(|_| from.fixed.is_none()) else { return self.write_same(from) };
        self.write(&format!("{stem}.weight"), &from.shape, from, (1, 1))?;
        if let Some(written) = self.out.last_mut() {
            written.name = written.name.replace(".weight", suffix);
        }
        Ok(())
    }

    /// Writes a tensor that is computed from the settings.
    pub(super) fn compute(&mut self, name: &str, len: u64) {
        let origin = Origin { group: Group::Others, dtype: None, bytes: 0 };
        let rule = TypeRule::SmallOrNorm;
        self.out.push(ConvertedTensor { name: name.to_owned(), shape: Shape::from_slice(&[len]), rule, source: None, origin });
    }

    fn push(
        &mut self,
        name: String,
        shape: &[u64],
        source: Option<u32>,
        origin: Origin,
        fixed: Option<Dtype>,
    ) -> Result<(), String> {
        let rule = fixed.map_or_else(|| TypeRule::of(&name, shape.len()), TypeRule::Fixed);
        self.out.push(ConvertedTensor { name, shape: Shape::from_slice(shape), rule, source, origin });
        Ok(())
    }

    /// Takes one expert's matrix; writes the layer's stacks when the last of `experts` x 3 was seen, in the order of `parts`
    /// (projection, name of the stack).
    pub(super) fn expert(
        &mut self,
        t: &Loaded,
        marker: &str,
        parts: &[(&'static str, &'static str)],
        experts: u64,
    ) -> Result<(), String> {
        let stop = || format!("`{}` is no expert's matrix that is looked for: the converter stops", escape(&t.name));
        let block = t.block().filter(|b| *b < self.blocks).ok_or_else(stop)?;
        let (_, rest) = t.name.split_once(marker).ok_or_else(stop)?;
        let (number, projection) = rest.split_once('.').ok_or_else(stop)?;
        let (number, projection): (u64, &str) = (number.parse().map_err(|_| stop())?, projection);
        let &(part, _) = parts.iter().find(|(from, _)| projection.strip_suffix(".weight") == Some(*from)).ok_or_else(stop)?;
        if number >= experts || experts > 1 << 20 {
            return Err(stop());
        }
        let layer = self.experts.entry(block).or_default();
        layer.seen += 1;
        let (seen, shape, origin) = layer.parts.entry(part).or_insert_with(|| {
            let origin = Origin { group: t.group, dtype: Some(t.dtype), bytes: 0 };
            (vec![false; usize::try_from(experts).unwrap_or(0)], t.shape.clone(), origin)
        });
        if *shape != t.shape {
            return Err(format!("`{}` differs in shape from the other experts: the converter stops", escape(&t.name)));
        }
        seen[usize::try_from(number).unwrap_or(0)] = true;
        origin.bytes = origin.bytes.saturating_add(t.bytes);
        if layer.seen < experts.saturating_mul(3) {
            return Ok(());
        }
        let mut layer = self.experts.remove(&block).unwrap_or_default();
        for (part, stack) in parts {
            let (seen, shape, origin) = layer.parts.remove(part).ok_or_else(stop)?;
            if !seen.iter().all(|s| *s) {
                return Err(format!("experts of layer {block} are missing: the converter stops"));
            }
            let mut stacked = Shape::from_slice(&[experts]);
            stacked.extend_from_slice(&shape);
            self.push(format!("blk.{block}.{stack}.weight"), &stacked, None, origin, t.fixed)?;
        }
        Ok(())
    }

    /// Checks that no expert is missing when all tensors were read.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        match self.experts.keys().min() {
            Some(block) => Err(format!("experts of layer {block} are missing: the converter stops")),
            None => Ok(()),
        }
    }
}
