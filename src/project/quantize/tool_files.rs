//! The file that a quantizer of modules writes: its order, its `__metadata__`, its header.

use std::collections::{BTreeMap, HashSet};

use super::context::Context;
use super::hash_order;
use super::packing::Layout;
use crate::project::plan::{FileSize, OutTensor};
use crate::project::written::greedy;
use crate::project::written::safetensors_file::{Entry, FORMAT_MLX, FORMAT_PT, Writer, header_bytes};
use crate::project::written::transformers_files::{TRANSFORMERS_LIMIT, transformers_files};

/// The size of the files; sorts `tensors` into the order of the file where it is the tool's own. `about`: torchao's lines.
pub(super) fn size(
    context: &Context<'_, '_>,
    layout: Layout,
    tensors: &mut [OutTensor<'_>],
    about: Option<&[(String, String)]>,
    notes: &mut Vec<String>,
) -> FileSize {
    match layout {
        Layout::Transformers | Layout::TorchAo | Layout::LlmCompressor => {
            let metadata = metadata(about.unwrap_or_default());
            // llm-compressor 0.14: `kwargs.setdefault("max_shard_size", "20GB")`.
            let (limit, size) = if layout == Layout::LlmCompressor { (20_000_000_000, 20) } else { (TRANSFORMERS_LIMIT, 50) };
            let file = transformers_files(|| context.natural_ranks(), tensors, Some(&metadata), limit);
            if file.files > 1 {
                notes.push(format!("in shards of {size} GB, as the tool writes them; the index file is not counted"));
            }
            file
        }
        Layout::Hqq => by_blocks(context.input.model.layers.unwrap_or(0), tensors, notes),
        Layout::GptqModel => {
            let opt = tensors.iter().any(|t| t.name.contains("self_attn_layer_norm"));
            let sequence = if opt { OPT } else { GPTQ };
            let stem = |name: &str| name.rsplit_once('.').map_or(String::new(), |(stem, _)| stem.to_owned());
            let packed: HashSet<String> = tensors.iter().filter(|t| t.name.ends_with(".qweight")).map(|t| stem(&t.name)).collect();
            tensors.sort_by_cached_key(|t| (packed.contains(&stem(&t.name)), Place::of(&t.name, sequence, GPTQ_BUFFERS)));
            let known = tensors.iter().all(|t| !t.name.ends_with(".qweight") || is_known(&t.name, sequence));
            let order =
                (!known).then_some("the order of this family's modules is not known, and the digits of the header depend on it");
            // GPTQModel 7.7: "4GB" of 1,024^3.
            listed(tensors, Writer::Listed, FORMAT_PT, 4 << 30, order, notes)
        }
        Layout::Mlx => {
            // mlx-lm's Qwen3 MoE blocks make their norms before their experts.
            let late =
                tensors.iter().any(|t| t.name.contains("mlp.switch_mlp.")) && tensors.iter().any(|t| t.name.contains("q_norm"));
            let sequence = if late { MLX_LATE } else { MLX };
            tensors.sort_by_cached_key(|t| Place::of(&t.name, sequence, MLX_BUFFERS));
            let order = hash_order::order(&tensors.iter().map(|t| t.name.as_ref()).collect::<Vec<&str>>());
            let mut rank = vec![0; order.len()];
            for (place, &i) in order.iter().enumerate() {
                rank[i] = place;
            }
            let mut ranks = rank.into_iter();
            tensors.sort_by_cached_key(|_| ranks.next());
            let order =
                "the header is that of a file written on Linux: another system's hash map has another order, and other digits";
            listed(tensors, Writer::Mlx, FORMAT_MLX, 5 << 30, Some(order), notes)
        }
    }
}

/// One file in the order of `tensors`, or several of at most `limit` tensor bytes; `doubt`: why another order is possible.
fn listed(
    tensors: &[OutTensor<'_>],
    writer: Writer,
    metadata: &[(&str, &str)],
    limit: u64,
    doubt: Option<&str>,
    notes: &mut Vec<String>,
) -> FileSize {
    let bytes = tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
    let mut entries: Vec<Entry<'_>> =
        tensors.iter().map(|t| Entry { name: &t.name, dtype: t.dtype, shape: &t.shape, bytes: t.bytes }).collect();
    let header = header_bytes(&mut entries, Some(metadata), writer);
    let mut range = None;
    if bytes > limit {
        let sizes: Vec<u64> = entries.iter().map(|e| e.bytes).collect();
        let files = greedy::in_order(&sizes, limit).len() as u64;
        // Which tensors share a file was not compared with such a save. Offsets have between 1 and 20 digits, two to a tensor.
        let slack = (tensors.len() as u64).saturating_mul(38).saturating_add(files.saturating_mul(64));
        let likely = bytes.saturating_add(header);
        notes.push(format!("in about {files} shards, as the tool writes them; what their headers take is estimated"));
        let range = Some((likely.saturating_sub(slack).max(bytes), likely.saturating_add(slack)));
        return FileSize { files, likely, header, padding: 0, range };
    }
    if let Some(doubt) = doubt {
        // The order decides how many digits the offsets have: smallest first gives the fewest, largest first the most.
        entries.sort_by_key(|e| e.bytes);
        let low = header_bytes(&mut entries, Some(metadata), writer);
        entries.reverse();
        let high = header_bytes(&mut entries, Some(metadata), writer);
        if low < high {
            range = Some((bytes.saturating_add(low), bytes.saturating_add(high)));
            notes.push(doubt.to_owned());
        }
    }
    FileSize { files: 1, likely: bytes.saturating_add(header), header, padding: 0, range }
}

/// HQQ 0.2.8, `save_to_safetensors`: with ten blocks and more, files of at least five blocks each, the last with all the rest.
fn by_blocks(layers: u64, tensors: &[OutTensor<'_>], notes: &mut Vec<String>) -> FileSize {
    let chunks = (layers / 5).max(1);
    let step = layers / chunks;
    let chunk = |t: &OutTensor<'_>| {
        let layer = t.name.split_once("layers.").and_then(|(_, rest)| rest.split('.').next()?.parse::<u64>().ok());
        layer.map_or(chunks - 1, |layer| (layer / step.max(1)).min(chunks - 1))
    };
    let mut files: BTreeMap<u64, Vec<Entry<'_>>> = BTreeMap::new();
    for t in tensors {
        files.entry(chunk(t)).or_default().push(Entry { name: &t.name, dtype: t.dtype, shape: &t.shape, bytes: t.bytes });
    }
    let header = files.values_mut().map(|entries| header_bytes(entries, None, Writer::Reference)).sum::<u64>();
    if files.len() > 1 {
        notes.push("in shards of five blocks and more, as the tool writes them; the index file is not counted".to_owned());
    }
    let bytes = tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
    FileSize { files: files.len() as u64, likely: bytes.saturating_add(header), header, padding: 0, range: None }
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
