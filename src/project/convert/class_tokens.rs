//! Special tokens that the class of a tokenizer brings along: those that the files do not name are added behind the vocabulary.
//!
//! Source: the defaults in the constructors of the fast tokenizers, `TOKENIZER_MAPPING_NAMES` and `PreTrainedTokenizerFast.__init__`
//! of transformers 4.57.6, and `AddedVocabulary::add_tokens` of the tokenizers library.

use std::collections::HashSet;

use serde_json::Value;

use crate::checkpoint::HfFolder;
use crate::families::token_classes::{CLASSES, OF_MODELS};

/// The order in which they are added.
const KINDS: [&str; 7] = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];

/// Class of transformers 5, which 4.57.6 does not have.
const TOO_NEW: &str = "TokenizersBackend";

/// The class that the files name, without `Fast`.
fn class(folder: &HfFolder) -> Option<&str> {
    let named = |map: &'_ serde_json::Map<String, Value>| map.get("tokenizer_class").and_then(Value::as_str).map(str::to_owned);
    let text = folder.tokenizer_config.as_ref().and_then(named).or_else(|| named(&folder.config));
    match text {
        Some(name) => {
            let name = name.strip_suffix("Fast").unwrap_or(&name).to_owned();
            CLASSES.iter().map(|(class, _)| *class).chain([TOO_NEW]).find(|class| *class == name)
        }
        None => {
            let kind = folder.config.get("model_type")?.as_str()?;
            OF_MODELS.iter().find(|(model, _)| *model == kind).map(|(_, class)| *class)
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// The special tokens of the tokenizer, in the order in which they are added.
///
/// # Errors
/// A class that the converter's version of transformers does not have.
pub(super) fn special_tokens(folder: &HfFolder) -> Result<Vec<String>, String> {
    let class = class(folder);
    if class == Some(TOO_NEW) {
        return Err(format!("tokenizer_class `{TOO_NEW}` is newer than the transformers 4.57.6 that the converter pins: it stops"));
    }
    let defaults = CLASSES.iter().find(|(name, _)| Some(*name) == class).map_or(&[][..], |(_, defaults)| *defaults);
    let config = folder.tokenizer_config.as_ref();
    // The older file is only read where the newer one does not name the added tokens.
    let older = folder.special_tokens.as_ref().filter(|_| config.is_none_or(|c| !c.contains_key("added_tokens_decoder")));
    let mut tokens: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    let mut add = |token: &str| {
        if seen.insert(token.to_owned()) {
            tokens.push(token.to_owned());
        }
    };
    for kind in KINDS {
        let key = format!("{kind}_token");
        let given = config.and_then(|c| c.get(&key)).filter(|v| older.is_none() || !v.is_null());
        match given.or_else(|| older?.get(&key)) {
            Some(value) => text(value).into_iter().for_each(&mut add),
            None => defaults.iter().filter(|(k, _)| *k == kind).for_each(|(_, token)| add(token)),
        }
    }
    let more = config.and_then(|c| c.get("additional_special_tokens")).or_else(|| older?.get("additional_special_tokens"));
    more.and_then(Value::as_array).into_iter().flatten().filter_map(text).for_each(add);
    Ok(tokens)
}
