//! A conversion with an outtype: the file that the converter writes.

use std::borrow::Cow;

use super::converted::ConvertedModel;
use super::tokens::Pre;
use crate::checkpoint::{Part, Role};
use crate::dtype::Dtype;
use crate::project::bridge::{Origin, Origins};
use crate::project::input::{GgufSource, ProjectInput, ProjectTensor};
use crate::project::plan::{Basis, Change, FileSize, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::project::written::gguf_file::{Infos, pad_to};
use crate::units::Elements;

/// How far the file's size can be off where the name of the pre-tokenizer is not known: names have 3 to 24 characters, 8 are
/// assumed, and the header is padded to 32.
const PRE_RANGE: u64 = 32;

/// A conversion with an outtype: the file that the converter writes.
#[derive(Debug)]
pub(crate) struct Typed<'a> {
    /// Tensors in the order of the file.
    pub(crate) tensors: Vec<ProjectTensor<'a>>,
    /// Type that was wanted for each tensor, where its rows do not fill that type's blocks.
    wanted: Vec<Option<Dtype>>,
    /// Index of the source tensor, where a tensor is made of one.
    sources: Vec<Option<u32>>,
    /// The header as a reader of the file finds it.
    pub(crate) gguf: GgufSource,
    /// What the tensors are made of, in file order.
    pub(crate) origins: Origins,
}

impl ConvertedModel {
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
        let rows: Vec<Origin> = self.tensors.iter().map(|t| t.origin).collect();
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

    /// Says what happened to a tensor on the way.
    pub(crate) fn change(
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
    pub(crate) fn source(typed: &Typed<'_>, i: usize) -> Option<u32> {
        typed.sources[i]
    }

    /// Adds remarks on the figures for the reader.
    pub(crate) fn say(&self, plan: &mut Plan<'_>) {
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
    pub(crate) fn reason(&self, i: usize, typed: &Typed<'_>) -> String {
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
