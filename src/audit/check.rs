//! What a check is.

use super::finding::{Code, Findings, Severity};
use super::subject::Subject;

/// A check: the codes that it may give, and the function that looks for them.
pub struct Check {
    /// Name of its file in `checks/`.
    pub name: &'static str,
    /// Codes of the findings that it may give.
    pub codes: &'static [Code],
    /// Looks at the subject and adds what it finds.
    pub(crate) run: fn(&Subject<'_>, &mut Findings),
}

/// The row of a code.
pub(super) const fn code(code: &'static str, title: &'static str, severity: Severity, explanation: &'static str) -> Code {
    Code { code, title, severity, explanation }
}
