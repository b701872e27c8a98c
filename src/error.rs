//! The one error type: what went wrong, in which file, where in it, and what to do next.

use std::path::{Path, PathBuf};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::text::{escape_limited, shown_path};

/// Result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The class of a failure, for callers that decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The path does not exist.
    NotFound,
    /// The operating system refused or failed a read.
    Io,
    /// A directory, FIFO, device or socket where a regular file was expected.
    NotRegularFile,
    /// The content is recognised as something else than a checkpoint (LFS pointer, HTML page, pickle, ...).
    WrongContent,
    /// The file ends before what its header promises; nothing can be said about it.
    Truncated,
    /// The header contradicts the rules of its format so that nothing can be said.
    Malformed,
    /// A bound of this crate (see `format::limits`) was reached.
    Limit,
    /// A known variant that is not read (GGUF v1, big-endian GGUF).
    Unsupported,
    /// The file changed while it was read.
    Changed,
    /// A shard that an index or the numbering of its neighbours promises is not there.
    MissingShard,
    /// A link or a name in an index that leads out of the folder asked for.
    OutsideFolder,
    /// A link whose target is not there.
    BrokenLink,
    /// A link that leads back to itself.
    LinkLoop,
    /// A download that was not finished.
    PartialDownload,
    /// A folder that holds several models where one was asked for.
    SeveralModels,
    /// The caller asked to stop.
    Cancelled,
    /// The request itself makes no sense (an unknown scheme, a size that cannot be parsed).
    Usage,
}

impl ErrorKind {
    /// Stable kebab-case name, as reports spell it: that of the variant.
    pub fn code(self) -> String {
        let mut code = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() && !code.is_empty() {
                code.push('-');
            }
            code.push(c.to_ascii_lowercase());
        }
        code
    }
}

/// An error with its place. `Display` gives one line with everything known; all foreign text in it is escaped.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.line())]
pub struct Error {
    kind: ErrorKind,
    path: Option<PathBuf>,
    offset: Option<u64>,
    tensor: Option<String>,
    message: String,
    help: Option<String>,
}

impl Error {
    /// A new error. `message` must hold no unescaped foreign text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, path: None, offset: None, tensor: None, message: message.into(), help: None }
    }

    /// An I/O failure, with the operating system's reason.
    pub fn io(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::UnexpectedEof => ErrorKind::Truncated,
            _ => ErrorKind::Io,
        };
        Self::new(kind, format!("{doing}: {error}")).with_path(path)
    }

    /// Names the file.
    #[must_use]
    pub fn with_path(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// Names the byte offset in the file.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// Names the tensor or key.
    #[must_use]
    pub fn for_tensor(mut self, name: &str) -> Self {
        self.tensor.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, advice: impl Into<String>) -> Self {
        self.help = Some(advice.into());
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file, where one is known.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Byte offset in the file, where one is known.
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// The tensor or key as it stands in the file (not escaped).
    pub fn tensor(&self) -> Option<&str> {
        self.tensor.as_deref()
    }

    /// What was found and expected, without file and place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, where something can be advised.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    fn line(&self) -> String {
        let mut line = String::new();
        if let Some(path) = &self.path {
            line.push_str(&shown_path(path));
            line.push_str(": ");
        }
        if let Some(tensor) = &self.tensor {
            line.push_str(&format!("`{}`: ", escape_limited(tensor, 120)));
        }
        line.push_str(&self.message);
        if let Some(offset) = self.offset {
            line.push_str(&format!(" (at byte {offset})"));
        }
        if let Some(help) = &self.help {
            line.push_str("; ");
            line.push_str(help);
        }
        line
    }
}

/// A row of `errors` in the JSON.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Error", 6)?;
        row.serialize_field("kind", &self.kind.code())?;
        row.serialize_field("file", &self.path.as_deref().map(Path::to_string_lossy))?;
        row.serialize_field("offset", &self.offset)?;
        row.serialize_field("tensor", &self.tensor)?;
        row.serialize_field("message", &self.message)?;
        row.serialize_field("help", &self.help)?;
        row.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_file_tensor_place_and_advice() {
        let error = Error::new(ErrorKind::Malformed, "found 3, expected 4")
            .with_path(Path::new("a\u{1b}.gguf"))
            .for_tensor("w\n")
            .at(17)
            .help("fetch the file again");
        assert_eq!(ErrorKind::NotRegularFile.code(), "not-regular-file");
        assert_eq!(error.to_string(), "a\\u{1b}.gguf: `w\\n`: found 3, expected 4 (at byte 17); fetch the file again");
    }
}
