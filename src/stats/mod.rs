//! Statistics of stored values: plain data, no reading.

pub mod leaf;
