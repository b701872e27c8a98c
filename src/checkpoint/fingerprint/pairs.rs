//! The tensors that two sets both have, which of them can be compared, and which ranges of these are.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::cast::width;
use super::{MAX_KINDS, OF_A_KIND, Obstacle, PIECE, PIECES, Side, WHOLE};
use crate::checkpoint::names::is_auxiliary_name;
use crate::dtype::Dtype;
use crate::format::{Container, Format, TensorInfo};

/// A tensor by its file and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) tensor: usize,
}

/// One tensor in both sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) a: Place,
    pub(super) b: Place,
    /// Floats of two widths, equal after a cast if at all.
    pub(super) cast: bool,
    /// Neither packed nor bookkeeping of something packed.
    plain: bool,
}

/// What can be compared of two sets.
pub(super) struct Pairs {
    list: Vec<Pair>,
    /// Every name stands in both, with one type and one shape.
    pub(super) alike: bool,
    /// Whether a plain tensor that differs proves that the sets do.
    pub(super) decisive: bool,
}

/// A range of a tensor in both sets, in elements for casts and in bytes otherwise.
pub(super) struct Sample {
    pub(super) pair: Pair,
    pub(super) start: u64,
    pub(super) len: u64,
}

/// Whether a tensor holds floats that a cast leads to another width, as many as its shape says.
fn has_width(info: &TensorInfo) -> bool {
    is_wide(info.dtype) && info.elements.checked_mul(width(info.dtype)) == Some(info.bytes)
}

