//! Facts from GGUF keys: the key names of gguf-py 0.19.0, the cache rules of llama.cpp commit 0c1e570.

use super::keys::MAX_LAYERS;
use super::layers::{attention, fold, nothing, recurrent};
use super::{KvKind, KvLayer, KvLayers, MlaDims, ModelConfig};
use crate::families::cache::GgufCache;
use crate::families::family::KvHeads;
use crate::families::{self, Family};
use crate::format::{Metadata, MetadataValue};
use crate::text::escape_limited;

/// Reads the facts of a GGUF file's keys. `has_tensor` says whether the checkpoint holds a tensor of that name; whether the output
/// head is tied follows from it.
pub fn from_gguf(metadata: &Metadata, has_tensor: &dyn Fn(&str) -> bool) -> ModelConfig {
    let mut model = ModelConfig { origin: Some("GGUF keys".to_owned()), ..ModelConfig::default() };
    let Some(arch) = metadata.text("general.architecture") else {
        model.kv = KvLayers::Refused("key `general.architecture` is missing".to_owned());
        return model;
    };
    model.architecture = Some(arch.to_owned());
    model.family = Some(arch.to_owned());
    model.name = metadata.text("general.name").map(str::to_owned);
    let row = families::by_gguf(arch);
    let reader = Reader { metadata, arch, row };
    reader.fill(&mut model);
    model.kv = reader.kv(&mut model).unwrap_or_else(KvLayers::Refused);
    // An encoder has no output head to tie.
    if has_tensor("token_embd.weight") && !matches!(model.kv, KvLayers::NoCache(_)) {
        model.tied_embeddings = Some(!has_tensor("output.weight"));
    }
    model
}

/// A figure that is one number or one per layer.
enum PerLayer {
    One(u64),
    Many(Vec<u64>),
}

impl PerLayer {
    fn at(&self, layer: u64) -> u64 {
        match self {
            Self::One(value) => *value,
            Self::Many(values) => usize::try_from(layer).ok().and_then(|i| values.get(i)).copied().unwrap_or(0),
        }
    }

    fn max(&self) -> u64 {
        match self {
            Self::One(value) => *value,
            Self::Many(values) => values.iter().copied().max().unwrap_or(0),
        }
    }
}

pub(super) struct Reader<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) arch: &'a str,
    pub(super) row: Option<&'static Family>,
}

