//! Opening a checkpoint, and what every command says of it.

use std::path::Path;

use weighbridge::checkpoint::{self, Checkpoint, OpenOptions};
use weighbridge::error::Result;
use weighbridge::format::SecondOpinion;

use super::End;
use crate::output::complain;

/// Opens what a command was given.
pub(crate) fn open(path: &Path, only_this_file: bool) -> Result<Checkpoint> {
    checkpoint::open(path, &OpenOptions { only_this_file, second_opinion: false })
}

/// As [`open`], and asks the reference reader about every file.
pub(crate) fn open_and_ask(path: &Path, only_this_file: bool) -> Result<Checkpoint> {
    checkpoint::open(path, &OpenOptions { only_this_file, second_opinion: true })
}

/// As [`open`], or [`open_and_ask`]; a config.json, or a folder that has one and no weights, stands for the tensors it declares.
pub(crate) fn open_or_declared(path: &Path, only_this_file: bool, ask: bool) -> Result<Checkpoint> {
    if path.file_name().is_some_and(|name| name == "config.json") && path.is_file() {
        return checkpoint::declared(path);
    }
    let opened = checkpoint::open(path, &OpenOptions { only_this_file, second_opinion: ask })?;
    let nothing = opened.files.is_empty() && opened.unread.is_empty();
    if nothing && path.join("config.json").is_file() { checkpoint::declared(path) } else { Ok(opened) }
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
