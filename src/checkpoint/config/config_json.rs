//! Facts from a `config.json`: the keys of transformers ([`crate::pins::TRANSFORMERS_CODE`]) and of the families that bring their
//! own code.

use serde_json::Value;

use super::keys::{Keys, whole};
use super::{KvLayers, ModelConfig, StatedCache};
use crate::families::cache::HfCache;
use crate::families::config_keys::{
    CONTEXT, DECODER_HEADS, DECODER_LAYERS, DTYPE, EXPERTS, EXPERTS_USED, FFN_SIZE, HEADS, HIDDEN_SIZE, LAYERS, MTP_LAYERS,
    SHARED_EXPERTS, Setting, T5_DECODER_LAYERS, VOCAB_SIZE,
};
use crate::families::defaults::{CURRENT, Class, ClassDefault};
use crate::families::family::FfnWidth;
use crate::families::{self, Family};

/// Reads the facts of a configuration. Never fails: what cannot be read is `None`, and why the cache is refused stands in `kv`.
pub fn from_config_json(config: &Value) -> ModelConfig {
    from_configuration(config, "config.json")
}

/// As [`from_config_json`], of a configuration that stands in another file and was put under the keys of a config.json.
pub(in crate::checkpoint) fn from_configuration(config: &Value, file: &'static str) -> ModelConfig {
    let stated_cache = StatedCache::of(config);
    let mut model = ModelConfig { origin: Some(file.to_owned()), stated_cache, ..ModelConfig::default() };
    let Some(top) = config.as_object() else {
        model.kv = KvLayers::Refused(format!("{file} is no JSON object"));
        return model;
    };
    let keys = Keys::of(top, file);
    let family = keys.text_of(&["model_type"]);
    let outer = top.get("model_type").and_then(Value::as_str);
    model.family = outer.or(family).map(str::to_owned);
    model.architecture = architecture(&keys).or_else(|| model.family.clone());
    model.name = keys.text_of(&["_name_or_path"]).filter(|name| is_hub_name(name)).map(str::to_owned);
    model.stated_dtype = keys.text_of(DTYPE.names).map(str::to_owned);
    // Components of diffusers repos: unet, transformer, vae, scheduler.
    if let Some(class) = top.get("_class_name").and_then(Value::as_str) {
        model.architecture = Some(class.to_owned());
        model.kv = KvLayers::NoCache("a part of a diffusion pipeline keeps no keys and values between steps".to_owned());
        return model;
    }
    // The wrapper's row counts where it is an encoder or the text part has no row of its own.
    let row = match outer.and_then(families::by_model_type) {
        Some(row) if row.cache == HfCache::Encoder => Some(row),
        outer_row => family.and_then(families::by_model_type).or(outer_row),
    };
    // A text part that does not name its class has the one that the wrapper's class makes.
    let stated = keys.text.get("model_type").and_then(Value::as_str);
    let class = match stated {
        Some(kind) => CURRENT.class(kind),
        None => outer.and_then(|outer| CURRENT.class(&CURRENT.class(outer)?.text?)),
    };
    let reader = Reader { keys, row, class };
    let kv = reader.fill(&mut model).and_then(|()| reader.kv(&mut model));
    model.kv = kv.unwrap_or_else(KvLayers::Refused);
    model
}

fn architecture(keys: &Keys<'_>) -> Option<String> {
    let list = keys.top.get("architectures").or_else(|| keys.text.get("architectures"))?;
    list.as_array()?.first()?.as_str().map(str::to_owned)
}

/// `organisation/name`, not a path of the machine that saved the file.
fn is_hub_name(name: &str) -> bool {
    name.split('/').count() == 2 && !name.starts_with(['/', '.', '~']) && !name.contains(['\\', ':']) && !name.ends_with('/')
}

/// The keys of a configuration with the row of its family.
pub(super) struct Reader<'a> {
    pub(super) keys: Keys<'a>,
    pub(super) row: Option<&'static Family>,
    pub(super) class: Option<Class>,
}

