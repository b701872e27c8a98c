//! What quantizers of single modules have in common: which weights they take, and a file made of the parts that each becomes.

use std::collections::BTreeSet;

use super::cast::require_float_safetensors;
use super::linears::{Doubts, Linear, classify};
use super::{Context, Rule};
use crate::checkpoint::{Part, Role};
use crate::dtype::Dtype;
use crate::format::Shape;
use crate::project::input::ProjectTensor;
use crate::project::storage::plan::{Basis, Change, FileSize, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::project::storage::safetensors_file::{Entry, FORMAT_MLX, FORMAT_PT, Writer, header_bytes};
use crate::project::storage::shard::transformers_files;
use crate::text::escape;

/// The weight of one module, [rows, columns] = [out, in].
#[derive(Debug, Clone, Copy)]
pub(super) struct Module {
    pub(super) rows: u64,
    pub(super) columns: u64,
    /// Type the weight has before.
    pub(super) dtype: Dtype,
}

impl Module {
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
    /// By GPTQModel: what is not quantized first, then the modules as they run; padded header.
    GptqModel,
    /// By the `safetensors` library without `__metadata__`.
    Bare,
    /// By MLX: in the order of a hash map, header not padded.
    Mlx,
}

/// A quantizer of modules.
pub(super) trait Packing: Sync {
    /// The parts of one module.
    ///
    /// # Errors
    /// Why the tool refuses such a shape.
    fn pack(&self, module: &Module) -> Result<Packed, String>;

    /// Whether the output head is quantized.
    fn takes_head(&self) -> bool {
        false
    }

    /// The parts of the output head, where it is quantized in another way.
    ///
    /// # Errors
    /// As [`Packing::pack`].
    fn pack_head(&self, module: &Module) -> Result<Packed, String> {
        self.pack(module)
    }

    /// Whether the input embedding is quantized.
    fn takes_embedding(&self) -> bool {
        false
    }

    /// Whether the tool quantizes `Conv1D` modules too, whose weights are [in, out].
    fn takes_conv1d(&self) -> bool {
        false
    }

    /// Whether the tool unpacks and quantizes routed experts, under names of its own.
    fn takes_experts(&self) -> bool {
        false
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

    /// Which file is written.
    fn layout(&self) -> Layout {
        Layout::Transformers
    }

    /// By how many bytes a quantized module may be smaller and larger than stated.
    fn spread(&self) -> (u64, u64) {
        (0, 0)
    }
}

impl<P: Packing> Rule for P {
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        require_float_safetensors(context)?;
        let input = context.input;
        let mut doubts = Doubts::default();
        let mut tensors: Vec<OutTensor<'a>> = Vec::with_capacity(input.tensors.len() * 2);
        let (mut modules, mut skipped) = (0u64, 0u64);
        let biases_change = self.bias(Dtype::F32) != self.kept(Dtype::F32);
        let mut stems: BTreeSet<&str> = BTreeSet::new();
        for (i, t) in context.by_name().iter().map(|&i| (i as usize, &input.tensors[i as usize])) {
            let linear = classify(input, t);
            doubts.note(linear, &t.name);
            if linear == Linear::Expert && self.takes_experts() {
                return Err(Refusal::new("this tool quantizes routed experts under names of its own: not projected yet"));
            }
            if linear == Linear::Conv1D && self.takes_conv1d() {
                return Err(Refusal::new("this tool quantizes Conv1D modules, whose weights are [in, out]: not projected yet"));
            }
            if t.role == Role::LmHead && input.model.tied_embeddings == Some(true) {
                // The model that is loaded has one tensor for both, and writes the embedding.
                doubts.tied_head = true;
                continue;
            }
            let head = t.role == Role::LmHead && is_matrix(t);
            let taken = match t.role {
                Role::LmHead => head && self.takes_head(),
                Role::Embedding | Role::PositionEmbedding => is_matrix(t) && self.takes_embedding(),
                _ => matches!(linear, Linear::Yes | Linear::Unclear),
            };
            let (Some(stem), true) = (t.name.strip_suffix(".weight"), taken) else {
                tensors.push(keep(i, t, self.kept(t.dtype))?);
                continue;
            };
            let module = Module { rows: t.shape[0], columns: t.shape[1], dtype: t.dtype };
            let packed = if head { self.pack_head(&module) } else { self.pack(&module) };
            let packed = packed.map_err(|why| Refusal::new(format!("`{}`: {why}", escape(&t.name))))?;
            let mut pieces = match packed {
                Packed::As(pieces) => pieces,
                Packed::Kept => {
                    skipped += 1;
                    tensors.push(keep(i, t, self.kept(t.dtype))?);
                    continue;
                }
                Packed::KeptWith(pieces) => {
                    skipped += 1;
                    tensors.push(keep(i, t, self.kept(t.dtype))?);
                    for p in pieces {
                        tensors.push(added(stem, &p).ok_or_else(|| too_large(&t.name))?);
                    }
                    continue;
                }
            };
            modules += 1;
            if let Some((name, shape)) = self.beside(stem) {
                tensors.push(OutTensor::added(name, t.dtype, &shape).ok_or_else(|| too_large(&t.name))?);
            }
            if biases_change {
                stems.insert(stem);
            }
            let weights = pieces.first().map(|p| p.suffix);
            pieces.sort_by_key(|p| p.suffix);
            for p in &pieces {
                let mut out = added(stem, p).ok_or_else(|| too_large(&t.name))?;
                if Some(p.suffix) == weights {
                    out.source = u32::try_from(i).ok();
                    out.change = Change::Retyped;
                }
                tensors.push(out);
            }
        }
        if biases_change {
            for out in &mut tensors {
                let Some(i) = out.source.filter(|_| out.name.strip_suffix(".bias").is_some_and(|stem| stems.contains(stem))) else {
                    continue;
                };
                let t = &input.tensors[i as usize];
                *out = keep(i as usize, t, self.bias(t.dtype))?;
            }
        }
        if modules + skipped == 0 {
            return Err(Refusal::new("no tensor was recognised as the weight of a linear layer"));
        }
        let mut notes = doubts.notes();
        let mut basis = if notes.is_empty() { Basis::Exact } else { Basis::Estimate };
        if skipped > 0 {
            notes.push(format!("{skipped} matrices are left as they are: their shape does not divide"));
        }
        let (less, more) = self.spread();
        let mut tensor_range = None;
        let mut file = self.file(context, &mut tensors, &mut notes);
        if less + more > 0 {
            let bytes = tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
            let (less, more) = (less * modules, more * modules);
            tensor_range = Some((bytes.saturating_sub(less), bytes.saturating_add(more)));
            file.range = Some((file.likely.saturating_sub(less), file.likely.saturating_add(more)));
            basis = Basis::Estimate;
            notes.push("the text of a number inside each quant_state varies in length".to_owned());
        }
        Ok(Plan { tensors, basis, file: Some(file), tensor_range, notes })
    }
}

fn is_matrix(t: &ProjectTensor<'_>) -> bool {
    t.part == Part::Weight && t.shape.len() == 2 && t.dtype.is_float()
}

fn keep<'a>(i: usize, t: &ProjectTensor<'a>, dtype: Dtype) -> Result<OutTensor<'a>, Refusal<'a>> {
    let dtype = if t.part == Part::Weight && t.dtype.is_float() { dtype } else { t.dtype };
    OutTensor::retyped(i, t, dtype).ok_or_else(|| too_large(&t.name))
}

