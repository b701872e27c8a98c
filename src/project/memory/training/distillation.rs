//! Distillation: the checkpoint teaches a student with half its layers, or half its width.

use super::activations::{Cut, activations, logits};
use super::model::{Dims, Weights, trained};
use super::recipe::ADAM_MIXED;
use super::{TrainRequest, states, vocabulary};
use crate::checkpoint::Role;
use crate::project::input::ProjectInput;
use crate::project::memory::{Place, Term};
use crate::project::storage::Basis;

/// A student: how it is called, its weights, its dimensions.
struct Student {
    name: &'static str,
    weights: Weights,
    dims: Result<Dims, String>,
    embedding: u64,
}

/// One row per student: recipe, device, notes.
pub(super) fn rows(input: &ProjectInput<'_>, asked: &TrainRequest, fused: bool) -> Vec<(String, Place, Vec<String>)> {
    let teacher = Weights::of(input).params;
    students(input)
        .into_iter()
        .map(|student| {
            let mut terms = states::terms(ADAM_MIXED, &student.weights, asked);
            terms.push(match &student.dims {
                Ok(dims) => activations(dims, asked, fused, Cut::whole(dims)),
                Err(why) => Term::refused("activations", why.clone()),
            });
            terms.push(logits(vocabulary(input), asked, 2, 1));
            let text =
                format!("{teacher} parameters of the teacher x 2 bytes, whole on every device; its activations are not counted");
            terms.push(Term::known("teacher", teacher.saturating_mul(2), Basis::Exact, text));
            terms.push(super::runtime());
            let share = 100.0 * student.embedding as f64 / student.weights.params.max(1) as f64;
            let note = format!(
                "a student of {} parameters, {share:.0} % of them embeddings and head, trained with {}",
                student.weights.params, ADAM_MIXED.name
            );
            let place = Place::new(Some(super::device_name(asked)), terms);
            (format!("distill-{}", student.name), place, vec![note])
        })
        .collect()
}

/// Vocabulary and tokenizer stay, so embeddings shrink with the width only; matrices between widths shrink with its square.
fn students(input: &ProjectInput<'_>) -> Vec<Student> {
    let dims = Dims::of(input.model);
    let layers = trained(input).filter_map(|t| t.layer).max().map_or(0, |n| u64::from(n) + 1);
    let kept = layers.div_ceil(2);
    let mut halved = [Weights::default(), Weights::default()];
    let mut embedding = [0u64; 2];
    for t in trained(input) {
        let shape = t.logical_shape.as_ref().unwrap_or(&t.shape).to_vec();
        let outside = matches!(t.role, Role::Embedding | Role::LmHead | Role::PositionEmbedding);
        let narrow: Vec<u64> = match shape.as_slice() {
            // The vocabulary stays, the width is halved.
            [outer @ .., width] if outside => outer.iter().copied().chain([width.div_ceil(2)]).collect(),
            [outer @ .., rows, columns] => outer.iter().copied().chain([rows.div_ceil(2), columns.div_ceil(2)]).collect(),
            other => other.iter().map(|n| n.div_ceil(2)).collect(),
        };
        let stays = t.layer.is_none_or(|layer| u64::from(layer) < kept);
        for (n, shape) in [stays.then_some(shape), Some(narrow)].into_iter().enumerate() {
            let Some(shape) = shape else { continue };
            let params = shape.iter().fold(1u64, |n, &d| n.saturating_mul(d));
            let weights = &mut halved[n];
            weights.params = weights.params.saturating_add(params);
            weights.largest_module = weights.largest_module.max(params);
            weights.tensors.push((shape, params));
            embedding[n] = embedding[n].saturating_add(if outside { params } else { 0 });
        }
    }
    let [shallow, narrow] = halved;
    let half = |n: u64| n.div_ceil(2);
    let shallow_dims = dims.clone().map(|d| Dims { layers: half(d.layers), ..d });
    let narrow_dims =
        dims.map(|d| Dims { hidden: half(d.hidden), heads: half(d.heads), kv_heads: half(d.kv_heads), ffn: half(d.ffn), ..d });
    vec![
        Student { name: "half-layers", weights: shallow, dims: shallow_dims, embedding: embedding[0] },
        Student { name: "half-width", weights: narrow, dims: narrow_dims, embedding: embedding[1] },
    ]
}
