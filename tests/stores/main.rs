//! Models by name: the stores of a machine, made here or laid out again from what their own clients wrote.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/build.rs"]
mod build;
#[path = "../common/caches.rs"]
mod caches;
#[path = "../common/program.rs"]
mod program;

mod inventory;
mod listing;
mod made;
mod named;
mod ollama;
