//! What is arithmetic on names and shapes is answered at once for a hundred thousand tensors (a fifth of them in projections of a debug
//! build). The bounds are loose, for builds without optimisation, and of the time on the processor, for a shared machine; what was
//! measured is printed.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use weighbridge::checkpoint::names::classify;
use weighbridge::checkpoint::packed::{TensorView, interpret};
use weighbridge::checkpoint::{KvLayers, ModelConfig, Role};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::Request;
use weighbridge::project::prune::PruneSpec;
use weighbridge::project::quantize;
use weighbridge::project::shard::{RULES, ShardSpec};
use weighbridge::project::{GgufSource, ProjectInput, ProjectTensor, Provenance, Target, project};

/// How long something keeps this thread on the processor; by the clock where the system does not tell.
fn worked(act: impl FnOnce()) -> Duration {
    // Its first figure is nanoseconds (Documentation/scheduler/sched-stats.rst of Linux).
    let on_processor = || -> Option<u64> {
        std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok().filter(|&n| n > 0)
    };
    let (clock, before) = (Instant::now(), on_processor());
    act();
    before.zip(on_processor()).map_or_else(|| clock.elapsed(), |(before, after)| Duration::from_nanos(after - before))
}

const LAYERS: u32 = if cfg!(debug_assertions) { 20 } else { 100 };
const PER_LAYER: u32 = 1000;

fn input(format: Format, config: &ModelConfig) -> ProjectInput<'_> {
    let mut tensors = Vec::new();
    for layer in 0..LAYERS {
        for i in 0..PER_LAYER / 2 {
            let (weight, norm) = match format {
                Format::Safetensors => (
                    format!("model.layers.{layer}.mlp.part{i}.down_proj.weight"),
                    format!("model.layers.{layer}.mlp.part{i}.layernorm.weight"),
                ),
                Format::Gguf => (format!("blk.{layer}.ffn_down_{i}.weight"), format!("blk.{layer}.part_{i}_norm.weight")),
            };
            // Borrowed, as names of a checkpoint are.
            let (weight, norm): (&'static str, &'static str) = (weight.leak(), norm.leak());
            tensors.push(ProjectTensor::weight(weight, Role::Mlp, Some(layer), Dtype::BF16, &[2048, 1024]));
            tensors.push(ProjectTensor::weight(norm, Role::Norm, Some(layer), Dtype::BF16, &[2048]));
        }
    }
    let file_bytes = tensors.iter().map(|t| t.bytes).sum();
    ProjectInput {
        format: Some(format),
        tensors,
        file_bytes,
        header_bytes: 0,
        files: 1,
        model: config,
        quantization: None,
        safetensors_metadata: None,
        gguf: (format == Format::Gguf).then(|| GgufSource {
            alignment: 32,
            architecture: "llama".to_owned(),
            block_count: LAYERS.into(),
            head_count: 32,
            head_count_kv: 8,
            ..GgufSource::default()
        }),
        folder: None,
        provenance: Provenance::default(),
    }
}

#[test]
fn projections() {
    let config = ModelConfig { family: Some("llama".to_owned()), kv: KvLayers::default(), ..ModelConfig::default() };
    let safetensors = input(Format::Safetensors, &config);
    let gguf = input(Format::Gguf, &config);
    let cases = [
        ("fp32,fp16,bf16", &safetensors),
        ("int8", &safetensors),
        ("gguf:q8_0", &safetensors),
        ("q4_k_m", &gguf),
        ("all", &gguf),
        ("all", &safetensors),
    ];
    for (targets, input) in cases {
        let request = Request { targets: Target::parse_list(targets, input.format), ..Request::default() };
        let took = worked(|| assert_eq!(project(input, &request).quantized.len(), request.targets.len()));
        println!("{targets} of {} tensors: {took:?}", input.tensors.len());
        assert!(took.as_millis() < u128::from(20 * LAYERS) * (1 + request.targets.len() as u128), "{targets}: {took:?}");
    }
    let request = Request {
        prune: vec![PruneSpec::Share(0.5), PruneSpec::Pattern { keep: 2, of: 4 }],
        shards: RULES.iter().map(|r| ShardSpec { rule: r.name, limit: Some(5_000_000_000) }).collect(),
        ..Request::default()
    };
    let took = worked(|| drop(project(&safetensors, &request)));
    println!("pruned and sharded: {took:?}");
    assert!(took.as_secs() < 5);
    assert!(quantize::all().count() > 40);
}

#[test]
fn roles_by_name() {
    let names: Vec<String> =
        (0..100_000).map(|i| format!("model.layers.{}.mlp.experts.{}.down_proj.weight", i % 61, i % 256)).collect();
    let mut experts = 0;
    let took = worked(|| experts = names.iter().filter(|name| classify(name, Format::Safetensors).role == Role::Expert).count());
    println!("roles: {took:?}");
    assert_eq!(experts, 100_000);
    assert!(took.as_millis() < 2_000, "{took:?}");
}

#[test]
fn packed_weights() {
    let modules = (0..50_000).map(|i| format!("model.layers.{}.mlp.experts.{}.down_proj", i % 61, i / 61));
    let names: Vec<[String; 2]> =
        modules.map(|module| [format!("{module}.weight"), format!("{module}.weight_scale_inv")]).collect();
    let view = |name, dtype, shape, elements, bytes| TensorView { name, dtype, shape, elements, bytes, buffer: false };
    let views: Vec<TensorView<'_>> = names
        .iter()
        .flat_map(|[weight, scale]| {
            let weight = view(weight, Dtype::F8_E4M3, &[7168, 2048], 7168 * 2048, 7168 * 2048);
            [weight, view(scale, Dtype::F32, &[56, 16], 56 * 16, 56 * 16 * 4)]
        })
        .collect();
    let mut read = None;
    let took = worked(|| read = Some(interpret(&views, None, Format::Safetensors)));
    println!("packed weights: {took:?}");
    assert_eq!(read.unwrap().parts.iter().map(|p| p.logical_params).sum::<u64>(), 50_000 * 7168 * 2048);
    assert!(took.as_millis() < 3_000, "{took:?}");
}
