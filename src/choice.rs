//! Options that take one of a few words: the words stand beside the type that they name, for the command line, policies and other callers.

use crate::error::{Error, ErrorKind, Result};
use crate::text::escape;

/// A type whose values have names.
pub trait Choice: Copy + 'static {
    /// What is chosen, as an error names it: `way to read`.
    const WHAT: &'static str;

    /// Every name with its value and with what it means, in the order in which help lists them. A name without a meaning is another
    /// spelling of the value before it, which help leaves out.
    const NAMES: &'static [(&'static str, Self, &'static str)];

    /// The value of a name, in upper or lower case.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a word that names none; its advice lists the names.
    fn parse_name(text: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text.trim())).map(|(_, value, _)| *value);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().filter(|(.., about)| !about.is_empty()).map(|(name, ..)| *name).collect();
            Error::new(ErrorKind::Usage, format!("unknown {} `{}`", Self::WHAT, escape(text)))
                .help(format!("known: {}", names.join(", ")))
        })
    }
}
