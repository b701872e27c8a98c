//! What `convert_hf_to_gguf.py` writes from a Hugging Face folder, to the byte, and what `llama-quantize` makes of it.
//!
//! Source: the converter and gguf-py at llama.cpp commit 0c1e570, with transformers 4.57.6, which it pins. `fixtures/convert` and
//! `fixtures/families` hold folders and what those programs wrote of them.

mod candidates;
mod class_tokens;
mod common_keys;
mod conversion;
mod dequantize;
mod family;
mod general;
mod header;
mod hparams;
mod keys;
mod model_keys;
mod nvfp4;
mod sentencepiece;
mod source_names;
mod special_tokens;
mod tensors;
mod types;
mod vocab;
#[cfg(test)]
mod tests;

pub(crate) use candidates::gguf_candidates;
pub(crate) use header::{ConvertedHeader, header};

use std::borrow::Cow;

use common_keys::Given;
use conversion::{Conversion, ConvertedTensor};
use general::Counts;
use hparams::Hparams;
use keys::Keys;
use vocab::Pre;

use super::file::Infos;
use super::{Prepared, QuantTarget, pad_to};
use crate::checkpoint::{HfFolder, Part, Role};
use crate::dtype::Dtype;
use crate::project::input::{GgufSource, ProjectInput, ProjectTensor};
use crate::project::storage::bridge::{Group, Origin, Origins};
use crate::project::storage::plan::{Basis, Change, FileSize, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::text::escape;
use crate::units::Elements;

/// What the converter writes, but for the types, which the outtype decides.
#[derive(Debug)]
pub(crate) struct ConvertedModel {
    tensors: Vec<ConvertedTensor>,
    keys: Keys,
    arch: &'static str,
    auto: Dtype,
    basis: Basis,
    pre: Pre,
    left_out: Vec<(Group, u64)>,
    notes: Vec<String>,
}

/// How far the file's size can be off where the name of the pre-tokenizer is not known: names have 3 to 24 characters, 8 are
/// assumed, and the header is padded to 32.
const PRE_RANGE: u64 = 32;

/// `None` for a family whose conversion is not known; otherwise the conversion, or why the converter stops.
pub(crate) fn convert(input: &ProjectInput<'_>, folder: &HfFolder) -> Option<Result<ConvertedModel, String>> {
    Some(family_of(folder)?.and_then(|(family, mut settings)| {
        let mut conversion = without_vocabulary(input, folder, &family, &mut settings)?;
        conversion.pre = vocab::add(&mut conversion.keys, family.vocabulary, folder, &mut settings)?;
        Ok(conversion)
    }))
}

/// The row of a folder's family and its settings; `None` for a family that has none.
fn family_of(folder: &HfFolder) -> Option<Result<(family::Family, Hparams), String>> {
    if let (true, Some(reason)) = (folder.config.is_empty(), &folder.refusal) {
        // config.json is there and could not be read: which family it is, is not known.
        return Some(Err(reason.clone()));
    }
    let settings = Hparams::new(&folder.config, false);
    let family = family::of(settings.architecture()?)?;
    // `Mistral3Model` hands this one to `Mistral4Model`, a class of the DeepSeek scheme.
    if family.arch == "mistral3" && settings.some(&["model_type"]).and_then(serde_json::Value::as_str) == Some("mistral4") {
        return None;
    }
    let settings = if family.raw_config { Hparams::new(&folder.config, true) } else { settings };
    Some(Ok((family, settings)))
}

/// The tensors, and the keys but for the tokenizer's.
fn without_vocabulary(
    input: &ProjectInput<'_>,
    folder: &HfFolder,
    family: &family::Family,
    settings: &mut Hparams,
) -> Result<ConvertedModel, String> {
    if let Some(reason) = &folder.refusal {
        return Err(reason.clone());
    }
    if folder.order.is_empty() {
        return Err("the converter reads files named model*.safetensors; there are none".to_owned());
    }
    let mut blocks = settings.need(&["n_layers", "num_hidden_layers", "n_layer", "num_layers"])?;
    if family.predicts_further {
        blocks = blocks.saturating_add(settings.count("num_nextn_predict_layers").unwrap_or(0));
    }
    let loading = dequantize::load(input, folder, family, settings)?;
    let mut conversion = Conversion::new(family, settings, folder, blocks);
    for t in &loading.first {
        conversion.write_kept(t)?;
    }
    if loading.first.iter().any(|t| t.fixed == Some(Dtype::NVFP4)) {
        conversion.notes.push("scales beside NVFP4 are counted; the converter leaves out those that are exactly 1".to_owned());
    }
    (family.start)(&mut conversion)?;
    for t in &loading.rest {
        (family.tensor)(&mut conversion, t)?;
    }
    conversion.finish()?;
    let Conversion { out: tensors, doubtful, mut notes, .. } = conversion;
    if tensors.is_empty() {
        return Err("no tensor would be written".to_owned());
    }
    let mut seen = std::collections::HashSet::with_capacity(tensors.len());
    if let Some(t) = tensors.iter().find(|t| !seen.insert(t.name.as_str())) {
        return Err(format!("two tensors would be named `{}`: the converter stops", escape(&t.name)));
    }
    let mut keys = Keys::new(family.arch);
    general::add(&mut keys, folder, &counts(&tensors));
    (family.keys)(&mut keys, &mut Given { hparams: settings, folder, blocks })?;
    notes.extend(folder.notes.iter().cloned());
    let basis = if doubtful || !folder.notes.is_empty() { Basis::Estimate } else { Basis::Exact };
    let written: u64 = tensors.iter().fold(0, |n, t| n.saturating_add(t.origin.bytes));
    let mut left_out = loading.left_out;
    let kept_out: u64 = left_out.iter().fold(0, |n, (_, b)| n.saturating_add(*b));
    // Whatever a family drops while it works: prediction layers, tied heads, activation scales.
    let dropped = input.tensor_bytes().saturating_sub(written.saturating_add(kept_out));
    if dropped > 0 {
        left_out.push((Group::Others, dropped));
    }
    let auto = loading.auto.unwrap_or(Dtype::F16);
    Ok(ConvertedModel { tensors, keys, arch: family.arch, auto, basis, pre: Pre::Known, left_out, notes })
}

fn counts(tensors: &[ConvertedTensor]) -> Counts {
    let mut counts = Counts::default();
    let (mut sum, mut stacks) = (0u64, 0u64);
    for t in tensors {
        let n = t.elements().unwrap_or(u64::MAX);
        let dims = t.shape.len();
        if t.name.contains("_exps.") && dims >= 3 {
            let experts = t.shape[dims - if t.name.contains(".bias") { 2 } else { 3 }];
            counts.expert = counts.expert.saturating_add(n / experts.max(1));
            sum = sum.saturating_add(experts);
            stacks += 1;
        } else {
            counts.shared = counts.shared.saturating_add(n);
        }
        counts.total = counts.total.saturating_add(n);
    }
    counts.experts = sum.checked_div(stacks).unwrap_or(0);
    counts
}

/// A conversion with an outtype: the file that the quantizer starts from.
#[derive(Debug)]
pub(crate) struct Typed<'a> {
    /// Its tensors in file order.
    pub(super) tensors: Vec<ProjectTensor<'a>>,
    /// Type that was wanted, where rows do not fill its blocks.
    wanted: Vec<Option<Dtype>>,
    /// Index of the one tensor each is made of.
    sources: Vec<Option<u32>>,
    /// The keys as the quantizer reads them back.
    pub(super) gguf: GgufSource,
    /// What the tensors are made of, in file order.
    pub(crate) origins: Origins,
    /// The quantizer's order, and what it reads off the names.
    pub(super) prepared: Prepared,
    /// As `origins`, in the quantizer's order.
    pub(crate) sorted_origins: Origins,
}

