//! What a scan of one part writes, and how the parts of one scan become its figures.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::full::{FullOutcome, FullPart, merge_full};
use super::{ScanOutcome, Selection, merge_parts};
use crate::error::{Error, ErrorKind, Result};
use crate::source::read_small;
use crate::stats::ScanPart;
use crate::text::{escape_limited, shown_path};

/// Largest part that is read, in bytes: a part of a model of a million tensors stays below it.
const MAX_PART: u64 = 4 << 30;

/// A part, and the question it answers, so that merging can ask it again. The names are those of the JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartDocument {
    /// The path that was scanned.
    pub scanned: String,
    /// The filter on names.
    pub filter: Option<String>,
    /// Whether tensors are to be listed.
    pub list_tensors: bool,
    /// Whether a shard stood for itself, not for its set.
    pub only_this_file: bool,
    /// The figures of the base pass.
    pub part: ScanPart,
    /// Those of the full pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<FullPart>,
}

impl PartDocument {
    /// Reads a part from a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is no part of a scan.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_small(path, MAX_PART)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            let reason = escape_limited(&e.to_string(), 120);
            Error::new(ErrorKind::Malformed, format!("not a part of a scan: {reason}"))
                .with_path(path)
                .help("parts are written by `weigh scan PATH --part I/N -o FILE`")
        })
    }
}

/// The figures of the base pass and, where every part has them, of the full pass.
pub type MergedScan = (ScanOutcome, Option<FullOutcome>);

/// Parts of one scan: of one path, with one filter.
#[derive(Debug, Clone)]
pub struct PartDocuments {
    parts: Vec<(PathBuf, PartDocument)>,
}

impl PartDocuments {
    /// Reads the parts of one scan from files.
    ///
    /// # Errors
    /// When there are none, or a file is no part, or a part of another scan than the first.
    pub fn read(paths: &[PathBuf]) -> Result<Self> {
        let parts: Vec<(PathBuf, PartDocument)> =
            paths.iter().map(|path| Ok((path.clone(), PartDocument::read(path)?))).collect::<Result<_>>()?;
        let Some(((first_path, first), rest)) = parts.split_first() else {
            return Err(Error::new(ErrorKind::Usage, "no parts were given"));
        };
        let question = |part: &PartDocument| (part.scanned.clone(), part.filter.clone(), part.only_this_file);
        for (path, part) in rest {
            if question(part) != question(first) {
                let message = format!("a part of another scan than {}", shown_path(first_path));
                return Err(Error::new(ErrorKind::Usage, message).with_path(path));
            }
        }
        Ok(Self { parts })
    }

    /// The first part, whose question all of them answer.
    pub fn first(&self) -> &PartDocument {
        &self.parts[0].1
    }

    /// Whether any of them is to list tensors.
    pub fn lists_tensors(&self) -> bool {
        self.parts.iter().any(|(_, part)| part.list_tensors)
    }

    /// The figures of one scan of the whole. `selection` is what the checkpoint's headers say now: names, shapes and roles come from
    /// there, the parts hold figures only.
    ///
    /// # Errors
    /// When the parts are not one whole, uninterrupted set, or the checkpoint is not the one they were scanned from.
    pub fn merge(&self, selection: &Selection) -> Result<MergedScan> {
        let base: Vec<ScanPart> = self.parts.iter().map(|(_, part)| part.part.clone()).collect();
        check_same_checkpoint(&base, selection)?;
        let outcome = merge_parts(&base)?;
        let full = self.merge_full(&outcome, selection)?;
        Ok((outcome, full))
    }

    fn merge_full(&self, base: &ScanOutcome, selection: &Selection) -> Result<Option<FullOutcome>> {
        let parts: Vec<&FullPart> = self.parts.iter().filter_map(|(_, part)| part.full.as_ref()).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        if parts.len() != self.parts.len() {
            return Err(Error::new(ErrorKind::Usage, "some parts were scanned with --stats full, others without")
                .help("scan all parts with the same options"));
        }
        // The base figures are of the checkpoint, which was looked at.
        let fits = |part: &FullPart| {
            part.files.len() == base.files.len()
                && part.files.iter().zip(&base.files).all(|(of, now)| of.len() == now.tensors.len())
        };
        if !parts.iter().all(|part| fits(part)) {
            return Err(stale());
        }
        // Each weight stands in the histograms once at most.
        let elements = selection.files.iter().flat_map(|file| &file.tensors).map(|tensor| tensor.elements);
        let most = elements.fold(0, u64::saturating_add);
        let mut counts = parts.iter().flat_map(|part| &part.pooled).flatten();
        let counted = counts.try_fold(0u64, |sum, pooled| sum.checked_add(pooled.counted()?));
        if counted.is_none_or(|counted| counted > most) {
            let message = format!("the parts count more values than the {most} elements that the checkpoint has");
            return Err(Error::new(ErrorKind::Malformed, message).help("scan the parts again"));
        }
        let mut full = merge_full(&parts)?;
        full.reconcile(&mut base.clone());
        Ok(Some(full))
    }
}

fn stale() -> Error {
    Error::new(ErrorKind::Changed, "the checkpoint is not the one that the parts were scanned from").help("scan the parts again")
}

fn check_same_checkpoint(parts: &[ScanPart], selection: &Selection) -> Result<()> {
    for part in parts {
        if part.files.len() != selection.files.len() {
            return Err(stale());
        }
        for (of_part, now) in part.files.iter().zip(&selection.files) {
            let same_len = of_part.len.is_none() || now.identity.is_none_or(|id| Some(id.len) == of_part.len);
            let same_tensors = of_part.tensors.len() == now.tensors.len()
                && of_part
                    .tensors
                    .iter()
                    .zip(&now.tensors)
                    .all(|(a, b)| (a.offset, a.bytes, a.elements) == (b.offset, b.bytes, b.elements));
            if !same_len || !same_tensors {
                return Err(stale());
            }
        }
    }
    Ok(())
}
