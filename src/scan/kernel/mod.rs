//! Statistics of a run of elements, one module for each kind of dtype.

pub mod block_quant;
