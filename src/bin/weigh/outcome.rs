//! How commands end, and the exit codes.

use weighbridge::project::MemoryReport;
use weighbridge::project::memory::Verdict;

use crate::interrupt;

/// How a command ended, when it could do its work at all; worse ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Everything asked for was done.
    Done,
    /// There are findings, or a budget is exceeded: `--fit` says no.
    Findings,
    /// Something could not be read or answered; the rest was reported.
    Incomplete,
    /// Ctrl-C; what was done so far was reported as partial.
    Interrupted,
}

impl Outcome {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Incomplete => 2,
            Self::Interrupted => interrupt::EXIT_CODE,
        }
    }

    /// The worst of the verdicts on budgets: a budget that is exceeded is a finding, one of which no verdict can be given was not
    /// answered. `tight` is an answer.
    pub(crate) fn of_budgets(report: &MemoryReport) -> Self {
        let outcomes = report.fit.iter().map(|row| match row.verdict {
            Verdict::No => Self::Findings,
            Verdict::Unknown => Self::Incomplete,
            Verdict::Tight | Verdict::Fits => Self::Done,
        });
        outcomes.max().unwrap_or(Self::Done)
    }
}
