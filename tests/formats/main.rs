//! What the readers make of files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/build.rs"]
mod build;

mod properties;
mod python_json;
mod readers;
