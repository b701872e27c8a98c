//! The files that `save_pretrained` of transformers writes.

use super::greedy;
use super::safetensors_file::{Entry, Writer, header_bytes};
use super::shards::ShardTensor;
use crate::project::plan::{FileSize, OutTensor};

/// Ranks of projected tensors in the natural order of the names they come from; those without a source stand with their module.
fn ranks(of_source: &[u32], tensors: &[OutTensor<'_>]) -> Vec<u32> {
    let stem = |i: usize| tensors[i].name.rsplit_once('.').map_or("", |(stem, _)| stem);
    let mut out = vec![0; tensors.len()];
    let mut next: Option<(usize, u32)> = None;
    for i in (0..tensors.len()).rev() {
        let own = tensors[i].source.and_then(|s| of_source.get(s as usize).copied());
        if let Some(rank) = own {
            next = Some((i, rank));
        }
        out[i] = match (own, next) {
            (Some(rank), _) => rank,
            (None, Some((n, rank))) if stem(n) == stem(i) => rank,
            (None, _) => u32::MAX,
        };
    }
    // What stands after its module's weight goes with it.
    for i in 1..out.len() {
        if out[i] == u32::MAX {
            out[i] = out[i - 1];
        }
    }
    out
}

/// The most tensor bytes that transformers puts into a file.
pub(crate) const TRANSFORMERS_LIMIT: u64 = 50_000_000_000;

/// Sizes the files that transformers writes for projected tensors, each of at most `limit` tensor bytes.
pub(crate) fn transformers_files<'r>(
    natural_ranks: impl FnOnce() -> &'r [u32],
    tensors: &[OutTensor<'_>],
    metadata: Option<&[(String, String)]>,
    limit: u64,
) -> FileSize {
    let pairs: Option<Vec<(&str, &str)>> = metadata.map(|m| m.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect());
    let total = tensors.iter().fold(0u64, |sum, t| sum.saturating_add(t.bytes));
    let views: Vec<ShardTensor<'_>> = tensors
        .iter()
        .map(|t| ShardTensor { name: &t.name, name_bytes: t.name_bytes, dtype: t.dtype, shape: &t.shape, bytes: t.bytes })
        .collect();
    let groups: Vec<Vec<usize>> = if total <= limit {
        vec![(0..views.len()).collect()]
    } else {
        // Numbers first, so that the names come as one run: checking a run costs one comparison a tensor.
        let ranks = ranks(natural_ranks(), tensors);
        let mut order: Vec<usize> = (0..views.len()).collect();
        order.sort_by_key(|&i| ranks[i]);
        order.sort_by(|&a, &b| greedy::natural(views[a].name, views[b].name));
        let sizes: Vec<u64> = order.iter().map(|&i| views[i].bytes).collect();
        let at = greedy::oversized_apart(&sizes, limit);
        at.into_iter().map(|group| group.into_iter().map(|i| order[i]).collect()).collect()
    };
    let mut header = 0u64;
    for group in &groups {
        let mut entries: Vec<Entry<'_>> = group.iter().map(|&i| views[i].entry()).collect();
        header += header_bytes(&mut entries, pairs.as_deref(), Writer::Reference);
    }
    FileSize { files: groups.len() as u64, likely: total.saturating_add(header), header, padding: 0, range: None }
}
