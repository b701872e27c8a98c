//! What the Hugging Face converter would write, and what the quantizer makes of that: an estimate by generic rules.
//!
//! Source: `convert_hf_to_gguf.py` at llama.cpp commit 0c1e570: 1-D tensors, norms, biases and routers in F32, matrices in the
//! outtype, experts stacked; names of the llama scheme, which most decoders share. Not modelled: metadata and tokenizer arrays (a
//! range), tensors that a family adds, splits or leaves out, families the converter refuses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::mixture::MixtureTensor;
use super::mixture::{Model, decide};
use super::target::QuantTarget;
use crate::checkpoint::{Part, Role};
use crate::dtype::Dtype;
use crate::families::by_model_type;
use crate::format::Shape;
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::plan::{Basis, Change, FileSize, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::project::quantize::context::Context;
use crate::project::stacked::{self, Projection};
use crate::project::written::gguf_file::{Infos, pad_to};
use crate::text::escape;
use crate::units::Elements;

/// The converter with an outtype, or the quantizer run on the converter's `auto`.
///
/// # Errors
/// A quantized source, or what the quantizer would refuse.
pub(super) fn estimate<'a>(context: &Context<'_, 'a>, target: QuantTarget) -> PlanResult<'a> {
    let input = context.input;
    if input.is_packed() {
        return Err(Refusal::new("the source is already quantized: project from its float original"));
    }
    let mut notes = vec![
        "by generic rules of the converter: tensors that a family adds, splits or leaves out are not modelled".to_owned(),
        "the size of the file is a range: names, tokenizer and chat template are not read".to_owned(),
    ];
    // The converter writes these itself; everything else is the quantizer on what it writes with `auto`.
    let direct = match target {
        QuantTarget::F32 | QuantTarget::F16 | QuantTarget::Bf16 | QuantTarget::Q8_0 | QuantTarget::Tq1_0 | QuantTarget::Tq2_0 => {
            target.base()
        }
        QuantTarget::Auto => Some(auto_type(input)),
        _ => None,
    };
    let outtype = direct.unwrap_or_else(|| auto_type(input));
    let mut tensors = convert(input, outtype, &mut notes)?;
    if direct.is_none() {
        quantize(context, target, &mut tensors, &mut notes)?;
    }
    let file = size(input, &tensors);
    Ok(Plan { tensors, basis: Basis::Estimate, file, tensor_range: None, notes })
}

/// `--outtype auto`: the first matrix stored in 16 bits decides; without one, F16.
fn auto_type(input: &ProjectInput<'_>) -> Dtype {
    let mut matrices = input.tensors.iter().filter(|t| t.shape.len() >= 2);
    matrices.find(|t| matches!(t.dtype, Dtype::BF16 | Dtype::F16)).map_or(Dtype::F16, |t| t.dtype)
}

/// Experts of one projection of one layer, stacked into one tensor.
struct Stack {
    at: usize,
    experts: u64,
    shape: Shape,
}

fn convert<'a>(input: &ProjectInput<'a>, outtype: Dtype, notes: &mut Vec<String>) -> Result<Vec<OutTensor<'a>>, Refusal<'a>> {
    let mut out: Vec<OutTensor<'a>> = Vec::with_capacity(input.tensors.len());
    let mut stacks: BTreeMap<String, Stack> = BTreeMap::new();
    let (mut skipped, mut unmapped) = (0u64, 0u64);
    for (i, t) in input.tensors.iter().enumerate() {
        if t.part != Part::Weight || matches!(t.role, Role::Vision | Role::Audio | Role::Projector | Role::Buffer) {
            skipped += 1;
            continue;
        }
        if !t.dtype.is_float() {
            return Err(Refusal::new(format!("`{}` is no floating-point weight", escape(&t.name))));
        }
        if let Some(parts) = stacked_experts(t, input) {
            let whole = parts.len() == 1;
            for (name, shape) in parts {
                out.push(OutTensor {
                    name_bytes: name.len() as u64,
                    name: Cow::Owned(name),
                    dtype: Dtype::F32,
                    source: whole.then(|| u32::try_from(i).unwrap_or(u32::MAX)),
                    shape,
                    bytes: 0,
                    change: Change::Retyped,
                });
            }
            continue;
        }
        let mapped = gguf_name(&t.name, t.layer).or_else(|| by_role(t, input));
        unmapped += u64::from(mapped.is_none());
        let name = mapped.unwrap_or_else(|| Name { text: t.name.to_string(), stacked: false });
        if name.stacked
            && let Some(stack) = stacks.get_mut(&name.text)
        {
            if stack.shape != t.shape {
                return Err(Refusal::new(format!("experts of `{}` differ in shape", escape(&name.text))));
            }
            stack.experts += 1;
            continue;
        }
        if name.stacked {
            stacks.insert(name.text.clone(), Stack { at: out.len(), experts: 1, shape: t.shape.clone() });
        }
        out.push(OutTensor {
            name_bytes: name.text.len() as u64,
            name: Cow::Owned(name.text),
            dtype: Dtype::F32,
            shape: t.shape.clone(),
            bytes: 0,
            source: (!name.stacked).then_some(u32::try_from(i).unwrap_or(u32::MAX)),
            change: Change::Retyped,
        });
    }
    for stack in stacks.into_values() {
        let mut shape = Shape::from_slice(&[stack.experts]);
        shape.extend_from_slice(&stack.shape);
        out[stack.at].shape = shape;
    }
    for t in &mut out {
        t.dtype = converter_type(&t.name, &t.shape, outtype);
        let elements = t.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        t.bytes = elements.and_then(|n| t.dtype.bytes_of(Elements(n))).ok_or_else(|| too_large(&t.name))?.0;
        if t.source.is_some_and(|s| input.tensors[s as usize].dtype == t.dtype) {
            t.change = Change::Kept;
        }
    }
    if skipped > 0 {
        notes.push(format!("{skipped} buffers and tensors of other towers are left out, as the converter does"));
    }
    if unmapped > 0 {
        notes.push(format!("{unmapped} names are not of the llama scheme: the converter may refuse them; sized as they are"));
    }
    if out.is_empty() {
        return Err(Refusal::new("no tensor would be written"));
    }
    Ok(out)
}

