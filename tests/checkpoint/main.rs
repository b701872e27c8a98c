//! What a folder holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/program.rs"]
mod program;
#[path = "../common/build.rs"]
mod build;
#[path = "../common/writers.rs"]
mod writers;

mod declared;
mod hub_cache;
mod one_model;
mod split_files;
mod repos;
mod weight_sets;
