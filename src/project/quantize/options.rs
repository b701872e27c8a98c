//! How the quantizers are run.

use super::llama_quantize::target::QuantTarget;
use crate::dtype::Dtype;

/// Options of the quantizers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// An importance matrix is given to `llama-quantize`.
    pub imatrix: bool,
    /// `llama-quantize --pure`: no mixture.
    pub pure_mixture: bool,
    /// `llama-quantize --output-tensor-type`.
    pub output_type: Option<Dtype>,
    /// `llama-quantize --token-embedding-type`.
    pub embedding_type: Option<Dtype>,
    /// Outtype of the Hugging Face converter whose file `llama-quantize` starts from; without one, `auto`.
    pub outtype: Option<QuantTarget>,
    /// Weights per scale, for safetensors schemes whose groups can be chosen.
    pub group: Option<u64>,
    /// Safetensors schemes quantize the output head.
    pub quantize_head: bool,
    /// Safetensors schemes quantize the input embedding.
    pub quantize_embedding: bool,
}
