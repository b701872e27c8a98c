//! Opening a checkpoint, and what every command says of it.

use std::path::Path;

use weighbridge::checkpoint::{self, Checkpoint, OpenOptions};
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::format::SecondOpinion;

use super::End;
use crate::output::complain;

/// Opens what a command was given.
pub(crate) fn open(path: &Path, only_this_file: bool) -> Result<Checkpoint> {
    checkpoint::open(path, &OpenOptions { only_this_file, second_opinion: false })
}

/// As [`open`], and asks the reference reader about every file if told to; a config.json, or a folder that has one and no weights,
/// stands for the tensors it declares.
pub(crate) fn open_or_declared(path: &Path, only_this_file: bool, ask: bool) -> Result<Checkpoint> {
    if is_config(path) {
        return checkpoint::declared(path);
    }
    let opened = checkpoint::open(path, &OpenOptions { only_this_file, second_opinion: ask })?;
    if only_declares(&opened) { checkpoint::declared(path) } else { Ok(opened) }
}

/// As [`open`], for what reads values: a config.json, or a folder that has one and no weights, is an error that says so.
pub(crate) fn open_values(path: &Path, only_this_file: bool) -> Result<Checkpoint> {
    let opened = if is_config(path) { None } else { Some(open(path, only_this_file)?) };
    opened.filter(|opened| !only_declares(opened)).ok_or_else(|| {
        Error::new(ErrorKind::Usage, "there are no values to read, only a config.json")
            .with_path(path)
            .help("give the weights; `weigh show`, `project` and `memory` take a config.json alone")
    })
}

fn is_config(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "config.json") && path.is_file()
}

/// A weight file that is there and cannot be read is no reason to show what config.json declares in its place.
fn only_declares(opened: &Checkpoint) -> bool {
    let is_weights = |name: &str| name.ends_with(".safetensors") || name.ends_with(".gguf");
    let listed = &opened.listing.files;
    let weights = listed.iter().any(|file| is_weights(&file.name));
    opened.files.is_empty() && opened.unread.is_empty() && !weights && listed.iter().any(|file| file.name == "config.json")
}

/// Whether anything asked for could not be read: unreadable files, missing shards, files cut short.
pub(crate) fn end_of(checkpoint: &Checkpoint) -> End {
    let cut = checkpoint.selected_files().iter().any(|&i| checkpoint.files[i].container.is_truncated());
    if checkpoint.problems.is_empty() && !cut { End::Done } else { End::Incomplete }
}

/// Says on stderr what could not be read, for outputs that a person does not read.
pub(crate) fn complain_of(checkpoint: &Checkpoint) {
    for problem in &checkpoint.problems {
        complain(&problem.to_string());
    }
}

/// The reference reader's answer for every file.
pub(crate) fn opinions(checkpoint: &Checkpoint) -> Vec<SecondOpinion> {
    checkpoint.files.iter().map(|file| file.opinion.clone()).collect()
}
