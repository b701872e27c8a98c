//! Structured pruning and students: the tensors of the smaller model, from the shapes that are there.
//!
//! Every dimension that a cut touches is known by the tensor's module and is held against the model's own dimensions first; what
//! does not agree refuses the cut. Layers that remain are the first ones: where layers are alike, which ones does not matter.

use super::axes::{self, Axis};
use super::cut::{Amount, Cut};
use super::dims::{Dims, head_shares_hidden, scale};
use super::row::{PrunedForm, PrunedRow, ShapeChange, Structure};
use crate::checkpoint::{KvKind, KvLayers, ModelConfig, Part, Role};
use crate::format::Format;
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::quantize::context::Context;
use crate::project::quantize::options::Options;
use crate::project::quantize::{self, Target};
use crate::project::written::safetensors_file::{Entry, Writer, header_bytes};
use crate::text::escape;

/// The tensors that remain.
struct Smaller<'a> {
    tensors: Vec<ProjectTensor<'a>>,
    shapes: Vec<ShapeChange>,
    after: Dims,
    notes: Vec<String>,
}

/// One row of the report.
pub(super) fn row(input: &ProjectInput<'_>, cut: Cut, targets: &[Target], options: Options) -> PrunedRow {
    let actual = input.tensor_bytes();
    let before = Dims::of(input);
    let share_of_now = |bytes: u64| (actual > 0).then(|| bytes as f64 / actual as f64);
    let mut row = PrunedRow {
        spec: cut.to_string(),
        target_sparsity: None,
        measured_sparsity: None,
        threshold: None,
        magnitude: None,
        logical_params: None,
        forms: Vec::new(),
        structure: None,
        notes: Vec::new(),
    };
    let form = |bytes: Option<u64>, loadable_by| PrunedForm {
        form: "dense",
        bytes,
        ratio: bytes.and_then(share_of_now),
        break_even_sparsity: None,
        loadable_by,
    };
    let smaller = match cut_down(input, cut, before) {
        Ok(smaller) => smaller,
        Err(why) => {
            row.notes.push(format!("refused: {why}"));
            row.forms.push(form(None, "not projected"));
            return row;
        }
    };
    let Smaller { tensors, shapes, after, mut notes } = smaller;
    let model = model_after(input, before, after);
    let cut_heads = before.heads != after.heads && after.query() != after.hidden && head_shares_hidden(input);
    let loadable_by = if cut_heads {
        "transformers 4 (`pruned_heads`); no class of transformers 5 holds fewer heads than hidden / head width"
    } else {
        "what loads it now, with the new numbers in config.json"
    };
    if before.heads != after.heads && !cut_heads && !head_shares_hidden(input) {
        notes.push(format!("config.json must state head_dim {}: hidden / heads no longer gives it", after.head_dim.unwrap_or(0)));
    }
    notes.push("counts and bytes are exact; what the model still knows is another matter".to_owned());
    let mut entries: Vec<Entry<'_>> =
        tensors.iter().map(|t| Entry { name: &t.name, dtype: t.dtype, shape: &t.shape, bytes: t.bytes }).collect();
    let pairs = input.safetensors_metadata.as_ref();
    let pairs: Option<Vec<(&str, &str)>> = pairs.map(|pairs| pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect());
    let header = header_bytes(&mut entries, pairs.as_deref(), Writer::Reference);
    let count = tensors.len() as u64;
    let mut reduced = ProjectInput { tensors, model: &model, header_bytes: header, files: 1, folder: None, ..input.clone() };
    let bytes = reduced.tensor_bytes();
    reduced.file_bytes = bytes.saturating_add(header);
    let context = Context::new(&reduced, options);
    let quantized = targets.iter().map(|target| quantize::row(&context, target)).map(|mut row| {
        row.ratio = row.tensor_bytes.and_then(share_of_now);
        row
    });
    let (kv_before, kv_after) = (kv_per_token(&input.model.kv), kv_per_token(&model.kv));
    if kv_before.is_some() && kv_after.is_none() {
        notes.push("the KV cache is not known: layers cache in several ways, and which of them remain decides".to_owned());
    }
    row.logical_params = Some(reduced.logical_params());
    row.forms.push(form(Some(bytes), loadable_by));
    row.structure = Some(Structure {
        before,
        after,
        tensors: count,
        file_bytes: reduced.file_bytes,
        kv_elements_per_token_before: kv_before,
        kv_elements_per_token: kv_after,
        shapes,
        quantized: quantized.collect(),
    });
    row.notes = notes;
    row
}

