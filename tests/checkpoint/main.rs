//! What a folder holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/program.rs"]
mod program;
#[path = "../common/build.rs"]
mod build;
#[cfg(unix)]
#[path = "../common/caches.rs"]
mod caches;
#[path = "../common/writers.rs"]
mod writers;

mod adapters;
mod configuration;
mod declared;
mod hub_cache;
mod one_model;
mod packings;
mod repos;
mod split_files;
mod weight_sets;
