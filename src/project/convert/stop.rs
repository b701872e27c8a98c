//! Why the converter writes nothing.

use std::fmt;

/// Why the converter stops, or why what it writes is not known; escaped.
#[derive(Debug, Clone)]
pub(crate) struct Stop(String);

impl Stop {
    /// Makes one of its reason.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The stop at a setting that config.json lacks.
    pub(super) fn lacks(key: &str) -> Self {
        Self(format!("config.json has no `{key}`: the converter stops"))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

impl From<&str> for Stop {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}