fn cut_down<'a>(input: &ProjectInput<'a>, cut: Cut, before: Dims) -> Result<Smaller<'a>, String> {
    if input.format != Some(Format::Safetensors) {
        return Err("parts are cut from safetensors checkpoints; project the model that the GGUF was made of".to_owned());
    }
    if input.is_packed() {
        return Err("the checkpoint is quantized: cut its float original, and add --to".to_owned());
    }
    if input.tensors.iter().any(|t| t.name.starts_with("encoder.")) && input.tensors.iter().any(|t| t.name.starts_with("decoder."))
    {
        return Err("encoder and decoder number their layers apart: which are to go is not known".to_owned());
    }
    let mut after = before.after(cut, input)?;
    let widths = Widths { cut, before, after };
    let mut out = Smaller { tensors: Vec::new(), shapes: Vec::new(), after, notes: Vec::new() };
    let mut index = std::collections::BTreeMap::new();
    let mut ffn = std::collections::BTreeMap::new();
    for t in &input.tensors {
        let stays = !of_a_block(t.role) || t.layer.is_none_or(|layer| after.layers.is_none_or(|n| u64::from(layer) < n));
        let shape = widths.shape(t, input.model, &mut ffn)?;
        let key = (pattern(&t.name), t.shape.clone());
        let at = *index.entry(key).or_insert_with_key(|(name, before)| {
            let (before, shape) = (before.to_vec(), shape.clone());
            out.shapes.push(ShapeChange { name: name.clone(), tensors_before: 0, tensors: 0, before, shape });
            out.shapes.len() - 1
        });
        out.shapes[at].tensors_before += 1;
        out.shapes[at].tensors += u64::from(stays);
        if !stays {
            continue;
        }
        let one = ProjectTensor::weight(t.name.clone(), t.role, t.layer, t.dtype, &shape);
        let logical_params = if t.logical_params == 0 { 0 } else { one.logical_params };
        out.tensors.push(ProjectTensor { name_bytes: t.name_bytes, part: t.part, logical_params, ..one });
    }
    if ffn.len() > 1 && matches!(cut.ffn, Some(Amount::Left(_))) {
        return Err(format!("feed-forward blocks are of several widths ({:?}): say what share goes, as ffn=25%", ffn.keys()));
    }
    if let Some((_, &widest)) = ffn.last_key_value() {
        after.ffn = Some(widest);
        if widest % 64 != 0 {
            out.notes
                .push(format!("{widest} feed-forward channels are no multiple of 64, which kernels and groups of quantizers want"));
        }
    }
    if after.layers != before.layers {
        let uneven = out.shapes.iter().any(|s| {
            s.name.contains('*') && s.tensors_before != s.tensors && s.tensors > 0 && {
                u128::from(s.tensors) * u128::from(before.layers.unwrap_or(0))
                    != u128::from(s.tensors_before) * u128::from(after.layers.unwrap_or(0))
            }
        });
        if uneven {
            out.notes.push("layers differ: the figures are those of the first ones".to_owned());
        }
        if input.tensors.iter().any(|t| t.role == Role::Mtp) {
            out.notes.push("multi-token prediction layers stay".to_owned());
        }
    }
    out.after = after;
    Ok(out)
}

/// Whether a tensor goes with its layer: towers and prediction layers number theirs apart.
fn of_a_block(role: Role) -> bool {
    !matches!(role, Role::Vision | Role::Audio | Role::Projector | Role::Mtp | Role::Adapter)
}

/// A name with its numbers as `*`; escaped.
fn pattern(name: &str) -> String {
    let parts = name.split('.').map(|part| if part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() { "*" } else { part });
    escape(&parts.collect::<Vec<_>>().join("."))
}

struct Widths {
    cut: Cut,
    before: Dims,
    after: Dims,
}

impl Widths {
    /// The dimensions of a tensor afterwards. `ffn` collects the feed-forward widths, each with what it becomes.
    fn shape(
        &self,
        t: &ProjectTensor<'_>,
        model: &ModelConfig,
        ffn: &mut std::collections::BTreeMap<u64, u64>,
    ) -> Result<Vec<u64>, String> {
        let cuts_hidden = self.before.hidden != self.after.hidden;
        let cuts_heads = self.before.heads != self.after.heads || self.before.kv_heads != self.after.kv_heads;
        let cuts_ffn = self.cut.ffn.is_some() || (self.cut.student && cuts_hidden);
        let touched = match t.role {
            _ if t.part == Part::Buffer => false,
            Role::Attention => cuts_hidden || cuts_heads,
            Role::Norm => cuts_hidden || (cuts_heads && (t.name.contains("q_norm") || t.name.contains("k_norm"))),
            Role::Mlp | Role::Expert | Role::SharedExpert => cuts_hidden || cuts_ffn,
            Role::Vision | Role::Audio | Role::Adapter => cuts_hidden,
            Role::Mtp => cuts_hidden || cuts_heads || cuts_ffn,
            _ => cuts_hidden,
        };
        if !touched {
            return Ok(t.shape.to_vec());
        }
        let unknown = || format!("which dimensions of `{}` ({}) the cut touches is not known", escape(&t.name), t.role.name());
        let axes = axes::of(t, &self.before, model).ok_or_else(unknown)?;
        t.shape
            .iter()
            .zip(axes)
            .map(|(&n, axis)| self.axis(n, axis, ffn).map_err(|why| format!("`{}`: {why}", escape(&t.name))))
            .collect()
    }

