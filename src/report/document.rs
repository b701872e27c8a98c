//! The documents that commands give: a common head, then the command's body.

use serde::Serialize;

/// Changed when a field changes its meaning.
pub const SCHEMA_VERSION: &str = "1";

/// Who wrote a document.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Tool {
    /// `weigh`.
    pub name: &'static str,
    /// Version of this crate.
    pub version: &'static str,
}

/// The head of every document.
#[derive(Debug, Clone, Serialize)]
pub struct Head {
    /// [`SCHEMA_VERSION`].
    pub schema_version: &'static str,
    /// Who wrote it.
    pub tool: Tool,
    /// The command: `report`, `show`, `scan`, ...
    pub command: &'static str,
    /// What was asked for; null for commands without a path.
    pub path: Option<String>,
    /// Remarks on the whole document; `None` where the body brings its own `notes`, which stand in the same object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<Vec<String>>,
}

impl Head {
    /// The head of a command's document.
    pub fn new(command: &'static str, path: Option<String>) -> Self {
        let tool = Tool { name: "weigh", version: env!("CARGO_PKG_VERSION") };
        Self { schema_version: SCHEMA_VERSION, tool, command, path, notes: Some(Vec::new()) }
    }

    /// The head of a document whose body has `notes` of its own.
    pub fn of_noted(command: &'static str, path: Option<String>) -> Self {
        Self { notes: None, ..Self::new(command, path) }
    }
}

/// A head and a body whose fields stand beside the head's.
#[derive(Debug, Clone, Serialize)]
pub struct Document<B: Serialize> {
    /// Common fields.
    #[serde(flatten)]
    pub head: Head,
    /// The command's fields.
    #[serde(flatten)]
    pub body: B,
}

/// Writes a document as JSON, two spaces deep, with a newline at the end.
///
/// # Errors
/// When it cannot be written; every value of this crate can be serialised.
pub fn write_json<T: Serialize>(document: &T, mut to: &mut dyn std::io::Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut to, document)?;
    to.write_all(b"\n")
}