impl Reader<'_> {
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.arch)
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.metadata.count(&self.key(name))
    }

    pub(super) fn need(&self, name: &str) -> Result<u64, String> {
        self.count(name).ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, name: &str) -> String {
        format!("key `{}` is missing", escape_limited(&self.key(name), 80))
    }

    /// A number, or an array with one number a layer. An array may be longer than the layers asked for (prediction layers).
    fn per_layer(&self, name: &str, layers: u64) -> Result<Option<PerLayer>, String> {
        if let Some(values) = self.metadata.numbers(&self.key(name)) {
            if (values.len() as u64) < layers {
                return Err(format!(
                    "key `{}` has {} entries for {layers} layers",
                    escape_limited(&self.key(name), 80),
                    values.len()
                ));
            }
            // Numbers are kept as f64; head counts and widths are far below 2^53.
            return Ok(Some(PerLayer::Many(values.iter().map(|&v| if v > 0.0 { v as u64 } else { 0 }).collect())));
        }
        match self.metadata.get(&self.key(name)) {
            None => Ok(None),
            Some(MetadataValue::Unsigned(_) | MetadataValue::Signed(_)) => Ok(self.count(name).map(PerLayer::One)),
            Some(_) => Err(format!("key `{}` is no number", escape_limited(&self.key(name), 80))),
        }
    }

    fn fill(&self, model: &mut ModelConfig) {
        let blocks = self.count("block_count");
        model.mtp_layers = self.count("nextn_predict_layers").filter(|&n| n > 0);
        model.layers = blocks.map(|blocks| blocks.saturating_sub(model.mtp_layers.unwrap_or(0)));
        let layers = model.layers.unwrap_or(0);
        let most = |name: &str| self.per_layer(name, layers).ok().flatten().map(|value| value.max()).filter(|&n| n > 0);
        model.hidden_size = self.count("embedding_length");
        model.ffn_size = most("feed_forward_length");
        model.heads = most("attention.head_count");
        model.kv_heads = most("attention.head_count_kv").or(model.heads);
        // Of Falcon's two architectures only the new one groups heads.
        let may_group = self.row.is_some_and(|row| row.kv_heads == KvHeads::GroupedOrSingle);
        model.spreads_kv = may_group && model.kv_heads.is_some_and(|n| n > 1 && Some(n) != model.heads);
        model.head_dim = self.count("attention.key_length_mla").or_else(|| self.head_dim(model));
        model.context_length = self.count("context_length");
        model.vocab_size = self.count("vocab_size").or_else(|| self.metadata.array_len("tokenizer.ggml.tokens"));
        model.experts = self.count("expert_count").filter(|&n| n > 0);
        model.experts_used = self.count("expert_used_count").filter(|_| model.experts.is_some());
        model.shared_experts = self.count("expert_shared_count").filter(|&n| n > 0);
        model.expert_ffn_size = self.count("expert_feed_forward_length");
    }

    /// `key_length`, or the hidden size over the heads.
    fn head_dim(&self, model: &ModelConfig) -> Option<u64> {
        self.count("attention.key_length").or_else(|| {
            let heads = model.heads?;
            model.hidden_size.filter(|hidden| hidden % heads == 0).map(|hidden| hidden / heads)
        })
    }

    fn kv(&self, model: &mut ModelConfig) -> Result<KvLayers, String> {
        let shown = || escape_limited(self.arch, 60);
        let row = self.row.ok_or_else(|| format!("family `{}` (`general.architecture`) is not known", shown()))?;
        match row.gguf_cache {
            GgufCache::NotUnderstood(reason) => return Err(format!("family `{}`: {reason}", shown())),
            GgufCache::Absent => return Err(format!("family `{}` (`general.architecture`) is not known", shown())),
            GgufCache::Encoder => return Ok(KvLayers::NoCache("an encoder keeps no keys and values".to_owned())),
            _ if self.metadata.flag(&self.key("attention.causal")) == Some(false) => {
                return Ok(KvLayers::NoCache("attention is not causal: no keys and values are kept".to_owned()));
            }
            _ => {}
        }
        let layers = model.layers.ok_or_else(|| self.missing("block_count"))?;
        if layers == 0 || layers > MAX_LAYERS {
            return Err(format!("key `{}` leaves {layers} layers", escape_limited(&self.key("block_count"), 80)));
        }
        if let Some(mtp) = model.mtp_layers {
            model.notes.push(format!("{mtp} multi-token prediction layers are not in the cache figure"));
        }
        let rows: Vec<KvLayer> = match row.gguf_cache {
            GgufCache::Recurrent => {
                let state = self.state(model)?;
                (0..layers).map(|_| recurrent(state)).collect()
            }
            GgufCache::Mla if self.count("attention.key_length_mla").is_some() => self.mla(layers, model)?,
            layout => self.with_attention(layout, layers, model)?,
        };
        let runs = fold(rows.iter().copied());
        model.layer_kinds = rows;
        Ok(KvLayers::Known(runs))
    }

    fn with_attention(&self, layout: GgufCache, layers: u64, model: &mut ModelConfig) -> Result<Vec<KvLayer>, String> {
        let heads = self.per_layer("attention.head_count", layers)?.ok_or_else(|| self.missing("attention.head_count"))?;
        let kv_heads = self.per_layer("attention.head_count_kv", layers)?;
        let kv_at = |layer: u64| kv_heads.as_ref().map_or_else(|| heads.at(layer), |kv| kv.at(layer));
        let dim_k = self.head_dim(model).ok_or_else(|| self.missing("attention.key_length"))?;
        let dim_v = match self.count("attention.value_length") {
            Some(width) => width,
            // Its own default is the hidden size over the heads, not the key's width.
            None => match (model.hidden_size, model.heads) {
                (Some(hidden), Some(heads)) if hidden % heads == 0 => hidden / heads,
                _ => return Err(self.missing("attention.value_length")),
            },
        };
        let pattern = self.pattern(layout, layers, model)?;
        // Kimi Linear: latent attention in the layers that attend.
        let latent = layout == GgufCache::HybridByHeads && self.count("attention.key_length_mla").is_some();
        let dims_swa =
            (self.count("attention.key_length_swa").unwrap_or(dim_k), self.count("attention.value_length_swa").unwrap_or(dim_v));
        let shared_from = match layout {
            // The loader takes 20 layers, whatever `attention.shared_kv_layers` says.
            GgufCache::SharedTail(_) => 20,
            _ => layers,
        };
        let hybrid = matches!(
            layout,
            GgufCache::HybridByHeads
                | GgufCache::HybridWindowed
                | GgufCache::HybridOrMlp
                | GgufCache::Parallel
                | GgufCache::Interval(_)
        );
        let state = if hybrid { Some(self.state(model)?) } else { None };
        let widths = if layout == GgufCache::HybridOrMlp { self.per_layer("feed_forward_length", layers)? } else { None };
        let interval = self.count("full_attention_interval");
        let listed = match layout {
            GgufCache::Interval(_) => self.per_layer("attention.recurrent_layers", layers)?,
            _ => None,
        };
        let mut rows = Vec::new();
        for layer in 0..layers {
            let kv = kv_at(layer);
            let total = heads.at(layer);
            let stateful = match layout {
                GgufCache::HybridByHeads | GgufCache::HybridWindowed => kv == 0,
                GgufCache::HybridOrMlp => {
                    if widths.as_ref().is_some_and(|w| w.at(layer) > 0) {
                        rows.push(nothing(KvKind::None));
                        continue;
                    }
                    kv == 0
                }
                GgufCache::Interval(default) => match &listed {
                    Some(flags) => flags.at(layer) > 0,
                    None => {
                        let n = interval.unwrap_or(default);
                        n == 0 || (layer + 1) % n != 0
                    }
                },
                _ => false,
            };
            if let (true, Some(state)) = (stateful, state) {
                rows.push(recurrent(state));
                continue;
            }
            if kv == 0 || total % kv != 0 {
                return Err(format!("layer {layer}: {kv} key/value heads do not divide {total} attention heads"));
            }
            if layer >= shared_from {
                rows.push(nothing(KvKind::Shared));
                continue;
            }
            if latent {
                rows.push(attention(KvKind::Mla, kv, dim_k, 0, None));
                continue;
            }
            rows.push(match pattern.kind(layer) {
                Some((kind, window)) => attention(kind, kv, dims_swa.0, dims_swa.1, Some(window)),
                None => attention(KvKind::Full, kv, dim_k, dim_v, None),
            });
            if let (GgufCache::Parallel, Some(state)) = (layout, state) {
                rows.push(recurrent(state));
            }
        }
        Ok(rows)
    }

    fn mla(&self, layers: u64, model: &mut ModelConfig) -> Result<Vec<KvLayer>, String> {
        let latent = self.need("attention.key_length")?;
        let rank = self.need("attention.kv_lora_rank")?;
        let rope = latent.checked_sub(rank).ok_or_else(|| {
            format!("`{}` is smaller than the latent rank {rank}", escape_limited(&self.key("attention.key_length"), 80))
        })?;
        let key = self.need("attention.key_length_mla")?;
        model.mla = Some(MlaDims {
            kv_lora_rank: rank,
            rope_dim: rope,
            nope_dim: key.saturating_sub(rope),
            value_dim: self.need("attention.value_length_mla")?,
            heads: model.heads.ok_or_else(|| self.missing("attention.head_count"))?,
        });
        Ok((0..layers).map(|_| attention(KvKind::Mla, 1, latent, 0, None)).collect())
    }
}
