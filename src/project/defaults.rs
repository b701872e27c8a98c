//! What is projected where nothing particular was asked for.

use super::prune::PruneSpec;
use super::shard::ShardSpec;
use super::{Request, Target};
use crate::checkpoint::Checkpoint;
use crate::format::Format;

/// Common schemes, by the source's format: sizes that people choose between.
const FROM_SAFETENSORS: &str = "f32,f16,bf16,fp8,int8,gguf:q8_0,gguf:q4_0";
const FROM_GGUF: &str = "f16,q8_0,q6_k,q5_k_m,q4_k_m,q4_0,q2_k";

/// Bytes of tensors from which the whole report plans shards: the limit of one shard that it plans with.
const SHARDED_FROM: u64 = 5_000_000_000;

impl Target {
    /// The schemes shown where none is asked for.
    pub fn common(source: Option<Format>) -> Vec<Self> {
        Self::parse_list(if source == Some(Format::Gguf) { FROM_GGUF } else { FROM_SAFETENSORS }, source)
    }
}

impl Request {
    /// What the whole report projects: common schemes, half of the weights pruned, and shards of 5 GB for what is larger.
    pub fn common(checkpoint: &Checkpoint) -> Self {
        let split = if checkpoint.format() == Some(Format::Gguf) { "gguf-split:5GB" } else { "huggingface:5GB" };
        let shards = if checkpoint.tensor_bytes() > SHARDED_FROM { vec![split] } else { Vec::new() };
        let mut prune = vec![PruneSpec::Share(0.5), PruneSpec::Pattern { keep: 2, of: 4 }];
        if !checkpoint.declared {
            prune.insert(0, PruneSpec::Measured);
        }
        Self {
            targets: Target::common(checkpoint.format()),
            prune,
            shards: shards.into_iter().filter_map(|s| ShardSpec::parse(s).ok()).collect(),
            ..Self::default()
        }
    }
}
