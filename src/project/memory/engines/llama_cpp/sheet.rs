//! What the graph of a model is built from: the numbers of its GGUF keys and the shapes of its tensors, by their GGUF names.

use std::collections::{BTreeMap, HashMap};

use crate::checkpoint::{KvLayer, KvLayers};
use crate::format::Format;
use crate::project::input::ProjectInput;

/// `LLAMA_MAX_LAYERS` and `LLAMA_MAX_EXPERTS` of llama.cpp ([`crate::pins::LLAMA_CPP`]).
const MAX_LAYERS: u64 = 512;
const MAX_EXPERTS: u64 = 512;

/// No width, head count or state of a model is larger; products of three of them and a context still fit 64 bits.
const LARGEST: u64 = 1 << 20;

/// Keys that sizes of the graph are made of.
const SIZES: &[&str] = &[
    "attention.head_count",
    "attention.key_length",
    "attention.value_length",
    "attention.key_length_mla",
    "attention.value_length_mla",
    "attention.kv_lora_rank",
    "rope.dimension_count",
    "expert_used_count",
    "expert_group_count",
    "expert_group_used_count",
    "leading_dense_block_count",
    "ssm.conv_kernel",
    "ssm.inner_size",
    "ssm.state_size",
    "ssm.group_count",
    "ssm.time_step_rank",
    "shortconv.l_cache",
];

/// A model as its graph builder sees it.
#[derive(Debug, Clone)]
pub(super) struct Sheet<'a> {
    /// `general.architecture`.
    pub(super) arch: &'a str,
    /// Blocks that run, multi-token prediction left out.
    pub(super) layers: u64,
    /// How each block caches, in order; a block with attention and a state stands here twice.
    pub(super) kinds: &'a [KvLayer],
    keys: &'a BTreeMap<String, Vec<f64>>,
    tensors: HashMap<&'a str, [u64; 4]>,
}

impl<'a> Sheet<'a> {
    /// The sheet of a GGUF.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn of(input: &'a ProjectInput<'a>) -> Result<Self, String> {
        let source = match (&input.gguf, input.format) {
            (Some(source), Some(Format::Gguf)) => source,
            _ => return Err("the graph is read from a GGUF: convert first".to_owned()),
        };
        let model = input.model;
        if let KvLayers::Refused(reason) = &model.kv {
            return Err(reason.clone());
        }
        let layers = model.layers.ok_or("the number of layers is not known")?;
        if layers == 0 || layers > MAX_LAYERS {
            return Err(format!("llama.cpp takes 1 to {MAX_LAYERS} layers, not {layers}"));
        }
        if model.experts_used.is_some_and(|n| n > MAX_EXPERTS) {
            return Err(format!("llama.cpp takes at most {MAX_EXPERTS} experts"));
        }
        for key in SIZES {
            let largest = source.keys.get(*key).and_then(|values| values.iter().copied().reduce(f64::max));
            if largest.is_some_and(|n| n > LARGEST as f64) {
                return Err(format!("key `{}.{key}` is out of range", crate::text::escape(&source.architecture)));
            }
        }
        if model.layer_kinds.iter().any(|k| k.kv_heads.max(k.head_dim_k).max(k.head_dim_v) > LARGEST) {
            return Err("the heads of the cache are out of range".to_owned());
        }
        let mut tensors = HashMap::with_capacity(input.tensors.len());
        for (place, tensor) in input.tensors.iter().enumerate() {
            let mut ne = [1u64; 4];
            if tensor.shape.len() > 4 || source.is_beside(place) {
                continue;
            }
            for (to, &from) in ne.iter_mut().zip(tensor.shape.iter().rev()) {
                *to = from;
            }
            tensors.insert(&*tensor.name, ne);
        }
        Ok(Self { arch: &source.architecture, layers, kinds: &model.layer_kinds, keys: &source.keys, tensors })
    }

    /// The shape of a tensor, fastest dimension first.
    pub(super) fn shape(&self, name: &str) -> Option<[u64; 4]> {
        self.tensors.get(name).copied()
    }

    /// A number under a key of this architecture.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.keys.get(key)?.first().copied()
    }

    /// A count, of a layer where there is one for each.
    pub(super) fn count_at(&self, key: &str, layer: u64) -> Option<u64> {
        let values = self.keys.get(key)?;
        let value = if values.len() > 1 { values.get(usize::try_from(layer).ok()?) } else { values.first() };
        value.map(|&n| if n > 0.0 { n as u64 } else { 0 })
    }

    pub(super) fn count(&self, key: &str) -> Option<u64> {
        self.count_at(key, 0)
    }

    /// # Errors
    /// The name of the key that is missing.
    pub(super) fn need(&self, key: &str) -> Result<u64, String> {
        self.count(key).ok_or_else(|| format!("key `{}.{key}` is missing", crate::text::escape(self.arch)))
    }

    /// # Errors
    /// The name of the key that is missing.
    pub(super) fn need_at(&self, key: &str, layer: u64) -> Result<u64, String> {
        self.count_at(key, layer).ok_or_else(|| format!("key `{}.{key}` is missing", crate::text::escape(self.arch)))
    }

    /// The cache of a layer that attends; `None` for one that does not.
    pub(super) fn kind(&self, layer: u64) -> Option<&KvLayer> {
        usize::try_from(layer).ok().and_then(|i| self.kinds.get(i))
    }
}

/// Number of tokens in the vocabulary; 0 where it is not known.
pub(super) fn vocabulary(input: &ProjectInput<'_>) -> u64 {
    input.gguf.as_ref().and_then(|g| g.vocabulary).or(input.model.vocab_size).unwrap_or(0)
}
