//! Layers dealt to the stages of a pipeline.

use super::Dealing;
use crate::checkpoint::{KvKind, KvLayers, ModelConfig, Role};
use crate::project::input::ProjectTensor;

/// First layer of each stage and the one behind its last.
///
/// # Errors
/// Where there are fewer layers than stages, or a pipeline is not known.
pub(super) fn bounds(model: &ModelConfig, stages: u64, dealing: Dealing) -> Result<Vec<(u64, u64)>, String> {
    if stages == 1 {
        return Ok(vec![(0, u64::MAX)]);
    }
    if let KvLayers::Known(layers) = &model.kv
        && layers.iter().any(|l| l.kind == KvKind::Cross)
    {
        return Err("a pipeline over an encoder and a decoder is not known: pp 1 is valid".to_owned());
    }
    let layers = model.layers.ok_or("the number of layers is not known, so no pipeline is: pp 1 is valid")?;
    if stages > layers {
        return Err(format!("pp {stages} is more than the {layers} layers: 1 to {layers} are valid"));
    }
    let (each, left) = (layers / stages, layers % stages);
    let mut next = 0;
    let count = |stage: u64| match dealing {
        // One more from the last stage but one down, which may reach the first.
        Dealing::BeforeLast => each + u64::from(stage + 1 < stages && stage + 1 + left >= stages),
        Dealing::First => each + u64::from(stage < left),
        // Layer i of n + 1 (the head counts as one) stands on the first device whose share (d + 1) / devices is above i / (n + 1).
        Dealing::WithHead => {
            let upto = |d: u64| (d * (layers + 1)).div_ceil(stages).min(layers);
            upto(stage + 1) - upto(stage)
        }
    };
    Ok((0..stages)
        .map(|stage| {
            let start = next;
            next += count(stage);
            (start, if stage + 1 == stages { u64::MAX } else { next })
        })
        .collect())
}

/// The stage a tensor stands in: embeddings and towers first, head, last norm and prediction layers last.
pub(in super::super) fn stage_of(t: &ProjectTensor<'_>, stages: &[(u64, u64)]) -> usize {
    let last = stages.len() - 1;
    match (t.role, t.layer) {
        (Role::Vision | Role::Audio | Role::Projector | Role::Embedding | Role::PositionEmbedding, _) => 0,
        (Role::LmHead | Role::Head | Role::Mtp, _) => last,
        (_, Some(layer)) => stages.iter().position(|&(from, to)| (from..to).contains(&u64::from(layer))).unwrap_or(last),
        (Role::Norm, None) => last,
        (_, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(layers: u64, stages: u64, dealing: Dealing) -> Vec<u64> {
        let model = ModelConfig { layers: Some(layers), ..ModelConfig::default() };
        let ends = bounds(&model, stages, dealing).unwrap();
        ends.iter().map(|&(from, to)| to.min(layers) - from).collect()
    }

    /// The examples beside `get_pp_indices` in vLLM's own tests (`tests/distributed/test_pipeline_partition.py`).
    #[test]
    fn a_remainder_goes_before_the_last_stage() {
        for (layers, expected) in
            [(32, vec![8; 4]), (22, vec![5, 6, 6, 5]), (5, vec![2, 2, 1]), (4, vec![1, 2, 1]), (3, vec![2, 1]), (7, vec![2, 3, 2])]
        {
            assert_eq!(counts(layers, expected.len() as u64, Dealing::BeforeLast), expected);
        }
        assert_eq!(counts(43, 10, Dealing::BeforeLast), [4, 4, 4, 4, 4, 4, 5, 5, 5, 4]);
    }

    /// llama.cpp: `upper_bound(splits, il / (n_layer + 1))` with splits 1/2, 1: of 33 places the head takes the last.
    #[test]
    fn the_head_counts_as_a_layer() {
        assert_eq!(counts(32, 2, Dealing::WithHead), [17, 15]);
        assert_eq!(counts(32, 3, Dealing::WithHead), [11, 11, 10]);
        assert_eq!(counts(7, 3, Dealing::First), [3, 2, 2]);
    }

    #[test]
    fn more_stages_than_layers_are_refused() {
        let model = ModelConfig { layers: Some(4), ..ModelConfig::default() };
        assert!(bounds(&model, 5, Dealing::First).unwrap_err().contains("1 to 4 are valid"));
    }
}
