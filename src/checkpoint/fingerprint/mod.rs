//! Whether two sets of tensors of the same names hold the same values: a few fixed ranges of both are compared.
//!
//! Names and shapes prove nothing: two fine-tunes of one base, or the two experts of a pipeline, have the same ones. Ranges that
//! differ prove difference; equal ones make a copy likely, and the answer says how much was compared. Only where names collide is
//! anything read, and never more than [`MAX_READ`] bytes of one side.

mod cast;
mod pairs;
mod read;

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::CheckpointFile;
use super::names::is_buffer;
use crate::format::{Container, TensorInfo};
use crate::text::escape_limited;
use crate::units::grouped;
use pairs::{Pairs, Place};
use read::{Outcome, Reader};

/// Bytes of one range: a page, less than what a disk fetches for it anyway.
const PIECE: u64 = 4096;

/// Ranges of one tensor: at its beginning, middle and end.
const PIECES: u64 = 3;

/// Kinds of tensors (names without their numbers) that ranges are taken of. Models have some ten to thirty.
const MAX_KINDS: usize = 48;

/// Tensors of one kind: the first, the middle and the last.
const OF_A_KIND: u64 = 3;

/// What both hold is compared to the last byte up to this size.
const WHOLE: u64 = 1 << 20;

/// Tensors whose ranges are compared before all else where two sets agree in every name, type and shape: different models mostly
/// differ in the first of them, so that a folder of a thousand adapters costs a few pages each.
const PROBED: usize = 4;

/// Most bytes that one comparison reads of one side.
pub const MAX_READ: u64 = MAX_KINDS as u64 * OF_A_KIND * PIECES * PIECE + PROBED as u64 * PIECE;

/// Tensors of one side beyond which nothing is compared: twice those of the largest models of today.
const MAX_TENSORS: usize = 250_000;

/// What is known of the values of a weight set beside another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Likeness {
    /// Something proves that they are not of one model in one form.
    Different {
        /// What differs, in words; escaped.
        at: String,
    },
    /// Everything that was compared is equal.
    EqualSoFar {
        /// Bytes of this set that were compared.
        compared: u64,
        /// Bytes of its tensors that can be compared: of one type in both, or floats of two widths.
        comparable: u64,
        /// Bytes of all its tensors.
        of: u64,
        /// Whether equal means equal after a cast, as between F32 and F16.
        cast: bool,
    },
    /// Nothing can be said.
    Incomparable(Obstacle),
}

/// Why two sets were not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// No tensor of a name, shape and type that both have.
    Types,
    /// One name, two shapes of plain weights: not one model, or not all of it. In words; escaped.
    Shapes(String),
    /// Packed on one side, and what is not packed differs too: some quantizers change it (AWQ folds scales into norms).
    Quantized(String),
    /// Values agree to the last digit of the shorter type, but none is a plain cast of the other. In words; escaped.
    Rounded(String),
    /// No names in common.
    Names,
    /// Another file format.
    Format,
    /// An earlier state of the same training, by its name and its tensors' names.
    EarlierState,
    /// More tensors than are compared.
    TooMany,
    /// A file that cannot be read, or changed: which and why; escaped.
    Unreadable(String),
}

impl Likeness {
    /// Whether every byte of the set was read and is equal: the one case in which it is a copy for sure.
    pub fn is_copy(&self) -> bool {
        matches!(self, Self::EqualSoFar { compared, of, cast: false, .. } if compared == of)
    }

    /// Whether a copy is likely: most of it can be compared, and what was compared is equal.
    pub fn is_likely_copy(&self) -> bool {
        matches!(self, Self::EqualSoFar { comparable, of, .. } if *comparable > of / 2)
    }

    /// Whether it is proven that the values are not the same.
    pub fn is_different(&self) -> bool {
        matches!(self, Self::Different { .. } | Self::Incomparable(Obstacle::Shapes(_)))
    }

    /// Bytes that were compared and are equal.
    pub fn compared(&self) -> u64 {
        if let Self::EqualSoFar { compared, .. } = self { *compared } else { 0 }
    }

