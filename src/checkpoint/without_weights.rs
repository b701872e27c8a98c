//! When a `config.json` stands for the weights: there are none, or they are in files that are not read.

use std::path::Path;

use super::{Checkpoint, OpenOptions, declared, open};
use crate::error::{Error, ErrorKind, Result};
use crate::text::escape_limited;
use crate::units::grouped;

/// Unread files that a note names one by one.
const UNREAD_LISTED: usize = 16;

/// Opens a path as [`open`] does. A `config.json`, or a folder that has one and no weights, stands for the tensors that it declares.
///
/// # Errors
/// As [`open`] and [`declared`].
pub fn open_or_declared(path: &Path, options: &OpenOptions) -> Result<Checkpoint> {
    if is_config(path) {
        return declared(path);
    }
    let opened = open(path, options)?;
    if only_declares(&opened) { declared(path) } else { Ok(opened) }
}

/// Opens a path whose values are to be read.
///
/// # Errors
/// As [`open`]; [`ErrorKind::Usage`] for a `config.json`, or a folder that has one and no weights.
pub fn open_values(path: &Path, options: &OpenOptions) -> Result<Checkpoint> {
    let opened = if is_config(path) { None } else { Some(open(path, options)?) };
    opened.filter(|opened| !only_declares(opened)).ok_or_else(|| {
        Error::new(ErrorKind::Usage, "there are no values to read, only a config.json")
            .with_path(path)
            .help("give the weights; `weigh show`, `project` and `memory` take a config.json alone")
    })
}

fn is_config(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "config.json") && path.is_file()
}

/// Whether a folder holds a config.json and no weights. A weight file that is there and cannot be read is no reason to show what
/// config.json declares in its place.
fn only_declares(opened: &Checkpoint) -> bool {
    let is_weights = |name: &str| name.ends_with(".safetensors") || name.ends_with(".gguf");
    let listed = &opened.listing.files;
    let weights = listed.iter().any(|file| is_weights(&file.name));
    opened.files.is_empty() && opened.unread.is_empty() && !weights && listed.iter().any(|file| file.name == "config.json")
}

/// The tensors that a config.json declares, taken where every weight is in files that are not read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StandIn {
    /// The declared tensors.
    pub checkpoint: Checkpoint,
    /// Says what figures of them are of, and names the files that were not read; escaped.
    pub note: String,
}

impl Checkpoint {
    /// What config.json declares, where weights are here and all of them are in files that are not read; `None` where some were read,
    /// or where config.json says nothing of them either.
    pub fn stand_in(&self) -> Option<StandIn> {
        let root = &self.listing.root;
        let is_only_unread = self.components.is_empty() && !self.unread.is_empty() && root.join("config.json").is_file();
        let checkpoint = if is_only_unread { declared(root).ok()? } else { return None };
        Some(StandIn { checkpoint, note: self.unread_note() })
    }

    fn unread_note(&self) -> String {
        let files = self.unread.iter().take(UNREAD_LISTED);
        let names: Vec<String> = files.map(|f| format!("{} ({} bytes)", escape_limited(&f.name, 120), grouped(f.bytes))).collect();
        let rest = self.unread.len().saturating_sub(UNREAD_LISTED);
        let more = if rest > 0 { format!(" and {rest} more: `weigh show` lists them") } else { String::new() };
        format!(
            "the weights are those that config.json declares, not those of the files that are not read: {}{more}",
            names.join(", ")
        )
    }
}