/// The type the converter gives a tensor. Source: `prepare_tensors`, first match wins.
fn converter_type(name: &str, shape: &[u64], outtype: Dtype) -> Dtype {
    const F32_NAMES: &[&str] = &[
        "ffn_gate_inp.weight",
        "ffn_gate_inp_shexp.weight",
        "position_embd.weight",
        "token_types.weight",
        "ssm_conv1d.weight",
        "shortconv.conv.weight",
    ];
    if shape.len() <= 1 || name.ends_with("_norm.weight") || !name.ends_with(".weight") {
        return Dtype::F32;
    }
    let bare = name.strip_prefix("blk.").and_then(|n| n.split_once('.')).map_or(name, |(_, rest)| rest);
    if F32_NAMES.contains(&bare) {
        return Dtype::F32;
    }
    let ternary = matches!(outtype, Dtype::TQ1_0 | Dtype::TQ2_0);
    if ternary && matches!(bare, "token_embd.weight" | "output.weight") {
        return Dtype::F16;
    }
    let block = outtype.info().map_or(1, |row| row.elements_per_block);
    if shape.last().copied().unwrap_or(1) % block != 0 { Dtype::F16 } else { outtype }
}

/// The architecture that stands for a model type: another row's where the converter writes its class so, else its own name.
fn architecture(model_type: &str) -> &str {
    let written = by_model_type(model_type).and_then(|row| row.written_as.iter().find(|(name, _)| *name == model_type));
    written.map_or(model_type, |(_, architecture)| architecture)
}

