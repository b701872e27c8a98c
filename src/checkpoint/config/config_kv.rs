//! Which layers cache what, from a `config.json`: windows, chunks, latent vectors, shared and recurrent layers.

use serde_json::Value;

use super::config_json::{Reader, class_default};
use super::hybrid;
use super::keys::{MAX_LAYERS, whole};
use super::layers::{attention, fold};
use super::{KvKind, KvLayer, KvLayers, MlaDims, ModelConfig};
use crate::families::cache::{HfCache, WindowRule};
use crate::families::config_keys::{HEAD_DIM, HEADS, HIDDEN_SIZE, KV_HEADS, LAYERS};
use crate::families::family::KvHeads;
use crate::text::escape_limited;

impl Reader<'_> {
    /// What is cached, or why it is not known.
    pub(super) fn kv(&self, model: &mut ModelConfig) -> Result<KvLayers, String> {
        let Some(row) = self.row else {
            return Err(match &model.family {
                Some(family) => format!("family `{}` (`model_type`) is not known", escape_limited(family, 60)),
                None => self.keys.missing("model_type"),
            });
        };
        if let HfCache::NotUnderstood(reason) = row.cache {
            let name = model.family.as_deref().or(row.model_types.first().copied()).unwrap_or("?");
            return Err(format!("family `{}`: {reason}", escape_limited(name, 60)));
        }
        if row.cache == HfCache::Encoder {
            self.heads_for_facts(model);
            if self.keys.flag("is_decoder") != Some(true) {
                return Ok(KvLayers::NoCache("an encoder keeps no keys and values".to_owned()));
            }
        }
        let layers = model.layers.ok_or_else(|| self.keys.missing(LAYERS.name()))?;
        if layers == 0 || layers > MAX_LAYERS {
            return Err(format!("{} claims {layers} layers", self.keys.file));
        }
        let runs = match row.cache {
            HfCache::T5 => self.t5(layers, model)?,
            HfCache::EncoderDecoder => self.encoder_decoder(layers, model)?,
            HfCache::Mamba => hybrid::mamba(&self.keys, layers)?,
            HfCache::Mamba2 => hybrid::mamba2(&self.keys, layers)?,
            HfCache::Mla => self.mla(layers, model, false)?,
            HfCache::MlaValuesShareHidden => self.mla(layers, model, true)?,
            _ => {
                let (kv_heads, head_dim) = self.head_shape(model)?;
                let full = attention(KvKind::Full, kv_heads, head_dim, head_dim, None);
                match row.cache {
                    HfCache::Jamba => hybrid::jamba(&self.keys, layers, full)?,
                    HfCache::Mamba2Hybrid => hybrid::mamba2_hybrid(&self.keys, layers, full)?,
                    HfCache::Mamba2Parallel => hybrid::mamba2_parallel(&self.keys, layers, full)?,
                    HfCache::GatedDelta => {
                        hybrid::gated_delta(&self.keys, layers, full, self.default_of("full_attention_interval"))?
                    }
                    HfCache::NemotronH => hybrid::nemotron_h(&self.keys, layers, full)?,
                    HfCache::ChunkedByRope => self.chunked(layers, full, model)?,
                    HfCache::SharedTail => self.shared_tail(layers, full, model)?,
                    HfCache::Window(rule) => self.windowed(rule, layers, full, model)?,
                    _ => self.plain(layers, full, model)?,
                }
            }
        };
        if let Some(mtp) = model.mtp_layers {
            model.notes.push(format!(
                "{mtp} multi-token prediction layers are not in the cache figure: engines that use them keep a cache for them too"
            ));
        }
        // In their order where each layer is one row; parts of one layer (a state beside attention) come as runs over all layers.
        if runs.iter().fold(0u64, |n, run| n.saturating_add(run.layers)) == layers {
            let one = |run: &KvLayer| (0..run.layers).map(|_| KvLayer { layers: 1, ..*run }).collect::<Vec<_>>();
            model.layer_kinds = runs.iter().flat_map(one).collect();
        }
        Ok(KvLayers::Known(fold(runs)))
    }

    /// Heads of an encoder, as facts only: a contradiction there refuses nothing.
    fn heads_for_facts(&self, model: &mut ModelConfig) {
        if let Err(reason) = self.head_shape(model) {
            model.notes.push(reason);
        }
    }

    /// Key/value heads and head width; both are stored in the model.
    fn head_shape(&self, model: &mut ModelConfig) -> Result<(u64, u64), String> {
        let heads = model.heads.ok_or_else(|| self.keys.missing(HEADS.name()))?;
        if heads == 0 {
            return Err(format!("key `{}` is 0", HEADS.name()));
        }
        let kv_heads = self.kv_heads(heads, model)?;
        model.kv_heads = Some(kv_heads);
        if kv_heads == 0 || heads % kv_heads != 0 {
            return Err(format!("{kv_heads} key/value heads do not divide {heads} attention heads"));
        }
        let head_dim = self.head_dim(heads, model)?;
        model.head_dim = Some(head_dim);
        if head_dim == 0 {
            return Err("key `head_dim` is 0".to_owned());
        }
        Ok((kv_heads, head_dim))
    }

    fn kv_heads(&self, heads: u64, model: &mut ModelConfig) -> Result<u64, String> {
        let keys = &self.keys;
        match self.row.map_or(KvHeads::Stated, |row| row.kv_heads) {
            KvHeads::GroupedOrSingle => {
                return if keys.flag("new_decoder_architecture") == Some(true) {
                    model.spreads_kv = true;
                    Ok(keys.count(KV_HEADS.names)?.unwrap_or(heads))
                } else {
                    Ok(if keys.flag("multi_query") == Some(false) { heads } else { 1 })
                };
            }
            KvHeads::MultiQuery => return Ok(if keys.flag("multi_query") == Some(false) { heads } else { 1 }),
            KvHeads::MultiQueryGroups if keys.flag("multi_query_attention") == Some(true) => {
                return keys.need(&["multi_query_group_num"]);
            }
            KvHeads::MultiQueryGroups | KvHeads::Stated => {}
        }
        if let Some(inner) = keys.object("attn_config")
            && let Some(count) = inner.get("kv_n_heads").filter(|v| !v.is_null())
        {
            return whole(count).ok_or_else(|| format!("{} is no whole number", keys.key("attn_config.kv_n_heads")));
        }
        if let Some(Value::String(kind)) = keys.object("attn_config").and_then(|inner| inner.get("attn_type"))
            && kind == "multiquery_attention"
        {
            return Ok(1);
        }
        Ok(self.shape(&KV_HEADS, &mut model.notes)?.unwrap_or(heads))
    }

    fn head_dim(&self, heads: u64, model: &mut ModelConfig) -> Result<u64, String> {
        // DeepSeek's `head_dim` is the rotary part; latent attention does not come here.
        if let Some(explicit) = self.keys.count(HEAD_DIM.names)? {
            return Ok(explicit);
        }
        if !self.keys.has("head_dim")
            && let Some(default) = self.default_of("head_dim")
        {
            if model.hidden_size.is_some_and(|hidden| hidden / heads != default) || model.hidden_size.is_none() {
                model.notes.push(class_default("head_dim", default));
            }
            return Ok(default);
        }
        let hidden = model.hidden_size.ok_or_else(|| self.keys.missing(HIDDEN_SIZE.name()))?;
        if hidden % heads != 0 {
            return Err(format!("{hidden} hidden values do not divide into {heads} heads, and `head_dim` is missing"));
        }
        Ok(hidden / heads)
    }

    /// The window, where one is set; a missing key has the class default.
    fn window(&self, model: &mut ModelConfig) -> Result<Option<u64>, String> {
        if let Some(window) = self.keys.count(&["sliding_window"])? {
            return Ok(Some(window).filter(|&w| w > 0));
        }
        if self.keys.has("sliding_window") {
            return Ok(None);
        }
        Ok(self.default_of("sliding_window").inspect(|&value| model.notes.push(class_default("sliding_window", value))))
    }

    /// Families whose class knows no window.
    fn plain(&self, layers: u64, full: KvLayer, model: &mut ModelConfig) -> Result<Vec<KvLayer>, String> {
        if let Some(listed) = self.by_layer_types(layers, full, None, model)? {
            return Ok(listed);
        }
        let flag = self.keys.flag("use_sliding_window");
        if flag == Some(true) {
            return Err("key `use_sliding_window` is true, and which layers it means is not known for this family".to_owned());
        }
        if flag.is_none() && self.keys.count(&["sliding_window"])?.is_some_and(|w| w > 0) {
            model.notes.push(
                "`sliding_window` is set, but this family's class does not read it: every layer keeps every token".to_owned(),
            );
        }
        Ok(repeat(full, layers))
    }

    fn windowed(&self, rule: WindowRule, layers: u64, full: KvLayer, model: &mut ModelConfig) -> Result<Vec<KvLayer>, String> {
        let flag = self.keys.flag("use_sliding_window");
        let flagged = matches!(rule, WindowRule::FlaggedFrom | WindowRule::FlaggedEvery | WindowRule::FlaggedAlternate);
        // The flag wins over a window and over layer types: the class sets the window to none.
        if flagged && flag != Some(true) {
            if let Some(kinds) = self.keys.list("layer_types")? {
                check_length("layer_types", kinds.len(), layers)?;
                if kinds.iter().any(|kind| kind.as_str() == Some("sliding_attention")) {
                    model.notes.push(
                        "`layer_types` names sliding layers, but `use_sliding_window` is not true: every layer keeps every token"
                            .to_owned(),
                    );
                }
            }
            return Ok(repeat(full, layers));
        }
        // `layer_types: null` and no list are alike; a list needs the window only where it names sliding layers.
        if self.keys.list("layer_types")?.is_some() {
            let window = self.window(model)?;
            if let Some(listed) = self.by_layer_types(layers, full, window, model)? {
                return Ok(listed);
            }
        }
        // No window: EXAONE 4 1.2B, Mistral from v0.2 on, Phi-4.
        let Some(window) = self.window(model)? else { return Ok(repeat(full, layers)) };
        let sliding = attention(KvKind::Sliding, full.kv_heads, full.head_dim_k, full.head_dim_v, Some(window));
        let from = match self.keys.count(&["max_window_layers"])? {
            Some(from) => from,
            None => self.default_of("max_window_layers").unwrap_or(0),
        };
        let pattern = |name: &str, default: u64| -> Result<u64, String> {
            let n = self.keys.count(&[name])?.or(self.keys.count(&["_sliding_window_pattern"])?).unwrap_or(default);
            if n == 0 { Err(format!("key `{name}` is 0")) } else { Ok(n) }
        };
        let is_sliding: Box<dyn Fn(u64) -> bool> = match rule {
            WindowRule::Every | WindowRule::FlaggedEvery => Box::new(|_| true),
            WindowRule::FlaggedFrom => Box::new(move |i| i >= from),
            WindowRule::FlaggedAlternate => Box::new(move |i| i % 2 == 0 && i < from),
            // Gemma 2's class has no key for the pattern.
            WindowRule::Pattern(2) => Box::new(|i| (i + 1) % 2 != 0),
            WindowRule::Pattern(default) => {
                let n = pattern("sliding_window_pattern", default)?;
                Box::new(move |i| (i + 1) % n != 0)
            }
            WindowRule::FullFirst(default) => {
                let n = pattern("window_pattern", default)?;
                Box::new(move |i| i % n != 0)
            }
        };
        Ok((0..layers).map(|i| if is_sliding(i) { sliding } else { full }).collect())
    }

    /// The list `layer_types`, which goes before every rule; `None` where there is none.
    fn by_layer_types(
        &self,
        layers: u64,
        full: KvLayer,
        window: Option<u64>,
        model: &mut ModelConfig,
    ) -> Result<Option<Vec<KvLayer>>, String> {
        let Some(kinds) = self.keys.list("layer_types")? else { return Ok(None) };
        check_length("layer_types", kinds.len(), layers)?;
        let mut rows = Vec::with_capacity(kinds.len());
        for kind in kinds {
            rows.push(match kind.as_str().unwrap_or("") {
                "full_attention" | "attention" => full,
                "sliding_attention" => {
                    let window = match window {
                        Some(window) => window,
                        None => {
                            self.window(model)?.ok_or("`layer_types` names sliding layers, but key `sliding_window` is missing")?
                        }
                    };
                    attention(KvKind::Sliding, full.kv_heads, full.head_dim_k, full.head_dim_v, Some(window))
                }
                "chunked_attention" => {
                    let chunk = self.keys.count(&["attention_chunk_size"])?.or_else(|| self.default_of("attention_chunk_size"));
                    let chunk = chunk.ok_or("`layer_types` names chunked layers, but key `attention_chunk_size` is missing")?;
                    attention(KvKind::Chunked, full.kv_heads, full.head_dim_k, full.head_dim_v, Some(chunk))
                }
                other => return Err(format!("`layer_types` holds `{}`, which is not known", escape_limited(other, 40))),
            });
        }
        Ok(Some(rows))
    }

    fn mla(&self, layers: u64, model: &mut ModelConfig, values_share_hidden: bool) -> Result<Vec<KvLayer>, String> {
        let keys = &self.keys;
        let heads = model.heads.ok_or_else(|| self.keys.missing(HEADS.name()))?;
        let value_dim = match keys.count(&["v_head_dim"])? {
            Some(width) => width,
            None if values_share_hidden => model.hidden_size.unwrap_or(0) / heads.max(1),
            None => return Err(keys.missing("v_head_dim")),
        };
        let dims = MlaDims {
            kv_lora_rank: keys.need(&["kv_lora_rank"])?,
            rope_dim: keys.need(&["qk_rope_head_dim"])?,
            nope_dim: keys.need(&["qk_nope_head_dim"])?,
            value_dim,
            heads,
        };
        model.kv_heads = keys.count(KV_HEADS.names)?.or(Some(heads));
        model.head_dim = dims.nope_dim.checked_add(dims.rope_dim);
        model.mla = Some(dims);
        let latent = dims.kv_lora_rank.checked_add(dims.rope_dim).ok_or("`kv_lora_rank` is out of range")?;
        Ok(repeat(attention(KvKind::Mla, 1, latent, 0, None), layers))
    }

    fn chunked(&self, layers: u64, full: KvLayer, model: &mut ModelConfig) -> Result<Vec<KvLayer>, String> {
        if let Some(listed) = self.by_layer_types(layers, full, None, model)? {
            return Ok(listed);
        }
        let chunk = match self.keys.count(&["attention_chunk_size"])? {
            Some(chunk) => chunk,
            None if self.keys.has("attention_chunk_size") => return Ok(repeat(full, layers)),
            None => self.default_of("attention_chunk_size").ok_or_else(|| self.keys.missing("attention_chunk_size"))?,
        };
        let chunked = attention(KvKind::Chunked, full.kv_heads, full.head_dim_k, full.head_dim_v, Some(chunk));
        let interval = self.keys.count(&["no_rope_layer_interval"])?.or_else(|| self.default_of("no_rope_layer_interval"));
        // 1 in `no_rope_layers` means rotary positions and chunks; an empty list stands for the default.
        match self.keys.list("no_rope_layers")?.filter(|list| !list.is_empty()) {
            Some(list) => {
                check_length("no_rope_layers", list.len(), layers)?;
                Ok(list.iter().map(|value| if whole(value).unwrap_or(0) != 0 { chunked } else { full }).collect())
            }
            None => {
                let n = interval.filter(|&n| n > 0).ok_or("key `no_rope_layer_interval` is 0")?;
                Ok((0..layers).map(|i| if (i + 1) % n != 0 { chunked } else { full }).collect())
            }
        }
    }

    fn shared_tail(&self, layers: u64, full: KvLayer, model: &mut ModelConfig) -> Result<Vec<KvLayer>, String> {
        let shared = match self.keys.count(&["num_kv_shared_layers"])? {
            Some(shared) => shared,
            None => self
                .default_of("num_kv_shared_layers")
                .inspect(|&value| model.notes.push(class_default("num_kv_shared_layers", value)))
                .unwrap_or(0),
        };
        let own = layers.checked_sub(shared).ok_or_else(|| format!("{shared} layers share the cache of {layers}"))?;
        let window = self.window(model)?.ok_or_else(|| self.keys.missing("sliding_window"))?;
        let rows = match self.by_layer_types(layers, full, Some(window), model)? {
            Some(rows) => rows,
            None => {
                let sliding = attention(KvKind::Sliding, full.kv_heads, full.head_dim_k, full.head_dim_v, Some(window));
                (0..layers).map(|i| if (i + 1) % 5 == 0 { full } else { sliding }).collect()
            }
        };
        let tail = |(i, row): (usize, KvLayer)| if (i as u64) < own { row } else { super::layers::nothing(KvKind::Shared) };
        Ok(rows.into_iter().enumerate().map(tail).collect())
    }

    fn t5(&self, layers: u64, model: &mut ModelConfig) -> Result<Vec<KvLayer>, String> {
        let heads = self.keys.need(&["num_heads"])?;
        let width = self.keys.need(&["d_kv"])?;
        (model.heads, model.kv_heads, model.head_dim) = (Some(heads), Some(heads), Some(width));
        let own = attention(KvKind::Full, heads, width, width, None);
        let mut rows = repeat(own, layers);
        rows.extend(repeat(KvLayer { kind: KvKind::Cross, ..own }, layers));
        Ok(rows)
    }

    fn encoder_decoder(&self, layers: u64, model: &mut ModelConfig) -> Result<Vec<KvLayer>, String> {
        let heads = self.keys.need(&["decoder_attention_heads"])?;
        let hidden = self.keys.need(&["d_model"])?;
        if heads == 0 || hidden % heads != 0 {
            return Err(format!("{hidden} hidden values do not divide into {heads} heads"));
        }
        (model.heads, model.kv_heads, model.head_dim) = (Some(heads), Some(heads), Some(hidden / heads));
        let own = attention(KvKind::Full, heads, hidden / heads, hidden / heads, None);
        // Whisper's encoder always gives `max_source_positions` vectors; BART's length is the input's.
        let cross = KvLayer { kind: KvKind::Cross, window: self.keys.count(&["max_source_positions"])?, ..own };
        let mut rows = repeat(own, layers);
        rows.extend(repeat(cross, layers));
        Ok(rows)
    }
}

pub(super) fn repeat(layer: KvLayer, layers: u64) -> Vec<KvLayer> {
    vec![KvLayer { layers, ..layer }]
}

pub(super) fn check_length(name: &str, len: usize, layers: u64) -> Result<(), String> {
    if len as u64 == layers { Ok(()) } else { Err(format!("key `{name}` has {len} entries for {layers} layers")) }
}