fn is_wide(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// Whether a tensor holds weights as numbers: no packed ones, no scales or zero points of packed ones.
pub(super) fn is_plain((container, info): (&Container, &TensorInfo)) -> bool {
    let float = is_wide(info.dtype) || info.dtype == Dtype::F64;
    float && (container.format == Format::Gguf || !is_auxiliary_name(&container.name(info)))
}

/// The name of the module that a tensor belongs to.
fn module(name: &[u8]) -> &[u8] {
    name.iter().rposition(|&byte| byte == b'.').map_or(name, |end| &name[..end])
}

impl Pairs {
    /// Pairs the tensors of `b` with those of `a` by name.
    pub(super) fn of(a: &Side<'_>, b: &Side<'_>) -> Result<Self, Obstacle> {
        let mut names: HashMap<&[u8], Place> = HashMap::with_capacity(a.len());
        for (file, container) in a.files.iter().map(|f| &f.container).enumerate() {
            for (tensor, info) in container.tensors.iter().enumerate() {
                // Of two tensors of one name only the first is paired: no file that a tool writes has two.
                names.entry(container.name_bytes(info)).or_insert(Place { file, tensor });
            }
        }
        let mut list = Vec::new();
        let (mut common, mut bookkeeping) = (0usize, false);
        // Modules with a tensor of another type or packed shape, by the name before the last point.
        let mut repacked: HashSet<&[u8]> = HashSet::new();
        for (file, container) in b.files.iter().map(|f| &f.container).enumerate() {
            for (tensor, info) in container.tensors.iter().enumerate() {
                let place = Place { file, tensor };
                let Some(from) = names.remove(container.name_bytes(info)) else {
                    bookkeeping |= is_auxiliary_name(&container.name(info));
                    continue;
                };
                common += 1;
                let (of_a, of_b) = (a.info(from), (container, info));
                let plain = is_plain(of_a) && is_plain(of_b);
                let gguf = container.format == Format::Gguf;
                if of_a.1.shape != info.shape {
                    // Packing changes shapes too, but not those of plain weights; a GGUF states the shape before packing.
                    if (plain || gguf) && !a.is_buffer(from) && !b.is_buffer(place) {
                        let at = format!("{} is {:?} and {:?}", a.shown(from), of_a.1.shape.as_slice(), info.shape.as_slice());
                        return Err(Obstacle::Shapes(at));
                    }
                    repacked.insert(module(container.name_bytes(info)));
                } else if of_a.1.dtype == info.dtype && of_a.1.bytes == info.bytes && info.dtype.info().is_some() {
                    list.push(Pair { a: from, b: place, cast: false, plain });
                } else if has_width(of_a.1) && has_width(info) {
                    list.push(Pair { a: from, b: place, cast: true, plain });
                } else {
                    repacked.insert(module(container.name_bytes(info)));
                }
            }
        }
        if common == 0 {
            return Err(Obstacle::Names);
        }
        bookkeeping |= names.keys().any(|name| is_auxiliary_name(&String::from_utf8_lossy(name)));
        let gguf = b.files.first().is_some_and(|f| f.container.format == Format::Gguf);
        let alike = repacked.is_empty() && names.is_empty() && common == b.len() && list.iter().all(|pair| !pair.cast);
        // Scales and offsets of one name in two packings differ though the model is the same, so only modules that are not packed are
        // held against each other there. llama-quantize copies what it does not quantize; other quantizers may change it.
        let packed = bookkeeping || !repacked.is_empty();
        if !alike {
            let of_repacked = |pair: &Pair| {
                let (container, info) = b.info(pair.b);
                !gguf && repacked.contains(module(container.name_bytes(info)))
            };
            list.retain(|pair| (pair.plain || !(packed || gguf)) && !of_repacked(pair) && !a.is_buffer(pair.a));
        }
        Ok(Self { list, alike, decisive: alike || gguf || !packed })
    }

    /// Bytes of the tensors of `b` that can be compared.
    pub(super) fn bytes(&self, b: &Side<'_>) -> u64 {
        self.list.iter().fold(0u64, |sum, pair| sum.saturating_add(b.info(pair.b).1.bytes))
    }

    /// The ranges that are compared, plain weights first, then by file: all of little, of much the beginning, middle and end of the
    /// first, the middle and the last tensor of each kind.
    pub(super) fn samples(&self, a: &Side<'_>, b: &Side<'_>) -> Vec<Sample> {
        let of_a = self.list.iter().fold(0u64, |sum, pair| sum.saturating_add(a.info(pair.a).1.bytes));
        let whole = of_a.max(self.bytes(b)) <= WHOLE;
        let mut chosen = if whole { self.list.clone() } else { self.chosen(b) };
        chosen.sort_by_key(|pair| (!pair.plain, pair.a.file, pair.b.file));
        let mut samples = Vec::new();
        for pair in chosen {
            let info = a.info(pair.a).1;
            // Both sides of a cast are read: a range is as long as the wider one allows.
            let (count, piece) = if pair.cast { (info.elements, PIECE / 4) } else { (info.bytes, PIECE) };
            if whole || count <= PIECES * piece {
                samples.push(Sample { pair, start: 0, len: count });
            } else {
                let starts = [0, (count - piece) / 2, count - piece];
                samples.extend(starts.into_iter().map(|start| Sample { pair, start, len: piece }));
            }
        }
        samples
    }

    fn chosen(&self, b: &Side<'_>) -> Vec<Pair> {
        let mut kinds: BTreeMap<(bool, Vec<u8>), Vec<Pair>> = BTreeMap::new();
        for pair in &self.list {
            let (container, info) = b.info(pair.b);
            let mut kind = container.name_bytes(info).to_vec();
            kind.retain(|byte| !byte.is_ascii_digit());
            kinds.entry((!pair.plain, kind)).or_default().push(*pair);
        }
        let kinds: Vec<Vec<Pair>> = kinds.into_values().collect();
        let of_kinds = spread(kinds.len(), MAX_KINDS).into_iter().map(|i| &kinds[i]);
        of_kinds.flat_map(|kind| spread(kind.len(), OF_A_KIND as usize).into_iter().map(|i| kind[i])).collect()
    }
}

/// At most `most` places of `count`, evenly spread, the first and the last among them.
fn spread(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|i| i * (count - 1) / (most - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn places_are_spread_over_all() {
        assert_eq!(spread(2, 3), [0, 1]);
        assert_eq!(spread(32, 3), [0, 15, 31]);
        let many = spread(1000, 48);
        assert_eq!((many.len(), many[0], many[47]), (48, 0, 999));
        assert!(many.windows(2).all(|w| w[0] < w[1]));
    }
}
