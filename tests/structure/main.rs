//! How the house is built: its rooms, its registries.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/rust_source.rs"]
mod rust_source;

mod layers;
mod registries;
