//! `gguf-split`: by tensor bytes padded to 32, or 128 tensors to a file.
//!
//! Source: `gguf-split.cpp` at llama.cpp commit 0c1e570. Files are filled in order; a first tensor above the limit leaves an empty
//! first file behind. Every file carries three `split.*` keys, only the first the other keys.

use super::gguf_file::{Infos, pad_to, split_key_bytes};
use super::shards::{Shard, ShardTensor};
use crate::project::input::GgufSource;

const DEFAULT_TENSORS: usize = 128;

/// The files, and notes on them.
pub(crate) fn split(tensors: &[ShardTensor<'_>], source: &GgufSource, limit: Option<u64>) -> (Vec<Shard>, Vec<String>) {
    let mut groups: Vec<Vec<&ShardTensor<'_>>> = vec![Vec::new()];
    let mut filled = 0u64;
    for (i, tensor) in tensors.iter().enumerate() {
        let size = pad_to(tensor.bytes, 32);
        let split = match limit {
            Some(limit) => filled.saturating_add(size) > limit,
            None => i > 0 && i % DEFAULT_TENSORS == 0,
        };
        if split {
            groups.push(Vec::new());
            filled = 0;
        }
        filled = filled.saturating_add(size);
        if let Some(group) = groups.last_mut() {
            group.push(tensor);
        }
    }
    let n = groups.len();
    let shards: Vec<Shard> = groups
        .iter()
        .enumerate()
        .map(|(k, group)| {
            let mut sum = Infos::default();
            for t in group {
                let ones = t.shape.iter().take_while(|&&d| d == 1).count();
                sum.add(t.name_bytes, (t.shape.len() - ones).max(1), t.bytes);
            }
            let keys = split_key_bytes() + if k == 0 { source.kv_bytes } else { 0 };
            // Only the first file has general.alignment; the others fall back to 32.
            let alignment = if k == 0 { source.alignment } else { 32 };
            Shard {
                name: format!("model-{:05}-of-{n:05}.gguf", k + 1),
                tensors: group.len() as u64,
                tensor_bytes: sum.data,
                file_bytes: pad_to(24 + keys + sum.infos, alignment).saturating_add(sum.padded),
            }
        })
        .collect();
    let mut notes = Vec::new();
    if shards.first().is_some_and(|s| s.tensors == 0) && n > 1 {
        notes.push("the first tensor is larger than the limit: the first file holds no tensor".to_owned());
    }
    if limit.is_none() {
        notes.push(format!("{DEFAULT_TENSORS} tensors to a file"));
    }
    (shards, notes)
}
