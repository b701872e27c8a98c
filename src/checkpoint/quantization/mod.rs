//! How packed weights are stored, and how many logical weights they hold.

/// What a tensor is in the checkpoint's bookkeeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Weights: its logical parameters count.
    Weight,
    /// Scales, zero points, index tensors, maps and shapes of a quantization: bytes, no parameters.
    Auxiliary,
    /// A buffer that is no weight (`position_ids`, `inv_freq`): bytes and elements, no parameters.
    Buffer,
}

/// A recognised way of packing.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    /// `gptq`, `awq`, `bitsandbytes`, `compressed-tensors`, `ggml`, ...
    pub method: String,
    /// Bits of one weight, where there is one figure.
    pub bits: Option<u32>,
    /// Weights per scale, where there is one figure.
    pub group_size: Option<u64>,
    /// What it was recognised by: tensor names, config keys.
    pub evidence: String,
}