fn added<'a>(stem: &str, p: &Piece) -> Option<OutTensor<'a>> {
    OutTensor::added(format!("{stem}{}", p.suffix), p.dtype, &p.shape)
}

trait Files {
    fn file(&self, context: &Context<'_, '_>, tensors: &mut [OutTensor<'_>], notes: &mut Vec<String>) -> FileSize;
}

impl<P: Packing + ?Sized> Files for P {
    fn file(&self, context: &Context<'_, '_>, tensors: &mut [OutTensor<'_>], notes: &mut Vec<String>) -> FileSize {
        let layout = self.layout();
        if layout == Layout::Transformers {
            let metadata: Vec<(String, String)> = FORMAT_PT.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let file = transformers_files(context, tensors, Some(&metadata));
            if file.files > 1 {
                notes.push("in shards of 50 GB, as transformers writes them; the index file is not counted".to_owned());
            }
            return file;
        }
        if layout == Layout::Bare {
            return transformers_files(context, tensors, None);
        }
        let (writer, metadata) = if layout == Layout::Mlx { (Writer::Mlx, FORMAT_MLX) } else { (Writer::Listed, FORMAT_PT) };
        if layout == Layout::GptqModel {
            tensors.sort_by_cached_key(|t| run_order(&t.name));
        }
        let bytes = tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
        // The order of other families' modules was not seen.
        let unseen = layout == Layout::GptqModel
            && tensors.iter().any(|t| {
                t.name.ends_with(".qweight") && !RUNS.iter().any(|run| t.name.contains(run)) && !t.name.contains("lm_head")
            });
        let mut entries: Vec<Entry<'_>> = tensors.iter().map(entry).collect();
        let header = header_bytes(&mut entries, Some(metadata), writer);
        let mut range = None;
        if layout == Layout::Mlx || unseen {
            // The order decides how many digits the offsets have: smallest first gives the fewest, largest first the most.
            entries.sort_by_key(|e| e.bytes);
            let low = header_bytes(&mut entries, Some(metadata), writer);
            entries.reverse();
            let high = header_bytes(&mut entries, Some(metadata), writer);
            range = Some((bytes.saturating_add(low), bytes.saturating_add(high)));
            let why =
                if unseen { "the order of this family's modules is not known" } else { "MLX writes in the order of a hash map" };
            notes.push(format!("{why}, and the digits of the header depend on it"));
        }
        FileSize { files: 1, likely: bytes.saturating_add(header), header, padding: 0, range }
    }
}

fn entry<'t>(t: &'t OutTensor<'_>) -> Entry<'t> {
    Entry { name: &t.name, dtype: t.dtype, shape: &t.shape, bytes: t.bytes }
}

/// A packing of a tool that quantizes routed experts too.
pub(super) struct OfExperts<P>(pub(super) P);

impl<P: Packing> Packing for OfExperts<P> {
    fn pack(&self, module: &Module) -> Result<Packed, String> {
        self.0.pack(module)
    }

    fn beside(&self, stem: &str) -> Option<(String, Shape)> {
        self.0.beside(stem)
    }

    fn takes_experts(&self) -> bool {
        true
    }
}

/// Parts in the order in which a decoder's modules hold them.
const RUNS: &[&str] = &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
/// Buffers of a GPTQModel module in its order.
const BUFFERS: &[&str] = &["g_idx", "scales", "bias", "qweight", "qzeros"];

/// Kept tensors first (embedding, layers, norm, head), then modules as they run, their buffers in the module's order.
fn run_order(name: &str) -> (usize, usize, u64, usize, usize) {
    let layer = name.split('.').find_map(|part| part.parse::<u64>().ok());
    let buffer = BUFFERS.iter().position(|b| name.rsplit('.').next() == Some(b));
    let head = usize::from(name.contains("lm_head"));
    let run = RUNS.iter().position(|run| name.contains(run)).unwrap_or(RUNS.len());
    let place = match layer {
        _ if head == 1 => 3,
        Some(_) => 1,
        None if name.contains("embed") => 0,
        None => 2,
    };
    (usize::from(buffer.is_some()), place, layer.unwrap_or(0), run, buffer.unwrap_or(0))
}
