//! Reading every weight.

pub mod kernel;