    fn axis(&self, n: u64, axis: Axis, ffn: &mut std::collections::BTreeMap<u64, u64>) -> Result<u64, String> {
        let (before, after) = (&self.before, &self.after);
        let qkv = |dims: &Dims| dims.kv()?.checked_mul(2)?.checked_add(dims.query()?);
        let (was, is, what) = match axis {
            Axis::Fixed => return Ok(n),
            Axis::Hidden => (before.hidden, after.hidden, "hidden size"),
            Axis::Query => (before.query(), after.query(), "heads x head width"),
            Axis::Kv => (before.kv(), after.kv(), "key/value heads x head width"),
            Axis::Qkv => (qkv(before), qkv(after), "(heads + 2 x key/value heads) x head width"),
            Axis::Ffn => return self.ffn(n, ffn),
            Axis::GateUp if n.is_multiple_of(2) => return self.ffn(n / 2, ffn).map(|half| half.saturating_mul(2)),
            Axis::FfnOf(experts) if experts > 0 && n.is_multiple_of(experts) => {
                return self.ffn(n / experts, ffn).map(|each| each.saturating_mul(experts));
            }
            Axis::FfnOf(experts) => return Err(format!("{n} rows are not those of {experts} experts")),
            Axis::GateUp => return Err(format!("{n} is no gate and up projection of one width")),
        };
        // A dimension that is not cut need not be understood.
        match (was, is) {
            _ if was == is => Ok(n),
            (Some(was), Some(is)) if was == n => Ok(is),
            (Some(was), _) => Err(format!("a dimension is {n}, but {what} is {was}")),
            _ => Err(format!("{what} is not known")),
        }
    }

    fn ffn(&self, n: u64, seen: &mut std::collections::BTreeMap<u64, u64>) -> Result<u64, String> {
        let left = match (self.cut.ffn, self.before.hidden, self.after.hidden) {
            (Some(amount), ..) => amount.of(n, "feed-forward channels")?,
            (None, Some(hidden), Some(left)) if self.cut.student => scale(n, left, hidden).ok_or_else(|| {
                format!("{n} feed-forward channels do not narrow from {hidden} to {left}: give them, as in ffn:N")
            })?,
            _ => n,
        };
        seen.insert(n, left);
        Ok(left)
    }
}

/// Elements that a token adds to the cache while it is inside every window.
fn kv_per_token(kv: &KvLayers) -> Option<u64> {
    match kv {
        KvLayers::Known(runs) => Some(runs.iter().fold(0, |n, run| n.saturating_add(run.elements_per_token()))),
        KvLayers::NoCache(_) => Some(0),
        KvLayers::Refused(_) => None,
    }
}

fn model_after(input: &ProjectInput<'_>, before: Dims, after: Dims) -> ModelConfig {
    let mut model = input.model.clone();
    (model.layers, model.hidden_size, model.heads) = (after.layers, after.hidden, after.heads);
    (model.kv_heads, model.head_dim) = (after.kv_heads, after.head_dim);
    if model.expert_ffn_size.is_none() {
        model.ffn_size = after.ffn;
    }
    model.layer_kinds.clear();
    if let KvLayers::Known(runs) = &mut model.kv {
        let alike = runs.len() == 1;
        for run in runs.iter_mut() {
            if matches!(run.kind, KvKind::Full | KvKind::Sliding | KvKind::Chunked) && Some(run.kv_heads) == before.kv_heads {
                run.kv_heads = after.kv_heads.unwrap_or(run.kv_heads);
            }
            if alike && Some(run.layers) == before.layers {
                run.layers = after.layers.unwrap_or(run.layers);
            }
        }
        if before.layers != after.layers && !alike {
            model.kv = KvLayers::Refused("which layers remain is not known".to_owned());
        }
    }
    model
}
