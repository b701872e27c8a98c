//! What it takes to run and to train.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/program.rs"]
mod program;
#[path = "../common/families.rs"]
mod families;
#[path = "../common/gguf_head.rs"]
mod gguf_head;

mod converted;
mod edges;
mod fit;
mod llama_cpp;
mod parallel;
mod published;
mod training;
