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

/// What recognition sees of a tensor.
#[derive(Debug, Clone)]
pub struct TensorView<'a> {
    /// Its name.
    pub name: std::borrow::Cow<'a, str>,
    /// Its element type.
    pub dtype: crate::dtype::Dtype,
    /// Outermost first.
    pub shape: &'a [u64],
    /// Stored elements.
    pub elements: u64,
    /// Bytes of its data.
    pub bytes: u64,
    /// Whether its name says that it is no weight.
    pub buffer: bool,
}

/// What recognition found.
#[derive(Debug, Clone, Default)]
pub struct Interpretation {
    /// The method, where there is one.
    pub quantization: Option<Quantization>,
    /// Part and logical parameters of each tensor, in the order of the input.
    pub parts: Vec<(Part, u64)>,
    /// Remarks; escaped.
    pub notes: Vec<String>,
}

/// Recognises how weights are packed.
pub fn interpret(
    tensors: &[TensorView<'_>],
    _config: Option<&serde_json::Value>,
    _format: crate::format::Format,
) -> Interpretation {
    let parts = tensors.iter().map(|t| if t.buffer { (Part::Buffer, 0) } else { (Part::Weight, t.elements) }).collect();
    Interpretation { quantization: None, parts, notes: Vec::new() }
}
