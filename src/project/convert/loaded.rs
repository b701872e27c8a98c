//! Tensors as the converter reads them, before it gives them their GGUF names.

use std::collections::HashMap;

use super::stop::Stop;
use crate::dtype::Dtype;
use crate::format::Shape;
use crate::project::bridge::Group;
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

/// The tensors that were read, in order; those that were taken out leave a gap.
pub(super) struct Set {
    pub(super) tensors: Vec<Option<Loaded>>,
    pub(super) by_name: HashMap<String, usize>,
}

impl Set {
    /// Removes a tensor and returns it.
    pub(super) fn take(&mut self, name: &str) -> Option<Loaded> {
        let i = *self.by_name.get(name)?;
        self.tensors[i].take()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.tensors.iter().flatten().map(|t| t.name.clone()).collect()
    }

    /// The shape of a tensor that is still there.
    pub(super) fn shape(&self, name: &str) -> Option<&Shape> {
        self.tensors[*self.by_name.get(name)?].as_ref().map(|t| &t.shape)
    }

    /// Gives a tensor another name, at the end; nothing where that name is taken.
    pub(super) fn rename(&mut self, name: &str, to: String) {
        if !self.by_name.contains_key(&to)
            && let Some(mut t) = self.take(name)
        {
            t.name.clone_from(&to);
            self.by_name.insert(to, self.tensors.len());
            self.tensors.push(Some(t));
        }
    }

    /// Drops a tensor that only helps another one, whose bytes it is added to.
    pub(super) fn fold_into(&mut self, name: &str, into: &str) -> Result<(), Stop> {
        let bytes = self.take(name).map_or(0, |t| t.bytes);
        let i = *self.by_name.get(into).ok_or_else(|| format!("there is no `{}`: the converter stops", escape(into)))?;
        if let Some(t) = &mut self.tensors[i] {
            t.bytes = t.bytes.saturating_add(bytes);
        }
        Ok(())
    }

    /// Adds an unpacked weight after all others.
    pub(super) fn append(&mut self, name: String, shape: &[u64], from: &Loaded, bytes: u64) {
        let t = Loaded { name: name.clone(), shape: Shape::from_slice(shape), bytes, ..from.clone() };
        self.by_name.insert(name, self.tensors.len());
        self.tensors.push(Some(t));
    }
}
