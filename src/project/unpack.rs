//! A quantized checkpoint as the floats it stands for: what every other scheme starts from.
//!
//! Tools that quantize take floats, so a checkpoint that is packed is unpacked first, on paper: every packed weight gets the shape
//! and the name it had, in the type of the model's other floats; scales, zero points and other bookkeeping go.

use std::borrow::Cow;

use super::expert_names;
use super::input::{ProjectInput, ProjectTensor};
use super::written::safetensors_file::{Entry, FORMAT_PT, Writer, header_bytes};
use crate::checkpoint::{HfFolder, Part, Role, is_conv1d};
use crate::dtype::Dtype;
use crate::families::config_keys::{QUANTIZATION, TEXT_PARTS};
use crate::format::Format;
use crate::text::escape;
use crate::units::Elements;

/// What quantizers put in place of `.weight`, or after a parameter's name, for the packed weight.
const PACKED: &[(&str, &str)] = &[
    (".qweight", ".weight"),
    (".weight_packed", ".weight"),
    ("._weight_qdata", ".weight"),
    (".W_q", ".weight"),
    (".weight._data._data", ".weight"),
    (".weight._data", ".weight"),
    (".trellis", ".weight"),
    (".q_weight", ".weight"),
    (".compressed", ""),
    ("_blocks", ""),
];

/// A packed checkpoint as the floats it stands for.
#[derive(Debug, Clone)]
pub struct Unpacked<'a> {
    /// As if a float checkpoint of transformers lay there: one file.
    pub input: ProjectInput<'a>,
    /// For each of its tensors, the index of the stored one.
    pub origin: Vec<u32>,
    /// Bytes by which the packed weights grow.
    pub grown: i128,
    /// Bytes of scales, zero points and other bookkeeping that are dropped.
    pub dropped: u64,
    /// Remarks on the figures for the reader, already escaped.
    pub notes: Vec<String>,
}

/// Unpacks a checkpoint: every packed weight in the type, shape and name it had before.
///
/// # Errors
/// Which tensor's weights or shape are not known; escaped.
pub fn unpack<'a>(input: &ProjectInput<'a>) -> Result<Unpacked<'a>, String> {
    let dtype = float_type(input);
    let mut out = Unpacked { input: input.clone(), origin: Vec::new(), grown: 0, dropped: 0, notes: Vec::new() };
    out.input.tensors.clear();
    let family = input.model.family.as_deref().unwrap_or_default();
    for (i, t) in input.tensors.iter().enumerate() {
        match t.part {
            Part::Auxiliary => {
                out.dropped = out.dropped.saturating_add(t.bytes);
                continue;
            }
            // Scales that stand for several tensors, as those of experts do, are no neighbour of theirs.
            Part::Weight if t.packed || is_byte_float(t.dtype) => {}
            Part::Weight if !t.dtype.is_float() && t.shape.len() > 1 => {
                return Err(format!(
                    "`{}` ({}) is packed in a way that is not known",
                    escape(&t.name),
                    t.dtype.name().unwrap_or("?")
                ));
            }
            _ => {
                let name = expert_names::published(family, t.name.clone());
                push(&mut out, i, ProjectTensor { name_bytes: name.len() as u64, name, ..t.clone() });
                continue;
            }
        }
        let stored = is_byte_float(t.dtype).then_some(&t.shape);
        let Some(shape) = t.logical_shape.as_ref().or(stored) else {
            return Err(format!("the shape that `{}` had before it was packed is not known", escape(&t.name)));
        };
        let (name, suffixed) = original(&t.name);
        let mut shape = shape.clone();
        // Quantizers hold GPT-2's projections as linear layers, [out, in]; the model holds them turned.
        if is_conv1d(family, &name) && shape.len() == 2 {
            shape.reverse();
        }
        let dtype = dtype.ok_or_else(|| "no other weight tells the type of the floats".to_owned())?;
        let elements = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        let bytes = elements.and_then(|n| dtype.bytes_of(Elements(n)));
        let (Some(elements), Some(bytes)) = (elements, bytes) else {
            return Err(format!("the size of `{}` does not fit 64 bits", escape(&t.name)));
        };
        out.grown += i128::from(bytes.0) - i128::from(t.bytes);
        let name = if suffixed { Cow::Owned(name) } else { t.name.clone() };
        let name = expert_names::published(family, name);
        let one = ProjectTensor {
            name_bytes: name.len() as u64,
            name,
            dtype,
            shape,
            elements,
            logical_params: elements,
            bytes: bytes.0,
            packed: false,
            logical_shape: None,
            ..t.clone()
        };
        for one in unstacked(one) {
            push(&mut out, i, one);
        }
    }
    finish(input, out, dtype)
}

fn push<'a>(out: &mut Unpacked<'a>, i: usize, t: ProjectTensor<'a>) {
    out.origin.push(u32::try_from(i).unwrap_or(u32::MAX));
    out.input.tensors.push(t);
}

