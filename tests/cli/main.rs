//! The command: what it takes, prints and returns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/program.rs"]
mod program;
#[path = "../common/build.rs"]
mod build;
#[path = "../common/skipped.rs"]
mod skipped;

mod audit;
mod audit_towers;
mod cases;
mod compare_builds;
mod diff;
mod findings;
mod four_shards;
mod hidden;
mod interface;
mod readme;