impl Reader<'_> {
    pub(super) fn default_of(&self, name: &str) -> Option<u64> {
        match self.class.as_ref()?.missing.get(name)? {
            ClassDefault::Literal(value) => value.as_u64().filter(|&count| count > 0),
            _ => None,
        }
    }

    /// A figure of the model's shape. A nested text config says only what differs from its class, so there a missing key has the
    /// class default; in a file of its own it is missing.
    pub(super) fn shape(&self, setting: &Setting, notes: &mut Vec<String>) -> Result<Option<u64>, String> {
        if let Some(count) = self.keys.count(setting.names)? {
            return Ok(Some(count));
        }
        let name = setting.name();
        Ok(self.default_of(name).filter(|_| self.keys.nested).inspect(|value| notes.push(class_default(name, *value))))
    }

    /// Fills everything but the cache.
    fn fill(&self, model: &mut ModelConfig) -> Result<(), String> {
        let mut notes = Vec::new();
        let keys = &self.keys;
        let result = (|| {
            model.hidden_size = self.shape(&HIDDEN_SIZE, &mut notes)?;
            model.layers = match self.row.map(|row| row.cache) {
                Some(HfCache::T5) => keys.count(T5_DECODER_LAYERS.names)?,
                Some(HfCache::EncoderDecoder) => keys.count(DECODER_LAYERS.names)?,
                // The class counts its pattern; older files state the number as well.
                Some(HfCache::NemotronH) => super::hybrid::pattern_length(keys).or(keys.count(LAYERS.names)?),
                _ => self.shape(&LAYERS, &mut notes)?,
            };
            model.heads = match self.row.map(|row| row.cache) {
                Some(HfCache::EncoderDecoder) => keys.count(DECODER_HEADS.names)?,
                Some(HfCache::Mamba | HfCache::Mamba2) => None,
                _ => self.shape(&HEADS, &mut notes)?,
            };
            model.vocab_size = self.shape(&VOCAB_SIZE, &mut notes)?;
            model.context_length = self.shape(&CONTEXT, &mut notes)?;
            model.ffn_size = self.ffn(model.hidden_size, &mut notes)?;
            model.experts = self.experts(&EXPERTS, "moe_num_experts")?;
            model.experts_used = self.experts(&EXPERTS_USED, "moe_top_k")?.filter(|_| model.experts.is_some());
            model.shared_experts = keys.count(SHARED_EXPERTS.names)?.filter(|&n| n > 0);
            model.expert_ffn_size = keys.count(&["moe_intermediate_size"])?;
            model.mtp_layers = keys.count(MTP_LAYERS.names)?.filter(|&n| n > 0);
            if let (Some(experts), Some(used)) = (model.experts, model.experts_used)
                && used > experts
            {
                notes.push(format!("{} uses {used} experts per token of {experts}", keys.file));
            }
            Ok(())
        })();
        model.tied_embeddings = self.tied();
        model.notes.append(&mut notes);
        result
    }

    fn tied(&self) -> Option<bool> {
        let stated = |map: &serde_json::Map<String, Value>| map.get("tie_word_embeddings").and_then(Value::as_bool);
        stated(self.keys.text).or_else(|| stated(self.keys.top)).or_else(|| {
            // An encoder may have no output head to tie: only what is stated counts.
            self.row.filter(|row| row.cache != HfCache::Encoder)?;
            // transformers goes by the wrapper's class. Where that ties and the class of the text part does not, published models store
            // a head of their own: nothing is taken for tied then.
            let ties = |class: &Class| class.missing.get("tie_word_embeddings") == Some(&ClassDefault::Literal(Value::Bool(true)));
            let wrapper = self.keys.top.get("model_type").and_then(Value::as_str).and_then(|kind| CURRENT.class(kind));
            Some(self.class.as_ref().is_some_and(ties) && wrapper.as_ref().is_none_or(ties))
        })
    }

    fn ffn(&self, hidden: Option<u64>, notes: &mut Vec<String>) -> Result<Option<u64>, String> {
        // Gemma 3n has one width a layer; they are alike in the published models.
        if let Some(Value::Array(widths)) = self.keys.text.get("intermediate_size") {
            let first = widths.first().and_then(whole);
            return Ok(first.filter(|_| widths.windows(2).all(|pair| pair[0] == pair[1])));
        }
        if let Some(width) = self.shape(&FFN_SIZE, notes)? {
            return Ok(Some(width));
        }
        if let Some(width) = self.keys.object("ffn_config").and_then(|inner| inner.get("ffn_hidden_size")).and_then(whole) {
            return Ok(Some(width));
        }
        // Some classes compute the width from the hidden size when the key is missing or null.
        let times = match self.row.map_or(FfnWidth::Stated, |row| row.ffn) {
            FfnWidth::Stated => None,
            FfnWidth::TimesHidden(times) => Some(times),
            FfnWidth::Expansion(times) => Some(self.keys.count(&["expansion_ratio"])?.unwrap_or(times)),
        };
        Ok(times.and_then(|times| hidden?.checked_mul(times)))
    }

    fn experts(&self, setting: &Setting, in_ffn_config: &str) -> Result<Option<u64>, String> {
        let nested = || self.keys.object("ffn_config").and_then(|inner| inner.get(in_ffn_config)).and_then(whole);
        Ok(self.keys.count(setting.names)?.or_else(nested).filter(|&n| n > 0))
    }
}

/// The remark on a key whose class default is used.
pub(super) fn class_default(name: &str, value: u64) -> String {
    format!("key `{name}` is missing in config.json; its class default {value} is used")
}
