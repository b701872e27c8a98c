//! Tensors that hold the same bytes, in one file or in several.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::super::input::Input;
use crate::error::Result;
use crate::observe::Observer;
use crate::scan::{Io, ScanFile, ScanOutcome};
use crate::threads;

/// Tensors of one dtype and element count whose bytes have one SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateGroup {
    /// The SHA-256 of the bytes of each.
    pub sha256: [u8; 32],
    /// Bytes of each.
    pub bytes: u64,
    /// File and tensor of the scan's input, in order.
    pub members: Vec<(usize, usize)>,
}

/// A tensor's file and its number there.
type Member = (usize, usize);

/// Figures that are equal where bytes are.
type Figures = [u64; 8];

/// Bytes hashed at once.
const PIECE: u64 = 1 << 20;

/// Finds them among scanned tensors. Equal bytes have equal figures to the last digit, so only tensors with the same figures are
/// hashed. Tensors of one value throughout (zero biases, norms of ones) are left out, however many there are.
///
/// # Errors
/// I/O errors, files cut short or changed since.
pub fn duplicates(files: &[ScanFile], outcome: &ScanOutcome, observer: &dyn Observer) -> Result<Vec<DuplicateGroup>> {
    let mut alike: BTreeMap<Figures, Vec<Member>> = BTreeMap::new();
    for (f, (file, found)) in files.iter().zip(&outcome.files).enumerate() {
        for (t, (tensor, found)) in file.tensors.iter().zip(&found.tensors).enumerate() {
            let Some(stats) = found.stats.filter(|s| s.elements > 1 && !s.constant()) else { continue };
            let dtype = crate::dtype::Dtype::ALL.iter().position(|d| *d == tensor.dtype).unwrap_or(usize::MAX) as u64;
            let counts = stats.zeros ^ stats.negative_zeros.rotate_left(21) ^ stats.nan.rotate_left(42);
            let (moments, bits) = (stats.moments, f64::to_bits);
            let (low, high) = (bits(stats.raw_min), bits(stats.raw_max));
            let key = [dtype, tensor.bytes, tensor.elements, counts, low, high, bits(moments.mean), bits(moments.m2)];
            alike.entry(key).or_default().push((f, t));
        }
    }
    let candidates: Vec<(Figures, Member)> = alike
        .into_iter()
        .filter(|(_, members)| members.len() > 1)
        .flat_map(|(key, m)| m.into_iter().map(move |m| (key, m)))
        .collect();
    let of = |_, &(key, (f, t)): &(Figures, Member)| {
        let hash = if observer.cancelled() { None } else { Some(hash(&files[f], t)?) };
        Ok(hash.map(|hash| ((files[f].tensors[t].bytes, hash, key), (f, t))))
    };
    let hashed = threads::each(&candidates, 1, of).into_iter().collect::<Result<Option<Vec<_>>>>()?;
    let mut groups: BTreeMap<(u64, [u8; 32], Figures), Vec<Member>> = BTreeMap::new();
    for (key, member) in hashed.unwrap_or_default() {
        groups.entry(key).or_default().push(member);
    }
    let groups = groups.into_iter().filter(|(_, members)| members.len() > 1);
    let mut groups: Vec<DuplicateGroup> =
        groups.map(|((bytes, sha256, _), members)| DuplicateGroup { sha256, bytes, members }).collect();
    groups.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.members.cmp(&b.members)));
    Ok(groups)
}

fn hash(file: &ScanFile, tensor: usize) -> Result<[u8; 32]> {
    let input = Input::open(file, Io::Read)?;
    let tensor = &file.tensors[tensor];
    let (mut hasher, mut buffer) = (Sha256::new(), Vec::new());
    let mut done = 0;
    while done < tensor.bytes {
        let end = (done + PIECE).min(tensor.bytes);
        input.with_bytes(tensor.offset + done, tensor.offset + end, &mut buffer, &mut |bytes| hasher.update(bytes))?;
        done = end;
    }
    input.verify()?;
    Ok(hasher.finalize().into())
}
