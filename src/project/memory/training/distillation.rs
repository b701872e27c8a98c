//! Distillation: the checkpoint teaches a student with half its layers, or half its width.

use super::activations::{self, Cut};
use super::model::{Dims, Parameters, trained, vocabulary};
use super::recipe::ADAM_MIXED;
use super::request::{TrainRequest, TrainingRow};
use super::{spread, states};
use crate::checkpoint::{KvLayer, KvLayers, ModelConfig, Role};
use crate::format::Shape;
use crate::project::input::{ProjectInput, ProjectTensor, Provenance};
use crate::project::memory::parallel::Parallel;
use crate::project::memory::terms::{Place, Term, gpu_runtime};
use crate::project::plan::Basis;

/// A student: how it is called, its tensors, its dimensions.
struct Student<'a> {
    name: &'static str,
    tensors: Vec<ProjectTensor<'a>>,
    model: ModelConfig,
    /// Parameters of embeddings and head.
    embedding: u64,
}

impl Student<'_> {
    /// The student as a checkpoint in 16 bits.
    fn input(&self) -> ProjectInput<'_> {
        let tensors = self.tensors.clone();
        ProjectInput {
            format: None,
            file_bytes: 0,
            header_bytes: 0,
            files: 1,
            model: &self.model,
            quantization: None,
            safetensors_metadata: None,
            gguf: None,
            folder: None,
            provenance: Provenance::default(),
            tensors,
        }
    }

    fn note(&self, params: u64) -> String {
        let share = 100.0 * self.embedding as f64 / params.max(1) as f64;
        format!("a student of {params} parameters, {share:.0} % of them embeddings and head, trained with {}", ADAM_MIXED.name)
    }
}

/// One row per student: recipe, device, notes.
pub(super) fn rows(input: &ProjectInput<'_>, asked: &TrainRequest, fused: bool) -> Vec<(String, Place, Vec<String>)> {
    let teacher = Parameters::of(input).params;
    students(input)
        .into_iter()
        .map(|student| {
            let weights = Parameters::of(&student.input());
            let mut terms = states::terms(ADAM_MIXED, &weights, asked);
            terms.push(match Dims::of(&student.model) {
                Ok(dims) => activations::activations(&dims, asked, fused, Cut::whole(&dims)),
                Err(why) => Term::refused("activations", why),
            });
            terms.push(activations::logits(vocabulary(input), asked, 2, 1));
            let text =
                format!("{teacher} parameters of the teacher x 2 bytes, whole on every device; its activations are not counted");
            terms.push(Term::known("teacher", teacher.saturating_mul(2), Basis::Exact, text));
            terms.push(gpu_runtime());
            let place = Place::new(Some(asked.device_name()), terms);
            (format!("distill-{}", student.name), place, vec![student.note(weights.params)])
        })
        .collect()
}

/// The same over tensor and pipeline parallel devices: student and teacher are cut alike, each by its own layers.
pub(super) fn spread_rows(input: &ProjectInput<'_>, asked: &TrainRequest, parallel: &Parallel, fused: bool) -> Vec<TrainingRow> {
    students(input)
        .into_iter()
        .map(|student| {
            let own = student.input();
            let run = spread::SpreadRun { recipe: format!("distill-{}", student.name), asked, parallel, fused, models: 2 };
            let held = |place: usize| -> Result<Term, String> {
                let rank = spread::rank(input, &run, place)?;
                let teacher = spread::held(input, parallel, &rank).params;
                let text = format!("{teacher} parameters of the teacher on this device x 2 bytes; its activations are not counted");
                Ok(Term::known("teacher", teacher.saturating_mul(2), Basis::Exact, text))
            };
            let mut row = spread::row(&own, &run, &|rank, place| {
                let mut terms = states::terms(ADAM_MIXED, &spread::held(&own, parallel, rank), asked);
                terms.push(held(place).unwrap_or_else(|why| Term::refused("teacher", why)));
                terms
            });
            row.notes.push(student.note(Parameters::of(&own).params));
            row
        })
        .collect()
}

/// Vocabulary and tokenizer stay, so embeddings shrink with the width only; matrices between widths shrink with its square.
fn students<'a>(input: &ProjectInput<'a>) -> Vec<Student<'a>> {
    let layers = trained(input).filter_map(|t| t.layer).max().map_or(0, |n| u64::from(n) + 1);
    let kept = layers.div_ceil(2);
    let mut students = [("half-layers", shallow(input.model)), ("half-width", narrow(input.model))].map(|(name, model)| Student {
        name,
        tensors: Vec::new(),
        model,
        embedding: 0,
    });
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
        for (student, shape) in students.iter_mut().zip([stays.then_some(shape), Some(narrow)]) {
            let Some(shape) = shape else { continue };
            let params = shape.iter().fold(1u64, |n, &d| n.saturating_mul(d));
            student.embedding = student.embedding.saturating_add(if outside { params } else { 0 });
            student.tensors.push(ProjectTensor {
                shape: Shape::from_slice(&shape),
                elements: params,
                logical_params: params,
                bytes: params.saturating_mul(2),
                packed: false,
                logical_shape: None,
                ..t.clone()
            });
        }
    }
    students.into()
}

/// The configuration with half the layers.
fn shallow(model: &ModelConfig) -> ModelConfig {
    ModelConfig { layers: model.layers.map(|n| n.div_ceil(2)), ..model.clone() }
}

/// The configuration with half the width: heads of the same size, half as many.
fn narrow(model: &ModelConfig) -> ModelConfig {
    let half = |n: Option<u64>| n.map(|n| n.div_ceil(2));
    let kv = match &model.kv {
        KvLayers::Known(layers) => {
            KvLayers::Known(layers.iter().map(|l| KvLayer { kv_heads: l.kv_heads.div_ceil(2), ..*l }).collect())
        }
        other => other.clone(),
    };
    // A head size that is not stated follows from the width as it was.
    let head_dim = model.head_dim.or_else(|| model.hidden_size?.checked_div(model.heads?));
    ModelConfig {
        hidden_size: half(model.hidden_size),
        heads: half(model.heads),
        kv_heads: half(model.kv_heads),
        ffn_size: half(model.ffn_size),
        expert_ffn_size: half(model.expert_ffn_size),
        head_dim,
        kv,
        ..model.clone()
    }
}
