//! What quantizers of single modules have in common: which weights they take, and the tensors that each becomes.

use std::borrow::Cow;

use super::seen::Tool;
use crate::dtype::Dtype;
use crate::format::Shape;

/// The weight of one module, [rows, columns] = [out, in].
#[derive(Debug, Clone, Copy)]
pub(super) struct Module<'m> {
    /// As its tool names it, without `.weight`.
    pub(super) name: &'m str,
    /// `model_type` of the checkpoint.
    pub(super) family: &'m str,
    pub(super) rows: u64,
    pub(super) columns: u64,
    /// Type the weight has before.
    pub(super) dtype: Dtype,
    /// Blocks of the model.
    pub(super) layers: u64,
}

impl Module<'_> {
    /// Weights; `None` where they do not fit 64 bits.
    pub(super) fn weights(&self) -> Option<u64> {
        self.rows.checked_mul(self.columns)
    }
}

/// One tensor that a module becomes: what follows the module's name, type, shape (outermost first).
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) suffix: &'static str,
    pub(super) dtype: Dtype,
    pub(super) shape: Shape,
}

pub(super) fn piece(suffix: &'static str, dtype: Dtype, shape: &[u64]) -> Piece {
    Piece { suffix, dtype, shape: Shape::from_slice(shape) }
}

/// What becomes of a module.
pub(super) enum Packed {
    /// These; the first one holds the weights.
    As(Vec<Piece>),
    /// Left as it is, in silence.
    Kept,
    /// Left as it is, and these are written all the same.
    KeptWith(Vec<Piece>),
}

/// Which file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// By transformers.
    Transformers,
    /// By transformers, as llm-compressor calls it: smaller shards.
    LlmCompressor,
    /// By transformers, with torchao's line for every parameter in `__metadata__`.
    TorchAo,
    /// By GPTQModel: what is not quantized first, then the modules as they run; padded header.
    GptqModel,
    /// By the `safetensors` library without `__metadata__`, five blocks and more to a file.
    Hqq,
    /// By MLX: in the order of a hash map, header not padded.
    Mlx,
}

/// What becomes of routed experts, which transformers 5 holds in two fused parameters of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Experts {
    /// Left alone, and written under the names of the original file.
    Kept,
    /// Left alone, and written as they are held: `mlp.experts.gate_up_proj` and `down_proj`, the router as `mlp.gate`.
    Fused,
    /// Each a module `experts.N.gate_proj`, `up_proj`, `down_proj`.
    Modules,
    /// Each packed under its own name, the scales of a fused parameter left together.
    FusedScales,
    /// All experts of a projection a module `switch_mlp.gate_proj`, `up_proj`, `down_proj` with one more dimension.
    Stacked,
}

/// A quantizer of modules.
pub(super) trait Packing: Sync {
    /// The tool that chooses the modules.
    fn tool(&self) -> Tool;

    /// The parts of one module.
    ///
    /// # Errors
    /// Why the tool refuses such a shape.
    fn pack(&self, module: &Module<'_>) -> Result<Packed, String>;

    /// Whether an output head that is stored apart from the embedding is quantized.
    fn takes_head(&self) -> bool {
        false
    }

    /// The parts of the output head, where it is quantized in another way.
    ///
    /// # Errors
    /// As [`Packing::pack`].
    fn pack_head(&self, module: &Module<'_>) -> Result<Packed, String> {
        self.pack(module)
    }

    /// What `--quantize-head` does to a head that is tied to the embedding: `Ok(true)` unties it and packs the copy, `Ok(false)`
    /// leaves it tied.
    ///
    /// # Errors
    /// Why the tool refuses it.
    fn unties_head(&self) -> Result<bool, String> {
        Ok(false)
    }

    /// Whether every linear layer but `lm_head` is taken, a tied head of another name too: it is untied.
    fn takes_heads_of_other_names(&self) -> bool {
        false
    }

    /// Whether the input embedding is quantized by default.
    fn takes_embedding(&self) -> bool {
        false
    }

    /// Whether the tool can be told to quantize embeddings: its word for them.
    ///
    /// # Errors
    /// Why it cannot.
    fn can_take_embedding(&self) -> Result<(), String> {
        Err("this tool quantizes linear layers only".to_owned())
    }

    /// Whether the tool quantizes `Conv1D` modules too, whose weights are [in, out].
    fn takes_conv1d(&self) -> bool {
        false
    }

    /// Whether `Conv1D` weights are turned even where they are not quantized.
    fn turns_conv1d(&self) -> bool {
        false
    }

    /// Whether routers are linear layers to the tool.
    fn takes_routers(&self) -> bool {
        false
    }

    /// For a tool that leaves routed experts alone: what takes them, in words.
    fn experts_elsewhere(&self) -> Option<&'static str> {
        None
    }

    /// What becomes of routed experts.
    fn experts(&self) -> Experts {
        Experts::Kept
    }

    /// The name a tensor is written under.
    fn rename<'n>(&self, _family: &str, name: &'n str) -> Cow<'n, str> {
        Cow::Borrowed(name)
    }

    /// The type in which a tensor that is left alone is written.
    fn kept(&self, dtype: Dtype) -> Dtype {
        dtype
    }

    /// The type in which the bias of a quantized module is written.
    fn bias(&self, dtype: Dtype) -> Dtype {
        self.kept(dtype)
    }

    /// A tensor that is written beside a quantized module, by the module's name: its name and shape, of the module's type.
    fn beside(&self, _stem: &str) -> Option<(String, Shape)> {
        None
    }

    /// Whether nothing is quantized at all: a copy.
    fn leaves_all(&self) -> bool {
        false
    }

    /// Which file is written.
    fn layout(&self) -> Layout {
        Layout::Transformers
    }

    /// What stands in `__metadata__` about a packed weight.
    fn about(&self, _module: &Module<'_>) -> Option<String> {
        None
    }

    /// By how many bytes a quantized module may be smaller and larger than stated.
    fn spread(&self) -> (u64, u64) {
        (0, 0)
    }
}

/// A packing of a tool that takes experts one by one.
pub(super) struct OfExperts<P>(pub(super) P);

impl<P: Packing> Packing for OfExperts<P> {
    fn tool(&self) -> Tool {
        Tool::LlmCompressor
    }

    fn pack(&self, module: &Module<'_>) -> Result<Packed, String> {
        self.0.pack(module)
    }

    fn beside(&self, stem: &str) -> Option<(String, Shape)> {
        self.0.beside(stem)
    }

    fn unties_head(&self) -> Result<bool, String> {
        self.0.unties_head()
    }

    fn takes_heads_of_other_names(&self) -> bool {
        self.0.takes_heads_of_other_names()
    }

    fn can_take_embedding(&self) -> Result<(), String> {
        self.0.can_take_embedding()
    }

    fn experts(&self) -> Experts {
        Experts::Modules
    }

    fn layout(&self) -> Layout {
        Layout::LlmCompressor
    }
}