fn quantize<'a>(
    context: &Context<'_, 'a>,
    target: QuantTarget,
    tensors: &mut [OutTensor<'a>],
    notes: &mut Vec<String>,
) -> Result<(), Refusal<'a>> {
    let model = context.input.model;
    tensors.sort_by(|a, b| {
        let key = |t: &OutTensor<'_>| super::category::block(&t.name).map_or(0, |n| n + 1);
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    let known = Model {
        architecture: model.family.as_deref().map_or("", architecture),
        layers: model.layers.unwrap_or(0),
        heads: model.heads.unwrap_or(0),
        kv_heads: model.kv_heads.or(model.heads).unwrap_or(0),
        experts: model.experts.unwrap_or(0),
    };
    if model.layers.is_none() || model.heads.is_none() {
        notes.push("layers or heads are not known: the mixture may differ".to_owned());
    }
    let decisions = {
        let view: Vec<MixtureTensor<'_>> = tensors.iter().map(|t| MixtureTensor::new(&t.name, &t.shape, t.dtype)).collect();
        decide(&view, &known, target, &context.options)
    };
    if let Some(reason) = decisions.refusal() {
        return Err(Refusal::new(reason));
    }
    notes.extend(decisions.notes);
    for (t, decision) in tensors.iter_mut().zip(&decisions.decisions) {
        let elements = t.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        t.dtype = decision.dtype;
        t.bytes = elements.and_then(|n| t.dtype.bytes_of(Elements(n))).ok_or_else(|| too_large(&t.name))?.0;
        if let Some(wanted) = decision.fell_back_from {
            t.change = Change::Fallback { wanted };
        } else if t.source.is_some_and(|s| context.input.tensors[s as usize].dtype != t.dtype) {
            t.change = Change::Retyped;
        }
    }
    Ok(())
}

/// Bytes of tokenizer arrays per vocabulary entry: from 13 (a length, one byte, a type) over 30 (25 to 36 in real GGUFs of Gemma 3
/// and SmolLM2: texts, types, merges or scores) to 60.
const PER_TOKEN: [u64; 3] = [13, 30, 60];
/// Other keys: the always written ones; with a chat template and card facts; with a normalizer map (240 KB in T5) besides.
const OTHER_KEYS: [u64; 3] = [500, 8_000, 400_000];

fn size(input: &ProjectInput<'_>, tensors: &[OutTensor<'_>]) -> Option<FileSize> {
    let embedding = input.tensors.iter().find(|t| t.role == Role::Embedding);
    let vocabulary = input.model.vocab_size.or_else(|| embedding.and_then(|t| t.shape.first().copied()))?;
    let mut sum = Infos::default();
    for t in tensors {
        sum.add(t.name_bytes, t.shape.len(), t.bytes);
    }
    let header = |i: usize| (24 + sum.infos + OTHER_KEYS[i]).saturating_add(vocabulary.saturating_mul(PER_TOKEN[i]));
    let file = |i: usize| pad_to(header(i), 32).saturating_add(sum.padded);
    Some(FileSize {
        files: 1,
        likely: file(1),
        header: header(1),
        padding: (pad_to(header(1), 32) - header(1)) + (sum.padded - sum.data),
        range: Some((file(0), file(2))),
    })
}

/// Experts that one tensor holds: what the converter writes of them, rows as inputs. Where it leaves gate and up in one tensor, the
/// bytes are the same.
fn stacked_experts(t: &ProjectTensor<'_>, input: &ProjectInput<'_>) -> Option<Vec<(String, Shape)>> {
    let layer = t.layer?;
    let Some(stack) = stacked::of(t, input.model) else {
        // A parameter of unknown projection is a weight all the same, and quantized under a name that ends so.
        let odd = t.role == Role::Expert && t.shape.len() == 3 && !t.name.ends_with(".weight");
        return odd.then(|| vec![(format!("{}.weight", t.name), t.shape.clone())]);
    };
    let kind = if t.role == Role::SharedExpert { "shexp" } else { "exps" };
    let end = if stack.is_bias { "bias" } else { "weight" };
    let part = |to: &str, outputs: u64| {
        let shape: &[u64] = if stack.is_bias { &[stack.experts, outputs] } else { &[stack.experts, outputs, stack.inputs] };
        (format!("blk.{layer}.ffn_{to}_{kind}.{end}"), Shape::from_slice(shape))
    };
    Some(match stack.projection {
        Projection::Gate => vec![part("gate", stack.outputs)],
        Projection::Up => vec![part("up", stack.outputs)],
        Projection::Down => vec![part("down", stack.outputs)],
        Projection::GateUp if stack.outputs.is_multiple_of(2) => {
            vec![part("gate", stack.outputs / 2), part("up", stack.outputs / 2)]
        }
        Projection::GateUp => vec![part("gate_up", stack.outputs)],
    })
}

