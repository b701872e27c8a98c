//! Quantizers of single modules: what a tool takes of a model, as data, and the tensors that it makes of a module.

use std::borrow::Cow;

use super::rule::{GroupRefusal, Regrouped};
use super::seen::ToolId;
use crate::dtype::Dtype;
use crate::format::Shape;

/// The weight of one module, [rows, columns] = [out, in].
#[derive(Debug, Clone, Copy)]
pub(super) struct Module<'m> {
    /// Name under which the tool writes it, without `.weight`.
    pub(super) name: &'m str,
    /// `model_type` of the checkpoint.
    pub(super) family: &'m str,
    pub(super) rows: u64,
    pub(super) columns: u64,
    /// Element type of the weight in the source.
    pub(super) dtype: Dtype,
    /// Number of transformer blocks of the model.
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

/// What a tool writes for a module.
pub(super) enum Packed {
    /// These tensors; the first one holds the weights.
    As(Vec<Piece>),
    /// The weight as it is.
    Kept,
    /// The weight as it is, and these tensors beside it.
    KeptWith(Vec<Piece>),
}

/// The program that writes the file, which decides order, shards and `__metadata__`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `save_pretrained` of transformers.
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

/// What a tool does to a model: which modules it takes, and which file it writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    /// The tool, as the list of observed classes names it.
    pub(super) id: ToolId,
    /// The program that writes the file, which decides order, shards and `__metadata__`.
    pub(super) layout: Layout,
    /// Nothing is quantized at all: a copy.
    pub(super) leaves_all: bool,
    /// An output head that is stored apart from the embedding is quantized by default.
    pub(super) takes_head: bool,
    /// What `--quantize-head` does to a head that is tied to the embedding: `Ok(true)` unties it and packs the copy, `Ok(false)` leaves
    /// it tied, an error is why the tool refuses it.
    pub(super) unties_head: Result<bool, &'static str>,
    /// Every linear layer but `lm_head` is taken, a tied head of another name too: it is untied.
    pub(super) takes_heads_of_other_names: bool,
    /// The input embedding is quantized by default.
    pub(super) takes_embedding: bool,
    /// The tool can be told to quantize the embedding.
    pub(super) can_take_embedding: bool,
    /// `Conv1D` modules, whose weights are [in, out], are quantized too.
    pub(super) takes_conv1d: bool,
    /// `Conv1D` weights are turned even where they are not quantized.
    pub(super) turns_conv1d: bool,
    /// Routers are linear layers to the tool.
    pub(super) takes_routers: bool,
    /// How routed experts are treated.
    pub(super) experts: Experts,
    /// For a tool that leaves routed experts alone: what takes them, in words.
    pub(super) experts_elsewhere: Option<&'static str>,
    /// The type in which a tensor that is left alone is written; `None`: its own.
    pub(super) kept: Option<Dtype>,
    /// The type in which the bias of a quantized module is written; `None`: as what is left alone.
    pub(super) bias: Option<Dtype>,
    /// By how many bytes a quantized module may be smaller and larger than stated.
    pub(super) spread: (u64, u64),
}

impl Tool {
    /// A tool that writes by transformers, and takes linear layers only; a tool says what differs.
    pub(super) const fn new(id: ToolId) -> Self {
        Self {
            id,
            layout: Layout::Transformers,
            leaves_all: false,
            takes_head: false,
            unties_head: Ok(false),
            takes_heads_of_other_names: false,
            takes_embedding: false,
            can_take_embedding: false,
            takes_conv1d: false,
            turns_conv1d: false,
            takes_routers: false,
            experts: Experts::Kept,
            experts_elsewhere: None,
            kept: None,
            bias: None,
            spread: (0, 0),
        }
    }

    /// The type in which a tensor of `dtype` is written that is left alone.
    pub(super) fn kept(&self, dtype: Dtype) -> Dtype {
        self.kept.unwrap_or(dtype)
    }

    /// The type in which a bias of `dtype` is written, of a quantized module.
    pub(super) fn bias(&self, dtype: Dtype) -> Dtype {
        self.bias.unwrap_or_else(|| self.kept(dtype))
    }
}

/// A way to quantize modules: its tool, and what it makes of one module.
pub(super) trait Packing: Sync {
    /// Describes the tool with these settings.
    fn tool(&self) -> Tool;

    /// Returns the tensors that one module becomes.
    ///
    /// # Errors
    /// Why the tool refuses such a shape.
    fn pack(&self, module: &Module<'_>) -> Result<Packed, String>;

    /// Returns the tensors that the output head becomes, where it is quantized in another way.
    ///
    /// # Errors
    /// As [`Packing::pack`].
    fn pack_head(&self, module: &Module<'_>) -> Result<Packed, String> {
        self.pack(module)
    }

    /// Returns the name under which a tensor is written.
    fn rename<'n>(&self, _family: &str, name: &'n str) -> Cow<'n, str> {
        Cow::Borrowed(name)
    }

    /// A tensor that is written beside a quantized module, by the module's name: its name and shape, of the module's type.
    fn beside(&self, _stem: &str) -> Option<(String, Shape)> {
        None
    }

    /// Returns the text in `__metadata__` that describes a packed weight.
    fn about(&self, _module: &Module<'_>) -> Option<String> {
        None
    }

    /// Returns the same packing with groups of another size.
    ///
    /// # Errors
    /// That there are no groups to choose, or none of this size.
    fn regrouped(&self, _size: u64) -> Result<Regrouped, GroupRefusal> {
        Err(GroupRefusal::NoGroups)
    }
}
