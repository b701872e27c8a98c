//! The layers that one rank caches.

use super::convention::Rank;
use crate::checkpoint::config::StateSize;
use crate::checkpoint::{KvKind, KvLayer, KvLayers, ModelConfig};

/// The cached layers of a stage, with the heads of one tensor parallel rank: KV heads are cut while there are enough of them, then
/// repeated; a latent vector is on every rank.
///
/// # Errors
/// Why they are not known.
pub(super) fn layers(model: &ModelConfig, stages: u64, rank: &Rank, ranks: u64) -> Result<Vec<KvLayer>, String> {
    let runs = match &model.kv {
        KvLayers::Known(runs) => runs,
        KvLayers::NoCache(_) => return Ok(Vec::new()),
        KvLayers::Refused(why) => return Err(crate::text::escape(why)),
    };
    let of_stage = if stages == 1 { runs.clone() } else { in_stage(model, runs, rank)? };
    Ok(of_stage.into_iter().map(|layer| of_rank(layer, ranks)).collect())
}

fn in_stage(model: &ModelConfig, runs: &[KvLayer], rank: &Rank) -> Result<Vec<KvLayer>, String> {
    let count = model.layers.unwrap_or(0);
    let (from, to) = (rank.layers.0.min(count), rank.layers.1.min(count));
    if model.layer_kinds.len() as u64 == count {
        let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let listed = model.layer_kinds.get(index(from)..index(to)).unwrap_or_default();
        let mut folded: Vec<KvLayer> = Vec::new();
        for one in listed {
            match folded.iter_mut().find(|run| KvLayer { layers: one.layers, ..**run } == *one) {
                Some(run) => run.layers = run.layers.saturating_add(one.layers),
                None => folded.push(*one),
            }
        }
        return Ok(folded);
    }
    // Where every run goes over all layers, each layer has one of each.
    if runs.iter().all(|run| run.layers == count) {
        return Ok(runs.iter().map(|run| KvLayer { layers: to - from, ..*run }).collect());
    }
    Err("which layers of a stage cache what is not known".to_owned())
}

fn of_rank(layer: KvLayer, ranks: u64) -> KvLayer {
    match layer.kind {
        KvKind::Mla => layer,
        KvKind::Recurrent => {
            let cut = |state: StateSize| StateSize { conv: state.conv.div_ceil(ranks), recurrent: state.recurrent.div_ceil(ranks) };
            KvLayer { state: layer.state.map(cut), ..layer }
        }
        _ if layer.kv_heads == 0 => layer,
        _ => KvLayer { kv_heads: (layer.kv_heads / ranks).max(1), ..layer },
    }
}