fn finish<'a>(input: &ProjectInput<'a>, mut out: Unpacked<'a>, dtype: Option<Dtype>) -> Result<Unpacked<'a>, String> {
    let metadata = FORMAT_PT;
    let tensors = &out.input.tensors;
    let mut entries: Vec<Entry<'_>> =
        tensors.iter().map(|t| Entry { name: &t.name, dtype: t.dtype, shape: &t.shape, bytes: t.bytes }).collect();
    let header = header_bytes(&mut entries, Some(metadata), Writer::Reference);
    out.input.header_bytes = header;
    out.input.file_bytes = out.input.tensor_bytes().saturating_add(header);
    out.input.files = 1;
    out.input.quantization = None;
    out.input.safetensors_metadata = Some(metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
    let method = input.quantization.map_or("a quantizer", |q| q.method.as_str());
    let name = dtype.and_then(Dtype::name).unwrap_or("floats");
    out.notes.push(format!("the source is already quantized ({}): unpacked to {name} first", escape(method)));
    Ok(out)
}

fn is_byte_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F8_E4M3 | Dtype::F8_E5M2 | Dtype::F8_E4M3FNUZ | Dtype::F8_E5M2FNUZ)
}

/// The name a packed weight had, and whether it is another one.
fn original(name: &str) -> (String, bool) {
    for (end, instead) in PACKED {
        if let Some(stem) = name.strip_suffix(end) {
            // A tool that has no name of its own may put `.qweight` after the parameter's full name.
            let instead = if *end == ".qweight" && stem.ends_with("weight") { "" } else { instead };
            return (format!("{stem}{instead}"), true);
        }
    }
    (name.to_owned(), false)
}

/// MLX stacks the experts of a projection: one tensor each again, under the names that its loader reads.
fn unstacked(t: ProjectTensor<'_>) -> Vec<ProjectTensor<'_>> {
    let parts = t.name.split_once(".switch_mlp.").map(|(block, rest)| (block.to_owned(), rest.to_owned()));
    let (Some((block, rest)), &[experts, rows, columns]) = (parts, t.shape.as_slice()) else { return vec![t] };
    // A header cannot hold more experts than its tensor has rows of a byte.
    if experts == 0 || experts > 1 << 16 {
        return vec![t];
    }
    let rest = if block.ends_with("block_sparse_moe") {
        rest.replace("gate_proj", "w1").replace("down_proj", "w2").replace("up_proj", "w3")
    } else {
        rest
    };
    (0..experts)
        .map(|expert| {
            let name = format!("{block}.experts.{expert}.{rest}");
            let one = ProjectTensor::weight(name, Role::Expert, t.layer, t.dtype, &[rows, columns]);
            ProjectTensor { packed: false, ..one }
        })
        .collect()
}

/// The type of the floats that a quantizer left alone: the norms', else the other weights', else what the configuration says.
fn float_type(input: &ProjectInput<'_>) -> Option<Dtype> {
    let plain = |d: Dtype| matches!(d, Dtype::F32 | Dtype::F16 | Dtype::BF16);
    let weights = || input.tensors.iter().filter(|t| t.part == Part::Weight && !t.packed && plain(t.dtype));
    let norms = weights().find(|t| t.role == Role::Norm);
    norms.or_else(|| weights().next()).map(|t| t.dtype).or_else(|| match input.model.stated_dtype.as_deref()? {
        "float32" => Some(Dtype::F32),
        "float16" => Some(Dtype::F16),
        "bfloat16" => Some(Dtype::BF16),
        _ => None,
    })
}

/// The folder as if the floats lay there: its configuration names no quantization, its reading order is that of the new tensors.
pub fn folder_of(folder: &HfFolder, unpacked: &Unpacked<'_>) -> HfFolder {
    let mut folder = folder.clone();
    for section in QUANTIZATION.names {
        folder.config.remove(*section);
        for part in TEXT_PARTS {
            if let Some(text) = folder.config.get_mut(part.name).and_then(|t| t.as_object_mut()) {
                text.remove(*section);
            }
        }
    }
    folder.quantization = None;
    let tensors = &unpacked.input.tensors;
    let mut order: Vec<u32> = (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).collect();
    order.sort_by(|&a, &b| tensors[a as usize].name.cmp(&tensors[b as usize].name));
    folder.order = order;
    folder
}

/// Whether a checkpoint has to be unpacked before another scheme can start from it.
pub fn is_needed(input: &ProjectInput<'_>) -> bool {
    input.format == Some(Format::Safetensors) && input.is_packed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_back_to_what_was_published() {
        let back = |family: &str, name: &str| expert_names::published(family, Cow::Owned(original(name).0)).into_owned();
        let cases = [
            ("mixtral", "model.layers.0.mlp.experts.1.gate_proj.qweight", "model.layers.0.block_sparse_moe.experts.1.w1.weight"),
            ("mixtral", "model.layers.0.mlp.gate.weight", "model.layers.0.block_sparse_moe.gate.weight"),
            ("qwen3_moe", "model.layers.0.mlp.experts.1.up_proj.weight_packed", "model.layers.0.mlp.experts.1.up_proj.weight"),
            ("llama", "model.layers.0.mlp.up_proj._weight_qdata", "model.layers.0.mlp.up_proj.weight"),
            ("gpt_oss", "model.layers.0.mlp.experts.down_proj_blocks", "model.layers.0.mlp.experts.down_proj"),
            ("", "core.block.ffn.up.weight.qweight", "core.block.ffn.up.weight"),
        ];
        for (family, packed, published) in cases {
            assert_eq!(back(family, packed), published);
        }
        let stack =
            ProjectTensor::weight("m.block_sparse_moe.switch_mlp.down_proj.weight", Role::Expert, None, Dtype::BF16, &[2, 8, 4]);
        let names: Vec<String> = unstacked(stack).into_iter().map(|t| t.name.into_owned()).collect();
        assert_eq!(names, ["m.block_sparse_moe.experts.0.w2.weight", "m.block_sparse_moe.experts.1.w2.weight"]);
    }
}
