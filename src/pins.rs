//! The version of every program whose rules are written down here, once. Documentation, reports and scripts cite it.

/// llama.cpp: the converter, the quantizer, and memory as its programs allocate it.
pub const LLAMA_CPP: &str = "commit 0c1e570 (2026-10-01)";
/// The package whose source distribution holds that llama.cpp.
pub const LLAMA_CPP_PYTHON: &str = "0.3.36";
/// gguf-py, for names of keys and tensors.
pub const GGUF_PY: &str = "0.19.0";
/// The transformers that llama.cpp's converter pins.
pub const CONVERTER_TRANSFORMERS: &str = "4.57.6";
/// The transformers whose configuration classes are known.
pub const TRANSFORMERS: &str = "5.24.0";
/// The transformers whose modules, quantizers and caches were read and measured.
pub const TRANSFORMERS_CODE: &str = "5.23";
/// vLLM, for weights and caches.
pub const VLLM: &str = "v1 engine, 2026";
/// PyTorch, for what training keeps.
pub const TORCH: &str = "2.15";
/// PEFT, for names of adapters.
pub const PEFT: &str = "0.17";
/// diffusers, for names of modules.
pub const DIFFUSERS: &str = "0.42.1";
/// safetensors, the reference reader.
pub const SAFETENSORS: &str = "0.8.0";
/// huggingface_hub, for its cache and its shards.
pub const HUGGINGFACE_HUB: &str = "2.4.0";
/// Ollama, for its names, manifests and blobs.
pub const OLLAMA: &str = "commit fb30760 (2026-08-21)";
/// bitsandbytes.
pub const BITSANDBYTES: &str = "0.50.2";
/// compressed-tensors.
pub const COMPRESSED_TENSORS: &str = "0.20.0";
/// llm-compressor.
pub const LLM_COMPRESSOR: &str = "0.14";
/// GPTQModel, for GPTQ and AWQ.
pub const GPTQMODEL: &str = "7.7.0";
/// HQQ.
pub const HQQ: &str = "0.2.8.post1";
/// MLX.
pub const MLX: &str = "0.32.4";
/// mlx-lm.
pub const MLX_LM: &str = "0.32.2";
/// optimum-quanto.
pub const QUANTO: &str = "0.2.7";
/// torchao.
pub const TORCHAO: &str = "0.18.0";
/// CPython, for the JSON that Python reads.
pub const CPYTHON: &str = "3.11";
/// picklescan, for dangerous imports.
pub const PICKLESCAN: &str = "0.0.30";
/// modelscan, for dangerous imports.
pub const MODELSCAN: &str = "0.8.5";
/// fickling, for dangerous imports.
pub const FICKLING: &str = "0.1.12";