impl ConvertedModel {
    /// The element type that an outtype stands for.
    pub(crate) fn outtype(&self, target: QuantTarget) -> Option<Dtype> {
        match target {
            QuantTarget::Auto => Some(self.auto),
            QuantTarget::F32
            | QuantTarget::F16
            | QuantTarget::Bf16
            | QuantTarget::Q8_0
            | QuantTarget::Tq1_0
            | QuantTarget::Tq2_0 => target.base(),
            _ => None,
        }
    }

    /// The file of an outtype; an error where sizes do not fit.
    pub(crate) fn typed<'a>(&self, input: &ProjectInput<'_>, outtype: Dtype) -> Result<Typed<'a>, Refusal<'static>> {
        let mut tensors = Vec::with_capacity(self.tensors.len());
        let mut wanted = Vec::with_capacity(self.tensors.len());
        for t in &self.tensors {
            let row = t.shape.last().copied().unwrap_or(1);
            let (dtype, fell_back) = t.rule.dtype(row, outtype);
            let elements = t.elements().ok_or_else(|| too_large(&t.name))?;
            let bytes = dtype.bytes_of(Elements(elements)).ok_or_else(|| too_large(&t.name))?.0;
            wanted.push(fell_back);
            tensors.push(ProjectTensor {
                name_bytes: t.name.len() as u64,
                name: Cow::Owned(t.name.clone()),
                role: t.source.and_then(|i| input.tensors.get(i as usize)).map_or(Role::Other, |s| s.role),
                layer: None,
                dtype,
                shape: t.shape.clone(),
                elements,
                logical_params: elements,
                bytes,
                part: Part::Weight,
                packed: false,
                logical_shape: None,
            });
        }
        let prepared = Prepared::of(&tensors);
        let rows: Vec<Origin> = self.tensors.iter().map(|t| t.origin).collect();
        let sorted = prepared.order.iter().map(|&i| rows[i as usize]).collect();
        let head_count = self.keys.head_count.unwrap_or(0);
        Ok(Typed {
            wanted,
            sources: self.tensors.iter().map(|t| t.source).collect(),
            gguf: GgufSource {
                kv_bytes: self.keys.bytes(),
                alignment: 32,
                has_file_type: self.keys.has("general.file_type"),
                has_quantization_version: true,
                architecture: self.arch.to_owned(),
                block_count: self.keys.block_count,
                head_count,
                head_count_kv: self.keys.head_count_kv.unwrap_or(head_count),
                expert_count: self.keys.expert_count,
                ..GgufSource::default()
            },
            origins: Origins { rows, left_out: self.left_out.clone() },
            sorted_origins: Origins { rows: sorted, left_out: self.left_out.clone() },
            prepared,
            tensors,
        })
    }

    /// What the converter writes with the outtype of `typed`.
    pub(crate) fn plan<'a>(&self, input: &ProjectInput<'a>, typed: &Typed<'_>) -> PlanResult<'a> {
        let mut sum = Infos::default();
        let mut out = Vec::with_capacity(typed.tensors.len());
        for (i, t) in typed.tensors.iter().enumerate() {
            // Nothing is dropped of the shape.
            sum.add(t.name_bytes, t.shape.len(), t.bytes);
            out.push(OutTensor {
                name: Cow::Owned(t.name.to_string()),
                name_bytes: t.name_bytes,
                dtype: t.dtype,
                shape: t.shape.clone(),
                bytes: t.bytes,
                source: typed.sources[i],
                change: self.change(input, typed, i, t.dtype, typed.wanted[i]),
            });
        }
        let header = self.keys.bytes().saturating_add(24).saturating_add(sum.infos);
        let likely = pad_to(header, 32).saturating_add(sum.padded);
        let padding = (pad_to(header, 32) - header) + (sum.padded - sum.data);
        let file = FileSize { files: 1, likely, header, padding, range: None };
        let mut plan = Plan { tensors: out, basis: self.basis, file: Some(file), tensor_range: None, notes: Vec::new() };
        self.say(&mut plan);
        Ok(plan)
    }

    /// What happened to a tensor on the way.
    pub(super) fn change(
        &self,
        input: &ProjectInput<'_>,
        typed: &Typed<'_>,
        i: usize,
        dtype: Dtype,
        wanted: Option<Dtype>,
    ) -> Change {
        let source = typed.sources[i].and_then(|s| input.tensors.get(s as usize));
        match (wanted, self.tensors[i].origin.dtype, source) {
            (Some(wanted), ..) => Change::Fallback { wanted },
            (None, None, _) => Change::Added,
            (None, _, Some(source)) if source.dtype == dtype => Change::Kept,
            _ => Change::Retyped,
        }
    }

    /// Index of the one tensor that a converted one is made of.
    pub(super) fn source(typed: &Typed<'_>, i: usize) -> Option<u32> {
        typed.sources[i]
    }

    /// What a reader of the figures should know.
    pub(super) fn say(&self, plan: &mut Plan<'_>) {
        plan.notes.extend(self.notes.iter().cloned());
        if self.basis == Basis::Estimate {
            plan.basis = Basis::Estimate;
        }
        if self.pre == Pre::Assumed {
            if let Some(file) = &mut plan.file
                && file.range.is_none()
            {
                file.range = Some((file.likely.saturating_sub(PRE_RANGE), file.likely.saturating_add(PRE_RANGE)));
            }
            plan.notes.push(
                "the name of the pre-tokenizer is found by running the tokenizer: 8 characters are assumed, the file can differ by 32 bytes (--pre NAME)"
                    .to_owned(),
            );
        }
    }

    /// Why a tensor of this index has its type, in words.
    pub(super) fn reason(&self, i: usize, typed: &Typed<'_>) -> String {
        let t = &typed.tensors[i];
        let mut text = format!("{} ({})", self.tensors[i].rule.reason(), t.dtype.name().unwrap_or("unknown"));
        if let Some(wanted) = typed.wanted[i] {
            let block = wanted.info().map_or(1, |row| row.elements_per_block);
            text.push_str(&format!(
                "; its rows of {} do not fill blocks of {block}, so {} falls back to F16",
                t.row_len(),
                wanted.name().unwrap_or("the outtype")
            ));
        }
        text
    }
}
