//! How the house is built: its rooms, its registries, where its knowledge stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/rust_source.rs"]
mod rust_source;

mod knowledge;
mod layers;
mod names;
mod public;
mod registries;
