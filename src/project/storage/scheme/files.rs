//! The file that a quantizer of modules writes: its order, its `__metadata__`, its header.

use std::collections::HashSet;

use super::module::Layout;
use super::{Context, hash_order};
use crate::project::storage::plan::{FileSize, OutTensor};
use crate::project::storage::safetensors_file::{Entry, FORMAT_MLX, FORMAT_PT, Writer, header_bytes};
use crate::project::storage::shard::transformers_files;

/// The size of the files; sorts `tensors` into the order of the file where it is the tool's own. `about`: torchao's lines.
pub(super) fn size(
    context: &Context<'_, '_>,
    layout: Layout,
    tensors: &mut [OutTensor<'_>],
    about: Option<&[(String, String)]>,
    notes: &mut Vec<String>,
) -> FileSize {
    match layout {
        Layout::Transformers | Layout::TorchAo => {
            let metadata = metadata(about.unwrap_or_default());
            let file = transformers_files(context, tensors, Some(&metadata));
            if file.files > 1 {
                notes.push("in shards of 50 GB, as transformers writes them; the index file is not counted".to_owned());
            }
            file
        }
        Layout::Bare => transformers_files(context, tensors, None),
        Layout::GptqModel => {
            let opt = tensors.iter().any(|t| t.name.contains("self_attn_layer_norm"));
            let sequence = if opt { OPT } else { GPTQ };
            let stem = |name: &str| name.rsplit_once('.').map_or(String::new(), |(stem, _)| stem.to_owned());
            let packed: HashSet<String> = tensors.iter().filter(|t| t.name.ends_with(".qweight")).map(|t| stem(&t.name)).collect();
            tensors.sort_by_cached_key(|t| (packed.contains(&stem(&t.name)), Place::of(&t.name, sequence, GPTQ_BUFFERS)));
            let known = tensors.iter().all(|t| !t.name.ends_with(".qweight") || is_known(&t.name, sequence));
            listed(tensors, Writer::Listed, FORMAT_PT, known.then_some(""), notes)
        }
        Layout::Mlx => {
            // mlx-lm's Qwen3 MoE blocks make their norms before their experts.
            let late =
                tensors.iter().any(|t| t.name.contains("mlp.switch_mlp.")) && tensors.iter().any(|t| t.name.contains("q_norm"));
            let sequence = if late { MLX_LATE } else { MLX };
            tensors.sort_by_cached_key(|t| Place::of(&t.name, sequence, MLX_BUFFERS));
            let known = tensors.iter().all(|t| !t.name.ends_with(".scales") || is_known(&t.name, sequence));
            let order = hash_order::order(&tensors.iter().map(|t| t.name.as_ref()).collect::<Vec<&str>>());
            let mut rank = vec![0; order.len()];
            for (place, &i) in order.iter().enumerate() {
                rank[i] = place;
            }
            let mut ranks = rank.into_iter();
            tensors.sort_by_cached_key(|_| ranks.next());
            notes.push("the header is that of a file written on Linux: another system's hash map has another order".to_owned());
            listed(tensors, Writer::Mlx, FORMAT_MLX, known.then_some(""), notes)
        }
    }
}

/// One file in the order of `tensors`; `known` is `None` where that order is a guess.
fn listed(
    tensors: &[OutTensor<'_>],
    writer: Writer,
    metadata: &[(&str, &str)],
    known: Option<&str>,
    notes: &mut Vec<String>,
) -> FileSize {
    let bytes = tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
    let mut entries: Vec<Entry<'_>> =
        tensors.iter().map(|t| Entry { name: &t.name, dtype: t.dtype, shape: &t.shape, bytes: t.bytes }).collect();
    let header = header_bytes(&mut entries, Some(metadata), writer);
    let mut range = None;
    if known.is_none() {
        // The order decides how many digits the offsets have: smallest first gives the fewest, largest first the most.
        entries.sort_by_key(|e| e.bytes);
        let low = header_bytes(&mut entries, Some(metadata), writer);
        entries.reverse();
        let high = header_bytes(&mut entries, Some(metadata), writer);
        range = Some((bytes.saturating_add(low), bytes.saturating_add(high)));
        notes.push("the order of this family's modules is not known, and the digits of the header depend on it".to_owned());
    }
    FileSize { files: 1, likely: bytes.saturating_add(header), header, padding: 0, range }
}

/// `{"format":"pt"}`, and torchao's lines: one for each parameter, and the list of their names.
fn metadata(about: &[(String, String)]) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = FORMAT_PT.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    if !about.is_empty() {
        let names: Vec<String> = about.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        pairs.push(("tensor_names".to_owned(), format!("[{}]", names.join(", "))));
        pairs.extend(about.iter().cloned());
    }
    pairs
}

/// Buffers of a GPTQModel module in its order.
const GPTQ_BUFFERS: &[&str] = &["g_idx", "scales", "bias", "qweight", "qzeros"];
/// Buffers of an MLX module in its order.
const MLX_BUFFERS: &[&str] = &["weight", "scales", "biases", "bias"];

/// Parts of a block in the order in which transformers' classes make them; where one text holds another, the longer is first.
const GPTQ: &[&str] = &[
    ".q_proj.",
    ".k_proj.",
    ".v_proj.",
    ".o_proj.",
    ".c_attn.",
    ".attn.c_proj.",
    ".q_norm.",
    ".k_norm.",
    "mlp.gate.",
    ".experts.",
    ".gate_proj.",
    ".up_proj.",
    ".down_proj.",
    ".c_fc.",
    ".mlp.c_proj.",
    ".input_layernorm.",
    ".post_attention_layernorm.",
    ".ln_1.",
    ".ln_2.",
];

/// The same of mlx-lm's classes, whose dense blocks make down before up.
const MLX: &[&str] = &[
    ".q_proj.",
    ".k_proj.",
    ".v_proj.",
    ".o_proj.",
    ".c_attn.",
    ".attn.c_proj.",
    ".q_norm.",
    ".k_norm.",
    "mlp.gate.",
    "block_sparse_moe.gate.",
    "switch_mlp.gate_proj.",
    "switch_mlp.up_proj.",
    "switch_mlp.down_proj.",
    ".gate_proj.",
    ".down_proj.",
    ".up_proj.",
    ".c_fc.",
    ".mlp.c_proj.",
    ".input_layernorm.",
    ".post_attention_layernorm.",
    ".ln_1.",
    ".ln_2.",
];

/// As [`MLX`], with the norms before the feed-forward part.
const MLX_LATE: &[&str] = &[
    ".q_proj.",
    ".k_proj.",
    ".v_proj.",
    ".o_proj.",
    ".q_norm.",
    ".k_norm.",
    ".input_layernorm.",
    ".post_attention_layernorm.",
    "mlp.gate.",
    "switch_mlp.gate_proj.",
    "switch_mlp.up_proj.",
    "switch_mlp.down_proj.",
    ".gate_proj.",
    ".down_proj.",
    ".up_proj.",
];

/// OPT makes the key and value projections first.
const OPT: &[&str] =
    &[".k_proj.", ".v_proj.", ".q_proj.", ".out_proj.", ".self_attn_layer_norm.", ".fc1.", ".fc2.", ".final_layer_norm."];

fn is_known(name: &str, sequence: &[&str]) -> bool {
    ["embed", "wte.", "wpe.", "lm_head"].iter().chain(sequence).any(|part| name.contains(part))
}

/// Where a tensor stands in the tree of modules: ends of the model, block, part, expert, projection, buffer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place([usize; 6]);

impl Place {
    fn of(name: &str, sequence: &[&str], buffers: &[&str]) -> Self {
        let mut numbers = name.split('.').filter_map(|part| part.parse::<usize>().ok());
        let (layer, expert) = (numbers.next(), numbers.next().unwrap_or(0));
        let has = |part: &str| name.contains(part);
        let end = match layer {
            Some(_) => 2,
            None if has("embed") || has("wte") || has("wpe") => 0,
            // OPT's last norm is made before its blocks.
            None if has("decoder.final_layer_norm") => 1,
            None if has("lm_head") => 4,
            None => 3,
        };
        let part = match layer {
            Some(_) => sequence.iter().position(|part| has(part)).unwrap_or(sequence.len()),
            None => usize::from(has("position") || has("wpe")),
        };
        let projection =
            if has(".experts.") { ["gate_proj", "up_proj", "down_proj"].iter().position(|p| has(p)).unwrap_or(3) } else { 0 };
        let last = name.rsplit('.').next();
        let buffer = buffers.iter().position(|b| last == Some(b)).unwrap_or(usize::from(last == Some("bias")));
        Self([end, layer.unwrap_or(0), part, expert, projection, buffer])
    }
}
