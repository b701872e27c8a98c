//! What the values tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;

mod base;
mod block_quants;
mod cutoffs;
mod dtypes;
mod full_stats;
