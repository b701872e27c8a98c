//! Puts a model checkpoint on the scales.

pub mod text;
pub mod error;
pub mod units;
pub mod dtype;
pub mod source;
pub mod observe;
pub mod format;
pub mod checkpoint;
pub mod stats;
pub mod scan;
pub mod project;
pub mod audit;
pub mod report;