    /// One word for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::EqualSoFar { cast: true, .. } if self.is_likely_copy() => "likely_copy_in_another_type",
            _ if self.is_copy() => "copy",
            _ if self.is_likely_copy() => "likely_copy",
            _ if self.is_different() => "different",
            Self::Incomparable(Obstacle::EarlierState) => "earlier_state",
            _ => "not_compared",
        }
    }
}

/// In words that follow "NAME is" or stand alone.
impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Different { at } => f.write_str(at),
            Self::EqualSoFar { of, .. } if self.is_copy() => {
                write!(f, "a copy: all {} bytes of its tensors were compared and are equal", grouped(*of))
            }
            Self::EqualSoFar { compared, of, cast, .. } if self.is_likely_copy() => {
                let form = if *cast { "a copy in another type" } else { "a copy" };
                write!(f, "likely {form}, {} of {} bytes compared", grouped(*compared), grouped(*of))
            }
            Self::EqualSoFar { compared, of, .. } => {
                let (compared, of) = (grouped(*compared), grouped(*of));
                write!(f, "same names; {compared} of {of} bytes compared and equal, the rest is of other types")
            }
            Self::Incomparable(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Types => f.write_str("same names; values not compared: other types"),
            Self::Shapes(at) => write!(f, "same names, other shapes: {at}"),
            Self::Quantized(at) => {
                write!(f, "same names; values not compared: one is quantized, and what is not packed differs ({at})")
            }
            Self::Rounded(at) => write!(f, "same names; values agree to rounding only ({at}), neither is a cast of the other"),
            Self::Names => f.write_str("other names; values not compared"),
            Self::Format => f.write_str("another file format; values not compared"),
            Self::EarlierState => f.write_str("another state of the same training; values not compared"),
            Self::TooMany => write!(f, "same names; values not compared: more than {} tensors", grouped(MAX_TENSORS as u64)),
            Self::Unreadable(why) => write!(f, "same names; values not compared: {why}"),
        }
    }
}

/// The files of one weight set, with what was read of them so far.
pub(super) struct Side<'a> {
    files: Vec<&'a CheckpointFile>,
    structure: OnceCell<Structure>,
    probe: OnceCell<Result<Vec<Probe>, Obstacle>>,
}

/// What names, types and shapes a set has, as numbers that do not depend on the order of tensors. Equal ones call for a closer look
/// and prove nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Structure {
    names: u64,
    all: u64,
    /// Tensors of which the probe is taken, by their numbers.
    probed: Vec<(u64, Place)>,
}

/// A range in the middle of a tensor.
struct Probe {
    place: Place,
    bytes: Vec<u8>,
}

impl<'a> Side<'a> {
    pub(super) fn new(files: Vec<&'a CheckpointFile>) -> Self {
        Self { files, structure: OnceCell::new(), probe: OnceCell::new() }
    }

    /// The files.
    pub(super) fn files(&self) -> &[&'a CheckpointFile] {
        &self.files
    }

    /// How many tensors.
    pub(super) fn len(&self) -> usize {
        self.files.iter().map(|f| f.container.tensors.len()).sum()
    }

