//! Figures that no honest file has: nothing panics, nothing wraps around.

#![allow(clippy::unwrap_used)]

use weighbridge::checkpoint::{KvKind, KvLayer, KvLayers, ModelConfig, Role};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::Request;
use weighbridge::project::memory::{Budget, Memory, MemoryRequest};
use weighbridge::project::prune::PruneSpec;
use weighbridge::project::shard::{RULES, ShardSpec};
use weighbridge::project::{Basis, GgufSource, ProjectInput, ProjectTensor, Provenance, Target, memory, project};

fn tensors(gguf: bool) -> Vec<ProjectTensor<'static>> {
    let big = 1 << 40;
    let shapes: [&[u64]; 8] =
        [&[], &[0], &[0, 7], &[big, big], &[u64::MAX], &[u64::MAX, u64::MAX, u64::MAX], &[3, 5], &[1, 1, 1, 1, 1, 7]];
    let roles = [Role::Mlp, Role::Embedding, Role::LmHead, Role::Norm, Role::Expert, Role::Other];
    let mut out = Vec::new();
    for (i, shape) in shapes.into_iter().enumerate() {
        for (k, &role) in roles.iter().enumerate() {
            let (a, b) = (format!("blk.{i}.ffn_down_{k}.weight"), format!("model.layers.{i}.mlp.\u{1}{k}.down_proj.weight"));
            let dtype = [Dtype::F32, Dtype::BF16, Dtype::Q4_K, Dtype::I8][k % if gguf { 4 } else { 2 }];
            out.push(ProjectTensor::weight(if gguf { a } else { b }, role, Some(u32::MAX), dtype, shape));
        }
    }
    for t in &mut out {
        if t.shape.len() > 2 {
            t.bytes = u64::MAX;
        }
    }
    out
}

fn input<'a>(format: Option<Format>, tensors: Vec<ProjectTensor<'a>>, model: &'a ModelConfig) -> ProjectInput<'a> {
    ProjectInput {
        format,
        tensors,
        file_bytes: 17,
        header_bytes: u64::MAX,
        files: 1,
        model,
        quantization: None,
        safetensors_metadata: None,
        gguf: (format == Some(Format::Gguf)).then(|| GgufSource {
            kv_bytes: 1 << 60,
            alignment: 0,
            block_count: u64::MAX,
            head_count: u64::MAX,
            head_count_kv: 0,
            expert_count: u64::MAX,
            ..GgufSource::default()
        }),
        folder: None,
        provenance: Provenance::default(),
    }
}

#[test]
fn storage_of_impossible_shapes() {
    let layer = |kind| KvLayer {
        kind,
        layers: u64::MAX,
        kv_heads: u64::MAX,
        head_dim_k: 1,
        head_dim_v: 1,
        window: Some(u64::MAX),
        state: None,
    };
    let kv = [KvKind::Full, KvKind::Sliding, KvKind::Chunked, KvKind::Mla].map(layer).to_vec();
    let model = ModelConfig {
        kv: KvLayers::Known(kv),
        vocab_size: Some(u64::MAX),
        context_length: Some(u64::MAX),
        layers: Some(u64::MAX),
        heads: Some(u64::MAX),
        hidden_size: Some(u64::MAX),
        kv_heads: Some(u64::MAX),
        head_dim: Some(u64::MAX),
        ffn_size: Some(u64::MAX),
        ..ModelConfig::default()
    };
    for format in [None, Some(Format::Safetensors), Some(Format::Gguf)] {
        for tensors in [Vec::new(), tensors(format == Some(Format::Gguf)), vec![tensors(false).remove(36)]] {
            let input = input(format, tensors, &model);
            let request = Request {
                targets: Target::parse_list("all,\u{1b}[31mx,,safetensors:q4_0", None),
                prune: PruneSpec::parse_list(
                    "measured,1.0,0.5,2:4,4:8,block=65536x65536:0.5,block=1x1:1,layers=1,layers=50%,heads=1,heads=1/1,ffn=1,ffn=50%,\
                     hidden=1,student=layers:1,hidden:1,heads:1/1,ffn:1",
                )
                .unwrap(),
                zeros: Some(vec![Some(u64::MAX)]),
                shards: RULES
                    .iter()
                    .flat_map(|r| [None, Some(1), Some(u64::MAX)].map(|limit| ShardSpec { rule: r.name, limit }))
                    .collect(),
                ..Request::default()
            };
            let got = project(&input, &request);
            for row in &got.pruned {
                assert!(row.notes.iter().all(|n| !n.contains('\u{1b}')), "{row:?}");
                assert!(serde_json::to_string(row).is_ok());
            }
            for row in &got.quantized {
                assert!(row.notes.iter().all(|n| !n.contains('\u{1b}')), "{row:?}");
                assert_eq!(row.basis == Basis::Refused, row.tensor_bytes.is_none(), "{row:?}");
                assert!(serde_json::to_string(row).is_ok());
            }
            weighbridge::diff::bridge(&input, &input);
            let asked = MemoryRequest {
                engines: ["llama.cpp", "vllm", "transformers", "\u{1b}"].map(str::to_owned).to_vec(),
                ctx: Some(u64::MAX),
                seqs: Some(u64::MAX),
                ubatch: Some(u64::MAX),
                batch: Some(u64::MAX),
                fit: vec![Budget { text: "x".to_owned(), bytes: u64::MAX, devices: Some(u64::MAX), memory: Memory::Device }],
                ..MemoryRequest::default()
            };
            assert!(serde_json::to_string(&memory(&input, &asked)).is_ok());
            assert!(serde_json::to_string(&got).is_ok());
        }
    }
}
