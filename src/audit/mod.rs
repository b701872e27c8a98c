//! Judges a checkpoint and the folder around it: findings with stable codes, what was looked at, and whether a policy is met.
//!
//! Nothing is fetched, unpickled, rendered, extracted or run. A check is a file in `checks/` and a row of [`CHECKS`].

mod archive;
mod bounds;
mod check;
mod checks;
mod defects;
mod finding;
mod keras;
mod pickle;
mod pickled;
mod place;
mod policy;
mod raw_json;
mod subject;
mod template;
mod tensors;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use bounds::Bounds;
pub use check::Check;
pub use checks::{CHECKS, codes, find};
pub use finding::{Code, Finding, Severity};
pub use place::{Place, path_below};
pub use policy::Policy;
pub use subject::Hashed;

use finding::Findings;
use subject::{Subject, is_plain_text};

use crate::checkpoint::{self, Checkpoint, FoundFile, OpenOptions, OutsideSnapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::Observer;
use crate::scan::{self, ScanOptions, ScanOutcome, Selection};
use crate::stores::LocalModel;
use crate::units::sum_up;

/// What to audit, and how far.
#[derive(Debug, Clone, Default)]
pub struct AuditRequest {
    /// A shard stands for itself, not for its set.
    pub only_this_file: bool,
    /// Reads every value with these options.
    pub scan: Option<ScanOptions>,
    /// Hashes files whose hash a hub cache, the notes of a download or a manifest state.
    pub verify_hashes: bool,
    /// Which findings fail the audit.
    pub policy: Policy,
}

/// What was looked at; the names are those of the JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Coverage {
    /// Regular files that were seen.
    pub files_seen: u64,
    /// Files whose content was read and understood.
    pub files_understood: u64,
    /// The others, in name order.
    pub files_not_understood: Vec<String>,
    /// Bytes that were read of headers, texts, and weights where they were scanned, compared or hashed.
    pub bytes_read: u64,
    /// Those of them that were read to tell weight sets of the same tensor names apart.
    pub bytes_compared: u64,
    /// Whether every value was scanned.
    pub values_scanned: bool,
    /// What was hashed; `None` where that was not asked for.
    pub hashed: Option<Hashed>,
    /// What lies outside the snapshot that was taken of a hub cache's folder, and was not looked at.
    pub outside_snapshot: Option<OutsideSnapshot>,
}

/// The outcome of an audit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Audit {
    /// The path that was asked for.
    pub path: PathBuf,
    /// The folder and the file that findings are shown at.
    pub place: Place,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
    /// Findings that the policy leaves out.
    pub allowed: u64,
    /// Whether any finding is a failure by the policy.
    pub failed: bool,
    /// Whether something that was asked for could not be read at all.
    pub unreadable: bool,
    /// Whether a budget was asked about of which no verdict can be given.
    pub unanswered: bool,
    /// Whether the scan was stopped.
    pub interrupted: bool,
    /// What an audit looked at.
    pub coverage: Coverage,
    /// Notes on the checkpoint for the reader, above all on what was taken for it (already escaped).
    pub notes: Vec<String>,
}

impl Audit {
    /// How many findings have a severity.
    pub fn count(&self, severity: Severity) -> u64 {
        self.findings.iter().filter(|f| f.severity == severity).count() as u64
    }

    /// Whether the policy is met and everything that was asked for was looked at.
    pub fn is_passed(&self) -> bool {
        !self.failed && !self.unreadable && !self.unanswered && !self.interrupted
    }
}

/// Audits a path. What cannot be read is a finding, not an error.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is nothing at the path, [`ErrorKind::SeveralModels`] where several models are; a scan that cannot start.
pub fn audit(path: &Path, request: &AuditRequest, observer: &dyn Observer) -> Result<Audit> {
    audit_model(&LocalModel::of_path(path), request, observer)
}

