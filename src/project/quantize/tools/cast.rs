//! Casts: every floating-point weight in another plain type, everything else as it is.
//!
//! Source: `model.to(dtype)` followed by `save_pretrained` (transformers 5.23, safetensors 0.8.0): floating-point parameters and
//! buffers are cast, F64 too, integer ones kept; one file up to 50 GB (10^9), then shards. Without a class in the configuration it is
//! the same done to the tensors as they are stored.

use crate::project::quantize::context::Context;
use crate::project::quantize::rule::{Rule, Schemes};
use crate::project::quantize::seen::ToolId;

use crate::checkpoint::{Part, Role};
use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::input::ProjectTensor;
use crate::project::plan::{Basis, Change, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::project::quantize::source::require_float_safetensors;
use crate::project::written::transformers_files::{TRANSFORMERS_LIMIT, transformers_files};
use crate::units::Elements;

fn parse(name: &str) -> Option<Box<dyn Rule>> {
    let dtype = match name {
        "f32" => Dtype::F32,
        "f16" => Dtype::F16,
        "bf16" => Dtype::BF16,
        _ => return None,
    };
    Some(Box::new(Cast(dtype)))
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Safetensors,
    names: &["f32", "f16", "bf16"],
    aliases: &[("fp32", "f32"), ("float32", "f32"), ("fp16", "f16"), ("float16", "f16"), ("bfloat16", "bf16")],
    parse,
};

struct Cast(Dtype);

impl Rule for Cast {
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        if context.input.format == Some(Format::Safetensors) && context.input.is_packed() {
            return self.unpacked(context);
        }
        require_float_safetensors(context)?;
        let mut notes = Vec::new();
        let mut tensors = Vec::with_capacity(context.input.tensors.len());
        let mut odd = 0u64;
        for (i, t) in context.by_name().iter().map(|&i| (i as usize, &context.input.tensors[i as usize])) {
            // 8-bit floats, complex numbers and integers stored as weights are no plain weights of a float checkpoint.
            let plain = matches!(t.dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16);
            odd += u64::from(!plain && t.part == Part::Weight);
            let out = if plain { OutTensor::retyped(i, t, self.0) } else { Some(OutTensor::kept(i, t)) };
            tensors.push(out.ok_or_else(|| too_large(&t.name))?);
        }
        let mut basis = Basis::Exact;
        if odd > 0 {
            basis = Basis::Estimate;
            notes.push(format!("{odd} weights that are no F64, F32, F16 or BF16 are kept as they are"));
        }
        let metadata = context.input.safetensors_metadata.as_deref();
        let mut file = transformers_files(|| context.natural_ranks(), &tensors, metadata, TRANSFORMERS_LIMIT);
        let seen = context.seen();
        if seen.named && !seen.has(ToolId::Cast) {
            basis = Basis::Estimate;
            notes.push(seen.why_not(ToolId::Cast));
        }
        let tied = context.input.model.tied_embeddings == Some(true);
        let is_twin = |t: &ProjectTensor<'_>| tied && t.role == Role::LmHead && t.shape.len() > 1;
        let may_go = |out: &&OutTensor<'_>| {
            out.source.is_some_and(|i| seen.is_stranger(i as usize) || is_twin(&context.input.tensors[i as usize]))
        };
        let mut tensor_range = None;
        if tensors.iter().any(|out| may_go(&out)) {
            basis = Basis::Estimate;
            let left: Vec<OutTensor<'_>> = tensors.iter().filter(|out| !may_go(out)).cloned().collect();
            let bytes = |tensors: &[OutTensor<'_>]| tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
            tensor_range = Some((bytes(&left), bytes(&tensors)));
            file.range =
                Some((transformers_files(|| context.natural_ranks(), &left, metadata, TRANSFORMERS_LIMIT).likely, file.likely));
            notes.push(format!(
                "{} tensors are there that transformers may leave out when it loads the model",
                tensors.len() - left.len()
            ));
        }
        if file.files > 1 {
            notes.push("in shards of 50 GB, as transformers writes them; the index file is not counted".to_owned());
        }
        Ok(Plan { tensors, basis, file: Some(file), tensor_range, notes })
    }
}

impl Cast {
    /// A quantized source written out in full: every weight of it in this type, bookkeeping dropped. Names and shapes of the
    /// unpacked tensors are not made, so only the tensor bytes are known.
    fn unpacked<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        let mut tensors = Vec::new();
        for (i, t) in context.input.tensors.iter().enumerate().filter(|(_, t)| t.part != Part::Auxiliary) {
            if t.part == Part::Buffer {
                tensors.push(OutTensor::kept(i, t));
                continue;
            }
            if t.logical_params == 0 && t.elements > 0 {
                let name = crate::text::escape(&t.name);
                return Err(Refusal::new(format!("how many weights `{name}` holds is not known")));
            }
            let bytes = self.0.bytes_of(Elements(t.logical_params)).ok_or_else(|| too_large(&t.name))?.0;
            let change = if t.dtype == self.0 { Change::Kept } else { Change::Retyped };
            tensors.push(OutTensor { dtype: self.0, bytes, change, ..OutTensor::kept(i, t) });
        }
        let notes = vec![
            "the quantized source unpacked: weights in full, scales and zero points dropped".to_owned(),
            "the header is not known: names and shapes of the unpacked tensors are not made".to_owned(),
        ];
        Ok(Plan { tensors, basis: Basis::Estimate, file: None, tensor_range: None, notes })
    }
}
