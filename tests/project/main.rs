//! What a checkpoint would weigh otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/build.rs"]
mod build;
#[path = "../common/families.rs"]
mod families;

mod basis;
mod classes;
mod converted_families;
mod converted_sizes;
mod gguf;
mod prune;
mod safetensors;
mod stacked;
mod converted;