    /// Every tensor with the file it stands in.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&'a Container, &'a TensorInfo)> {
        self.files.iter().flat_map(|f| f.container.tensors.iter().map(|t| (&f.container, t)))
    }

    /// A number that sets of the same names and types have in common, whatever their shapes.
    pub(super) fn names_number(&self) -> u64 {
        self.structure().names
    }

    /// Whether both seem to have the same names, types and shapes.
    pub(super) fn same_structure_as(&self, other: &Self) -> bool {
        self.len() == other.len() && self.structure().all == other.structure().all
    }

    fn structure(&self) -> &Structure {
        self.structure.get_or_init(|| {
            let mut structure = Structure { names: 0, all: 0, probed: Vec::new() };
            for (file, tensors) in self.files.iter().map(|f| &f.container).enumerate() {
                for (tensor, info) in tensors.tensors.iter().enumerate() {
                    let mut hasher = DefaultHasher::new();
                    tensors.name_bytes(info).hash(&mut hasher);
                    tensors.dtype_name(info.dtype).hash(&mut hasher);
                    structure.names = structure.names.wrapping_add(hasher.finish());
                    info.shape.hash(&mut hasher);
                    let number = hasher.finish();
                    structure.all = structure.all.wrapping_add(number);
                    let list = &mut structure.probed;
                    let at = list.partition_point(|(other, _)| *other <= number);
                    if at < PROBED && info.bytes > 0 {
                        list.insert(at, (number, Place { file, tensor }));
                        list.truncate(PROBED);
                    }
                }
            }
            structure
        })
    }

    fn info(&self, place: Place) -> (&'a Container, &'a TensorInfo) {
        let container = &self.files[place.file].container;
        (container, &container.tensors[place.tensor])
    }

    /// The name as messages show it.
    fn shown(&self, place: Place) -> String {
        let (container, info) = self.info(place);
        format!("`{}`", escape_limited(&container.name(info), 60))
    }

    fn is_buffer(&self, place: Place) -> bool {
        let (container, info) = self.info(place);
        is_buffer(&container.name(info), info.dtype, &info.shape)
    }

    fn probe(&self, read: &Cell<u64>) -> Result<&[Probe], Obstacle> {
        let probe = self.probe.get_or_init(|| {
            let mut reader = Reader::new(&self.files, read);
            let mut probes = Vec::with_capacity(PROBED);
            for &(_, place) in &self.structure().probed {
                let info = self.info(place).1;
                let bytes = reader.read(place.file, info.offset + info.bytes / 2, (info.bytes - info.bytes / 2).min(PIECE))?;
                probes.push(Probe { place, bytes: bytes.to_vec() });
            }
            reader.finish()?;
            Ok(probes)
        });
        probe.as_deref().map_err(Clone::clone)
    }
}

/// Compares `b` with `a`. `read` counts the bytes that are read.
pub(super) fn compare(a: &Side<'_>, b: &Side<'_>, read: &Cell<u64>) -> Likeness {
    match known(a, b, read) {
        Ok(likeness) => likeness,
        Err(obstacle) => Likeness::Incomparable(obstacle),
    }
}

fn known(a: &Side<'_>, b: &Side<'_>, read: &Cell<u64>) -> Result<Likeness, Obstacle> {
    if a.len().max(b.len()) > MAX_TENSORS {
        return Err(Obstacle::TooMany);
    }
    if a.same_structure_as(b) {
        let probes = a.probe(read)?.iter().zip(b.probe(read)?);
        // Where a packed weight differs it matters whether a plain one does too.
        let plain = |probe: &Probe| pairs::is_plain(a.info(probe.place));
        if let Some((probe, _)) = probes.into_iter().find(|(x, y)| x.bytes != y.bytes && plain(x)) {
            return Ok(Likeness::Different { at: differs(&a.shown(probe.place), false) });
        }
    }
    let pairs = Pairs::of(a, b)?;
    let (mut of_a, mut of_b) = (Reader::new(&a.files, read), Reader::new(&b.files, read));
    let outcome = read::compare(a, b, &pairs, (&mut of_a, &mut of_b));
    // What was read of a file that changed meanwhile is worth nothing, an error that came of it included.
    of_a.finish().and_then(|()| of_b.finish())?;
    let of = b.tensors().fold(0u64, |sum, (_, t)| sum.saturating_add(t.bytes));
    match outcome? {
        Outcome::Equal { compared, cast } if compared > 0 => {
            Ok(Likeness::EqualSoFar { compared, comparable: pairs.bytes(b), of, cast })
        }
        Outcome::Equal { .. } => Err(Obstacle::Types),
        Outcome::Differs { place } if pairs.decisive => {
            let packed = pairs.alike && !pairs::is_plain(a.info(place));
            Ok(Likeness::Different { at: differs(&a.shown(place), packed) })
        }
        Outcome::Differs { place } => Err(Obstacle::Quantized(a.shown(place))),
        Outcome::Rounded { place } => Err(Obstacle::Rounded(a.shown(place))),
    }
}

/// In words: what differs, and what a packed weight alone does not tell.
fn differs(shown: &str, packed: bool) -> String {
    let doubt = if packed {
        ", a packed weight, while the plain ones that were compared agree: fine-tuned, or quantized otherwise"
    } else {
        ""
    };
    format!("same names, other values: {shown} differs{doubt}")
}

#[cfg(test)]
mod tests;
