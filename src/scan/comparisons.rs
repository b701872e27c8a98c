//! What reading values a second time tells after a scan: whether the output head copies the embedding, and which tensors are equal.

use super::full::{self, DuplicateGroup};
use super::{CopyCheck, ScanOutcome, Selection, compare};
use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::{Error, Result};
use crate::observe::{Observer, Silent};

/// An input embedding and an output head that may be one matrix stored twice, and what their values tell.
#[derive(Debug, Clone, Copy)]
pub struct TieCheck<'a> {
    /// The input embedding.
    pub embedding: Tensor<'a>,
    /// The output head.
    pub head: Tensor<'a>,
    /// What comparing them found.
    pub check: CopyCheck,
}

/// Comparisons made after a scan.
#[derive(Debug, Default)]
pub struct Comparisons<'a> {
    /// The head beside the embedding, where the headers leave open whether it is a copy and the whole checkpoint was scanned.
    pub tie: Option<TieCheck<'a>>,
    /// Why they could not be compared.
    pub tie_error: Option<Error>,
    /// Tensors of equal bytes, or why they were not looked for; `None` where they were not asked for or the scan was stopped.
    pub duplicates: Option<Result<Vec<DuplicateGroup>>>,
}

impl<'a> Comparisons<'a> {
    /// Compares what a finished scan leaves open; equal tensors are looked for where `with_duplicates` asks for them.
    pub fn after(
        checkpoint: &'a Checkpoint,
        selection: &Selection,
        outcome: &ScanOutcome,
        with_duplicates: bool,
        observer: &dyn Observer,
    ) -> Self {
        if outcome.interrupted {
            return Self::default();
        }
        let duplicates = with_duplicates.then(|| full::duplicates(&selection.files, outcome, observer));
        let whole = selection.order.iter().map(Vec::len).sum::<usize>() == checkpoint.tensors().len();
        match if whole { tie(checkpoint) } else { Ok(None) } {
            Ok(tie) => Self { tie, tie_error: None, duplicates },
            Err(error) => Self { tie: None, tie_error: Some(error), duplicates },
        }
    }
}

fn tie(checkpoint: &Checkpoint) -> Result<Option<TieCheck<'_>>> {
    let Some((embedding, head)) = checkpoint.tied.pair(checkpoint) else { return Ok(None) };
    let path = |file: usize| checkpoint.files[file].path.as_path();
    let check = compare((&embedding, path(embedding.file)), (&head, path(head.file)), &Silent)?;
    Ok(Some(TieCheck { embedding, head, check }))
}