/// Audits a model that was found by its name, as [`audit`] does a path.
///
/// # Errors
/// As [`audit`].
pub fn audit_model(model: &LocalModel, request: &AuditRequest, observer: &dyn Observer) -> Result<Audit> {
    let path = model.path();
    let opened = model.open(&OpenOptions { only_this_file: request.only_this_file, second_opinion: true });
    if let Err(error) = &opened
        && (error.kind() == ErrorKind::SeveralModels
            || (error.kind() == ErrorKind::NotFound && std::fs::symlink_metadata(path).is_err()))
    {
        return Err(error.clone());
    }
    let scanned = match (&opened, &request.scan) {
        (Ok(checkpoint), Some(options)) => Some(scan_values(checkpoint, options, observer)?),
        _ => None,
    };
    let mut subject = Subject::new(path, &opened, request.policy.bounds);
    subject.values = scanned.as_ref().map(|(selection, outcome)| (selection, outcome));
    subject.verify_hashes = request.verify_hashes;
    let mut findings = Findings::default();
    for check in CHECKS {
        (check.run)(&subject, &mut findings);
    }
    checks::failed_reads(&subject, &mut findings);
    let all = findings.finish();
    let unreadable = subject.problems().any(checks::is_unreadable) || subject.has_failures();
    let coverage = coverage(&subject, scanned.as_ref().map(|(_, outcome)| outcome));
    let total = all.len();
    let findings: Vec<Finding> = all.into_iter().filter(|f| !request.policy.allows(f)).collect();
    Ok(Audit {
        path: path.to_path_buf(),
        place: Place::of(&subject),
        allowed: (total - findings.len()) as u64,
        failed: findings.iter().any(|f| request.policy.denies(f)),
        unanswered: findings.iter().any(checks::is_unanswered),
        findings,
        unreadable,
        interrupted: scanned.as_ref().is_some_and(|(_, outcome)| outcome.interrupted),
        coverage,
        notes: subject.checkpoint.map(|c| c.notes.clone()).unwrap_or_default(),
    })
}

fn scan_values(
    checkpoint: &Checkpoint,
    options: &ScanOptions,
    observer: &dyn Observer,
) -> std::result::Result<(Selection, ScanOutcome), Error> {
    let selection = Selection::of(checkpoint, &|_| true);
    let outcome = scan::scan(&selection.files, options, observer)?;
    Ok((selection, outcome))
}

fn coverage(subject: &Subject<'_>, outcome: Option<&ScanOutcome>) -> Coverage {
    let understood: std::collections::HashSet<&str> = subject
        .files()
        .iter()
        .map(|f| f.name.as_str())
        .chain(subject.texts.iter().filter(|t| t.error.is_none() && t.over_limit.is_none()).map(|t| t.name.as_str()))
        .collect();
    let over: std::collections::HashSet<&str> =
        subject.texts.iter().filter(|t| t.over_limit.is_some()).map(|t| t.name.as_str()).collect();
    let indexes: std::collections::HashSet<&Path> =
        subject.checkpoint.map_or(&[][..], |c| &c.indexes).iter().map(|i| i.path.as_path()).collect();
    let seen = subject.seen_texts();
    let mut coverage = Coverage { files_seen: subject.listed().len() as u64, ..Coverage::default() };
    for file in subject.listed() {
        let plain = is_plain_text(&file.name) && seen.contains_key(&file.name) && !over.contains(file.name.as_str());
        let known = indexes.contains(file.path.as_path()) || is_sound_index(subject, file) || plain;
        if known || understood.contains(file.name.as_str()) {
            coverage.files_understood += 1;
        } else {
            coverage.files_not_understood.push(file.name.clone());
        }
    }
    if subject.checkpoint.is_none() {
        coverage.files_seen = 1;
        coverage.files_not_understood.push(subject.name_of(subject.path));
    }
    let headers: u64 = subject.containers().map(|(_, c)| c.layout.data_start.min(c.file_len)).sum();
    let whole: std::collections::HashSet<&str> = subject.texts.iter().map(|t| t.name.as_str()).collect();
    let plain = seen.iter().filter(|(name, _)| !whole.contains(name.as_str())).map(|(_, bytes)| *bytes);
    let texts = sum_up(subject.texts.iter().map(|t| t.bytes).chain(plain));
    let compared = subject.checkpoint.map_or(0, |c| c.compared_bytes);
    coverage.bytes_compared = compared;
    coverage.hashed = subject.hashed.get();
    coverage.outside_snapshot = subject.checkpoint.and_then(|c| c.listing.outside_snapshot());
    let hashed = coverage.hashed.map_or(0, |h| h.bytes);
    coverage.bytes_read = headers + texts + compared + hashed + outcome.map_or(0, |o| o.bytes_read);
    coverage.values_scanned = outcome.is_some_and(|o| o.complete);
    coverage
}

/// A shard index whose names were read: one of another framework, or of a variant, is no part of the checkpoint.
fn is_sound_index(subject: &Subject<'_>, file: &FoundFile) -> bool {
    let is_damaged = |e: &Error| e.path() == Some(&file.path) && e.kind() != ErrorKind::OutsideFolder;
    checkpoint::is_shard_index(&file.name) && !subject.problems().any(is_damaged)
}
