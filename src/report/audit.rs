//! The body of `weigh audit`, with the field names of the JSON.

use serde::Serialize;

use crate::audit::{Audit, Finding, Hashed, Severity};
use crate::checkpoint::OutsideSnapshot;

/// What was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct CoverageRow {
    /// Regular files seen.
    pub files_seen: u64,
    /// Files whose content was read and understood.
    pub files_understood: u64,
    /// The others, named.
    pub files_not_understood: Vec<String>,
    /// Bytes read.
    pub bytes_read: u64,
    /// Those of them that were read to tell weight sets of the same tensor names apart.
    pub bytes_compared: u64,
    /// Whether every value was scanned.
    pub values_scanned: bool,
    /// What was hashed; null where that was not asked for.
    pub hashed: Option<Hashed>,
    /// What lies outside the snapshot that was taken of a hub cache's folder; null where none was taken.
    pub outside_snapshot: Option<OutsideSnapshot>,
}

/// Findings per severity.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Counts {
    /// Errors.
    pub error: u64,
    /// Warnings.
    pub warning: u64,
    /// Notes.
    pub note: u64,
    /// Findings that the policy leaves out.
    pub allowed: u64,
}

/// The body.
#[derive(Debug, Clone, Serialize)]
pub struct AuditBody {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// What was looked at.
    pub coverage: CoverageRow,
    /// How many.
    pub counts: Counts,
    /// Whether the policy is met.
    pub passed: bool,
    /// What a reader should know of the checkpoint, above all what was taken for it; escaped.
    pub notes: Vec<String>,
}

impl AuditBody {
    /// The body of an audit.
    pub fn of(audit: &Audit) -> Self {
        let c = &audit.coverage;
        Self {
            findings: audit.findings.clone(),
            coverage: CoverageRow {
                files_seen: c.files_seen,
                files_understood: c.files_understood,
                files_not_understood: c.files_not_understood.clone(),
                bytes_read: c.bytes_read,
                bytes_compared: c.bytes_compared,
                values_scanned: c.values_scanned,
                hashed: c.hashed,
                outside_snapshot: c.outside_snapshot,
            },
            counts: Counts {
                error: audit.count(Severity::Error),
                warning: audit.count(Severity::Warning),
                note: audit.count(Severity::Note),
                allowed: audit.allowed,
            },
            passed: !audit.failed && !audit.unreadable && !audit.unanswered,
            notes: audit.notes.clone(),
        }
    }
}
