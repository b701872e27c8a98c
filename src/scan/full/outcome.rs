//! What the full pass found, and how parts of it become one.

use serde::{Deserialize, Serialize};

use super::cast::CastTarget;
use super::pooled::{Pooled, PooledPart};
use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};
use crate::scan::{ScanOutcome, Skip, TensorOutcome};
use crate::stats::full::FullStats;

/// One file after the full pass.
#[derive(Debug, Clone, Default)]
pub struct FullFile {
    /// Its tensors, in the order of the input; `None` for those that were not looked at, or not wholly.
    pub tensors: Vec<Option<Box<FullStats>>>,
    /// Why its figures were withdrawn or never made.
    pub error: Option<Error>,
}

/// A finished (or stopped) full pass.
#[derive(Debug, Clone, Default)]
pub struct FullOutcome {
    /// The files, in the order of the input.
    pub files: Vec<FullFile>,
    /// Bytes of weights that were read, those of further looks included.
    pub bytes_read: u64,
    /// Wall time.
    pub seconds: f64,
    /// Whether the observer stopped it.
    pub interrupted: bool,
    /// The type that casts were tried to.
    pub cast: Option<CastTarget>,
    /// All tensors together, by role and dtype; `None` where some of them were withdrawn.
    pub pooled: Option<Pooled>,
}

/// What a part of a full pass found: whole tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FullPart {
    /// The name of the cast's target.
    pub cast: Option<String>,
    /// Bytes of weights that were read.
    pub bytes_read: u64,
    /// Figures, by file and tensor; null for tensors of other parts.
    pub files: Vec<Vec<Option<Box<FullStats>>>>,
    /// Its tensors together; null where some of them were withdrawn.
    pub pooled: Option<Vec<PooledPart>>,
}

impl FullOutcome {
    /// The figures of a tensor by its file and its place there.
    pub fn of(&self, file: usize, tensor: usize) -> Option<&FullStats> {
        self.files.get(file)?.tensors.get(tensor)?.as_deref()
    }

    /// In the form of a part.
    pub fn to_part(&self) -> FullPart {
        FullPart {
            cast: self.cast.map(|cast| cast.name().to_owned()),
            bytes_read: self.bytes_read,
            files: self.files.iter().map(|file| file.tensors.clone()).collect(),
            pooled: self.pooled.as_ref().map(Pooled::to_part),
        }
    }

    /// Withdraws the base figures of files that changed during the full pass, and those of this pass for files that the base pass
    /// withdrew.
    pub fn reconcile(&mut self, base: &mut ScanOutcome) {
        for (full, base) in self.files.iter_mut().zip(&mut base.files) {
            if let Some(error) = &full.error {
                base.error.get_or_insert_with(|| error.clone());
            }
            if base.error.is_some() {
                if full.tensors.iter().any(Option::is_some) {
                    self.pooled = None;
                }
                full.tensors.iter_mut().for_each(|tensor| *tensor = None);
                for tensor in base.tensors.iter_mut().filter(|t| t.stats.is_some_and(|s| s.elements > 0) || !t.nodes.is_empty()) {
                    *tensor = TensorOutcome { skipped: Some(Skip::FileFailed), ..TensorOutcome::default() };
                }
            }
        }
        base.complete &= self.files.iter().all(|file| file.error.is_none());
        base.interrupted |= self.interrupted;
    }
}

/// Puts the parts of a full pass together; the base figures of the same parts say whether they are a whole set.
///
/// # Errors
/// [`ErrorKind::Usage`] when they overlap, are of other casts, or of other checkpoints.
pub fn merge_full(parts: &[&FullPart]) -> Result<FullOutcome> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::Usage, why.to_owned()));
    let Some((first, rest)) = parts.split_first() else { return Ok(FullOutcome::default()) };
    let mut merged = FullOutcome {
        cast: first.cast.as_deref().and_then(|name| CastTarget::parse_name(name).ok()),
        bytes_read: parts.iter().fold(0, |sum, part| sum.saturating_add(part.bytes_read)),
        files: first.files.iter().map(|tensors| FullFile { tensors: tensors.clone(), error: None }).collect(),
        ..FullOutcome::default()
    };
    let mut pooled = Some(Pooled::default());
    for part in parts {
        let more = part.pooled.as_deref().map(Pooled::of_part).transpose()?;
        pooled = pooled.zip(more).map(|(mut all, more)| {
            all.merge(more);
            all
        });
    }
    merged.pooled = pooled;
    for part in rest {
        if part.cast != first.cast {
            return refuse("the parts were scanned with different --cast");
        }
        if part.files.len() != merged.files.len() {
            return refuse("the parts are of different checkpoints");
        }
        for (into, from) in merged.files.iter_mut().zip(&part.files) {
            if into.tensors.len() != from.len() {
                return refuse("the parts are of different checkpoints");
            }
            for (into, from) in into.tensors.iter_mut().zip(from) {
                match (&into, from) {
                    (Some(_), Some(_)) => return refuse("the parts overlap: they are damaged or of different scans"),
                    (None, Some(stats)) => *into = Some(stats.clone()),
                    _ => {}
                }
            }
        }
    }
    Ok(merged)
}
