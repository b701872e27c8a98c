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
