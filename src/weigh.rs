//! A checkpoint's questions in one call each, with the defaults of the command. What each answers stands in the room it comes from.

use std::path::Path;

use crate::audit::{Audit, AuditRequest, audit};
use crate::checkpoint::{Checkpoint, OpenOptions, Summary, open_or_declared};
use crate::error::Result;
use crate::observe::{Observer, Silent};
use crate::project::{MemoryReport, MemoryRequest, Projection, Request, Target, memory_of_checkpoint, project_checkpoint};
use crate::report::scan::ScanBody;
use crate::report::show::{Totals, totals};
use crate::scan::{Comparisons, ScanOptions, Selection, scan};

impl Checkpoint {
    /// Opens a file, a shard (its whole set), a shard index, a repo folder or a hub cache folder. A `config.json` without weights stands
    /// for the tensors that it declares.
    ///
    /// # Errors
    /// When nothing at all can be said. Files of a set that cannot be read stand in [`Checkpoint::problems`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        open_or_declared(path.as_ref(), &OpenOptions::default())
    }

    /// Sums over the selected weight sets: tensors, stored elements, logical parameters, bytes.
    pub fn totals(&self) -> Totals {
        totals(&Summary::of(self))
    }

    /// Reads every value and gives counts, extremes and moments by dtype and role. Reads on all cores and does not map the files.
    ///
    /// # Errors
    /// When the scan cannot start. Files that cannot be read stand in [`ScanBody::errors`].
    pub fn scan(&self) -> Result<ScanBody<'static>> {
        self.scan_with(&ScanOptions::default(), &Silent)
    }

    /// The same with options and an observer, who is told of progress and can stop it.
    ///
    /// # Errors
    /// As [`Checkpoint::scan`].
    pub fn scan_with(&self, options: &ScanOptions, observer: &dyn Observer) -> Result<ScanBody<'static>> {
        let selection = Selection::of(self, &|_| true);
        let outcome = scan(&selection.files, options, observer)?;
        let compared = Comparisons::after(self, &selection, &outcome, false, observer);
        Ok(ScanBody::of(self, &outcome, None, &selection.order).with_comparisons(self, &selection, &compared))
    }

    /// What it would weigh under schemes: names parted by commas, such as `q4_k_m,gguf:f16,int8`, or `all`. A scheme that is unknown or
    /// that its tool refuses is a row with the reason.
    pub fn project(&self, schemes: &str) -> Projection {
        let targets = Target::parse_list(schemes, self.format());
        project_checkpoint(self, &Request { targets, ..Request::default() })
    }

    /// What it takes to run, or to train: by the engines that read its format where the request names none.
    pub fn memory(&self, request: &MemoryRequest) -> MemoryReport {
        memory_of_checkpoint(self, request)
    }

    /// What is wrong with the folder or file that it was opened from; it is looked at anew.
    ///
    /// # Errors
    /// When there is nothing to look at.
    pub fn audit(&self, request: &AuditRequest) -> Result<Audit> {
        audit(&self.path, request, &Silent)
    }
}