/// Names of what the converter keeps in F32 whatever the family calls it: routers and short convolutions.
fn by_role(t: &ProjectTensor<'_>, input: &ProjectInput<'_>) -> Option<Name> {
    let layer = t.layer.filter(|_| t.name.ends_with(".weight") && t.shape.len() >= 2)?;
    let named = |part: &str| Some(Name { text: format!("blk.{layer}.{part}.weight"), stacked: false });
    let module = t.name.trim_end_matches(".weight").rsplit('.').next().unwrap_or_default();
    match t.role {
        Role::Router if !input.model.family.as_deref().and_then(by_model_type).is_some_and(|row| row.quantizes_routers) => {
            named("ffn_gate_inp")
        }
        Role::Recurrent | Role::Attention if module.ends_with("conv1d") => named("ssm_conv1d"),
        Role::Recurrent if module == "conv" => named("shortconv.conv"),
        _ => None,
    }
}

struct Name {
    text: String,
    /// One expert of many, to be stacked under this name.
    stacked: bool,
}

/// GGUF name of a tensor of the llama scheme; `None` for other names.
fn gguf_name(name: &str, layer: Option<u32>) -> Option<Name> {
    let name = name.strip_prefix("language_model.").unwrap_or(name);
    let plain = |text: &str| Some(Name { text: text.to_owned(), stacked: false });
    let name = name.strip_prefix("model.").unwrap_or(name);
    let name = name.strip_prefix("language_model.").unwrap_or(name);
    match name {
        "embed_tokens.weight" => return plain("token_embd.weight"),
        "norm.weight" => return plain("output_norm.weight"),
        "lm_head.weight" => return plain("output.weight"),
        _ => {}
    }
    let layer = layer?;
    let rest = name.strip_prefix("layers.")?.split_once('.')?.1;
    // Llama 4 and others call the block by the name of its kind.
    let rest = &rest.strip_prefix("feed_forward.").map_or(Cow::Borrowed(rest), |part| Cow::Owned(format!("mlp.{part}")));
    for (experts, parts) in EXPERTS {
        if let Some(expert) = rest.strip_prefix(experts) {
            let (_, part) = expert.split_once('.')?;
            let to = parts.iter().find(|(from, _)| *from == part)?.1;
            return Some(Name { text: format!("blk.{layer}.{to}_exps.weight"), stacked: true });
        }
    }
    let (module, suffix) = rest.rsplit_once('.')?;
    let to = MODULES.iter().find(|(from, _)| *from == module)?.1;
    Some(Name { text: format!("blk.{layer}.{to}.{suffix}"), stacked: false })
}

/// Prefix of the experts of a layer, and their projections.
type Experts = (&'static str, &'static [(&'static str, &'static str)]);

const EXPERTS: &[Experts] = &[
    ("mlp.experts.", &[("gate_proj.weight", "ffn_gate"), ("up_proj.weight", "ffn_up"), ("down_proj.weight", "ffn_down")]),
    ("block_sparse_moe.experts.", &[("w1.weight", "ffn_gate"), ("w3.weight", "ffn_up"), ("w2.weight", "ffn_down")]),
];

const MODULES: &[(&str, &str)] = &[
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
    ("mlp.gate", "ffn_gate_inp"),
    ("mlp.router", "ffn_gate_inp"),
    ("block_sparse_moe.gate", "ffn_gate_inp"),
    ("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_expert.up_proj", "ffn_up_shexp"),
    ("mlp.shared_expert.down_proj", "ffn_down_shexp"),
    ("mlp.shared_experts.gate_proj", "ffn_gate_shexp"),
    ("mlp.shared_experts.up_proj", "ffn_up_shexp"),
    ("mlp.shared_experts.down_proj", "ffn_down_shexp"),
    ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
    ("self_attn.q_a_proj", "attn_q_a"),
    ("self_attn.q_b_proj", "attn_q_b"),
    ("self_attn.q_a_layernorm", "attn_q_a_norm"),
    ("self_attn.kv_a_layernorm", "attn_kv_a_norm"),
    ("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"),
    ("self_attn.kv_b_proj", "attn_kv_b"),
];
