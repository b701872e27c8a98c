//! Layers dealt to the stages of a pipeline.

use super::convention::Dealing;
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
    let running = model.layers.ok_or("the number of layers is not known, so no pipeline is: pp 1 is valid")?;
    // llama.cpp deals prediction layers out with the others.
    let further = if dealing == Dealing::WithHead { model.mtp_layers.unwrap_or(0) } else { 0 };
    let layers = running.saturating_add(further);
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
            let places = layers.saturating_add(1);
            let upto = |d: u64| d.saturating_mul(places).div_ceil(stages).min(layers);
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

/// The stage a tensor stands in: embeddings with their norm and towers first, head and last norm last. Prediction layers are behind the
/// others, so that they are in the last stage or, where they are dealt out, in their own.
pub(super) fn stage_of(t: &ProjectTensor<'_>, stages: &[(u64, u64)]) -> usize {
    let last = stages.len() - 1;
    match (t.role, t.layer) {
        (Role::Vision | Role::Audio | Role::Projector | Role::Embedding | Role::PositionEmbedding, _) => 0,
        (Role::LmHead | Role::Head, _) | (Role::Mtp, None) => last,
        (_, Some(layer)) => stages.iter().position(|&(from, to)| (from..to).contains(&u64::from(layer))).unwrap_or(last),
        (Role::Norm, None) if t.name.contains("emb") => 0,
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

    /// What `scripts/truth/llama_layer_split.cpp` prints for equal shares.
    #[test]
    fn the_head_counts_as_a_layer() {
        let printed: [(u64, &[u64]); 11] = [
            (32, &[17, 15]),
            (32, &[11, 11, 10]),
            (80, &[21, 20, 20, 19]),
            (61, &[8, 8, 8, 7, 8, 8, 8, 6]),
            (28, &[6, 6, 6, 6, 4]),
            (126, &[19, 18, 18, 18, 18, 18, 17]),
            (35, &[6, 6, 6, 6, 6, 5]),
            (47, &[3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2]),
            (2, &[2, 0]),
            (7, &[3, 3, 1]),
            (3, &[2, 1, 0]),
        ];
        for (layers, each) in printed {
            assert_eq!(counts(layers, each.len() as u64, Dealing::WithHead), each, "{layers} layers");
        }
    }

    /// The same program for 62: DeepSeek-V3 with its prediction layer.
    #[test]
    fn prediction_layers_are_dealt_out_by_llama_cpp_and_last_elsewhere() {
        let model = ModelConfig { layers: Some(61), mtp_layers: Some(1), ..ModelConfig::default() };
        let starts = |dealing| bounds(&model, 8, dealing).unwrap().iter().map(|&(from, _)| from).collect::<Vec<_>>();
        assert_eq!(starts(Dealing::WithHead), [0, 8, 16, 24, 32, 40, 48, 56]);
        assert_eq!(starts(Dealing::First), [0, 8, 16, 24, 32, 40, 47, 54]);
    }

    #[test]
    fn a_remainder_goes_first_elsewhere() {
        assert_eq!(counts(7, 3, Dealing::First), [3, 2, 2]);
    }

    #[test]
    fn more_stages_than_layers_are_refused() {
        let model = ModelConfig { layers: Some(4), ..ModelConfig::default() };
        assert!(bounds(&model, 5, Dealing::First).unwrap_err().contains("1 to 4 are valid"));
    }
}
