//! The part format: what `weigh scan --part I/N` writes so that N machines can share one scan.
//!
//! A part holds, for every tensor, the largest whole subtrees of the leaves it read, with every bit of their floats. Merging all
//! N parts therefore gives the digits of one scan of the whole.

use serde::{Deserialize, Serialize};

use super::PartNode;
use crate::error::{Error, ErrorKind, Result};

/// Version of the part format; a reader refuses any other.
pub const PART_SCHEMA: &str = "1";

/// One tensor in a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartTensor {
    /// Dtype as its format spells it; `None` for one that is unknown.
    pub dtype: Option<String>,
    /// Byte offset in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Elements as stored.
    pub elements: u64,
    /// Slices that have their own figures.
    pub slices: u64,
    /// Why the tensor is not scanned, in whatever part: a stable word, see `scan::Skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Figures of the leaves that this part read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<PartNode>,
}

/// One file in a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartFile {
    /// Length in bytes when the part was scanned; `None` where the part had nothing to read from it.
    pub len: Option<u64>,
    /// Why this file's figures were withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its tensors, in the order of the scan's input.
    pub tensors: Vec<PartTensor>,
}

/// What one part of a scan found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanPart {
    /// [`PART_SCHEMA`].
    pub part_schema: String,
    /// Elements of a leaf, so that parts of differing builds are not mixed.
    pub leaf_elements: u64,
    /// Number of this part, from 1.
    pub index: u32,
    /// Number of parts.
    pub count: u32,
    /// Whether everything that belongs to this part was read (or refused for a stated reason); `false` after an interruption.
    pub finished: bool,
    /// Bytes of weights read.
    pub bytes_read: u64,
    /// The files, in the order of the scan's input.
    pub files: Vec<PartFile>,
}

/// Checks that parts are one whole set: the known format, one plan, each index once, none interrupted.
///
/// # Errors
/// [`ErrorKind::Usage`] with what is wrong with the set.
pub fn check_set(parts: &[ScanPart]) -> Result<()> {
    let refuse = |message: String| Err(Error::new(ErrorKind::Usage, message));
    let Some(first) = parts.first() else { return refuse("no parts were given".into()) };
    for part in parts {
        if part.part_schema != PART_SCHEMA || part.leaf_elements != super::LEAF_ELEMENTS {
            return refuse(format!("part {} has another format than this version writes", part.index));
        }
        if !part.finished {
            return refuse(format!("part {} of {} was interrupted; scan it again", part.index, part.count));
        }
        if part.count != first.count {
            return refuse(format!("part {} is one of {}, part {} one of {}", first.index, first.count, part.index, part.count));
        }
        if !same_plan(first, part) {
            return refuse(format!("parts {} and {} are of different checkpoints", first.index, part.index));
        }
    }
    let mut indices: Vec<u32> = parts.iter().map(|part| part.index).collect();
    indices.sort_unstable();
    if let Some(twice) = indices.windows(2).find(|pair| pair[0] == pair[1]) {
        return refuse(format!("part {} was given twice", twice[0]));
    }
    if let Some(missing) = (1..=first.count).find(|index| indices.binary_search(index).is_err()) {
        return refuse(format!("part {missing} of {} is missing", first.count));
    }
    if indices.len() as u64 != u64::from(first.count) {
        return refuse(format!("a part has a number outside 1 to {}", first.count));
    }
    Ok(())
}

fn same_plan(a: &ScanPart, b: &ScanPart) -> bool {
    let key = |t: &PartTensor| (t.offset, t.bytes, t.elements, t.slices);
    a.files.len() == b.files.len()
        && a.files.iter().zip(&b.files).all(|(a, b)| {
            a.tensors.len() == b.tensors.len()
                && (a.len.is_none() || b.len.is_none() || a.len == b.len)
                && a.tensors.iter().zip(&b.tensors).all(|(a, b)| a.dtype == b.dtype && key(a) == key(b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{LeafStats, TensorStats};

    fn part(index: u32, count: u32) -> ScanPart {
        ScanPart {
            part_schema: PART_SCHEMA.into(),
            leaf_elements: crate::stats::LEAF_ELEMENTS,
            index,
            count,
            finished: true,
            bytes_read: 0,
            files: Vec::new(),
        }
    }

    #[test]
    fn only_a_whole_set_is_taken() {
        assert!(check_set(&[part(2, 2), part(1, 2)]).is_ok());
        assert!(check_set(&[]).is_err());
        assert!(check_set(&[part(1, 2)]).is_err());
        assert!(check_set(&[part(1, 2), part(1, 2)]).is_err());
        assert!(check_set(&[part(1, 2), part(3, 2), part(2, 2)]).is_err());
        assert!(check_set(&[part(1, 2), part(2, 3)]).is_err());
        let interrupted = ScanPart { finished: false, ..part(2, 2) };
        assert!(check_set(&[part(1, 2), interrupted]).unwrap_err().to_string().contains("interrupted"));
    }

    #[test]
    fn floats_survive_json_to_the_bit() {
        let counts = crate::stats::ElementCounts { elements: 3, ..crate::stats::ElementCounts::default() };
        let leaf = LeafStats { counts, min: -0.1, max: f64::MAX, sum: 1.0 / 3.0, sum_sq: 5e-324, ..LeafStats::default() };
        for stats in [TensorStats::from(leaf), TensorStats::default()] {
            let text = serde_json::to_string(&stats).unwrap();
            assert_eq!(serde_json::from_str::<TensorStats>(&text).unwrap(), stats);
        }
    }
}
