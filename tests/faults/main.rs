//! What happens when the system fails: reads that fail, files that change while they are read, things that are no files, a full disk.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/program.rs"]
mod program;
#[path = "../common/skipped.rs"]
mod skipped;
#[path = "../common/someone_else.rs"]
mod someone_else;

mod changes;
mod command;
mod environment;
mod places;
mod reads;
mod replaced;
mod report;
mod source;
mod threads;
