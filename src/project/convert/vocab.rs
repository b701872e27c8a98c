//! The tokenizer's arrays: which of the converter's paths a family takes, and what each writes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::class_tokens;
use super::hparams::Hparams;
use super::keys::Keys;
use super::sentencepiece::{phi3_tokens, sentence_piece, t5, vocab_size};
use super::special_tokens;
use crate::checkpoint::HfFolder;
use crate::families::converter::Vocabulary;

/// Bytes that the name of the pre-tokenizer takes where it is not known: that of the commonest ones, and by how much it can be
/// wrong: names have 3 to 24 characters.
const LIKELY_PRE: u64 = 8;

/// Whether the name of the pre-tokenizer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pre {
    /// The path writes a constant, or the name was given.
    Known,
    /// A name of 8 characters was assumed.
    Assumed,
}

/// Adds the tokenizer's keys.
///
/// # Errors
/// Why the converter stops.
pub(super) fn add(keys: &mut Keys, path: Vocabulary, folder: &HfFolder, hparams: &mut Hparams) -> Result<Pre, String> {
    let has_model = folder.sentence_piece.is_some();
    match path {
        Vocabulary::Llama => {
            if folder.has_tekken && folder.tokenizer.is_none() {
                return Err("tokenizers in tekken.json are not modelled".to_owned());
            }
            if folder.tokenizer_config.as_ref().and_then(|c| c.get("add_prefix_space")).is_some_and(|v| !v.is_null()) {
                keys.flag("tokenizer.ggml.add_space_prefix");
            }
            let pre = if has_model {
                sentence_piece(keys, folder, hparams)?;
                Pre::Known
            } else if has_byte_fallback(folder) {
                llama_hf(keys, folder)?;
                Pre::Known
            } else {
                gpt2(keys, folder, hparams)?
            };
            match hparams.count("vocab_size") {
                Some(32016) => keys.number("tokenizer.ggml.eot_token_id"),
                Some(49152) => keys.flag("tokenizer.ggml.add_bos_token"),
                _ => {}
            }
            Ok(pre)
        }
        Vocabulary::Qwen if !has_model => gpt2(keys, folder, hparams),
        Vocabulary::Gemma3 if !has_model => gpt2(keys, folder, hparams),
        Vocabulary::Gpt2 => gpt2(keys, folder, hparams),
        Vocabulary::Mamba | Vocabulary::Mamba2 => {
            let likely = if path == Vocabulary::Mamba { 8 } else { 16 };
            let multiple = hparams.count("pad_vocab_size_multiple").unwrap_or(likely).max(1);
            let size = hparams.need(&["vocab_size"])?.checked_next_multiple_of(multiple).ok_or("vocab_size is too large")?;
            hparams.set("vocab_size", size.into());
            if path == Vocabulary::Mamba2 && has_model {
                sentence_piece(keys, folder, hparams)?;
                return Ok(Pre::Known);
            }
            if folder.tokenizer.is_none() {
                return Err("without tokenizer.json the converter takes a tokenizer of its own, which is not modelled".to_owned());
            }
            gpt2(keys, folder, hparams)
        }
        Vocabulary::Phi3
            if folder.tokenizer_config.as_ref().and_then(|c| c.get("tokenizer_class")?.as_str()) == Some("GPT2Tokenizer") =>
        {
            gpt2(keys, folder, hparams)
        }
        Vocabulary::Qwen | Vocabulary::Gemma | Vocabulary::Gemma1 | Vocabulary::Gemma3 | Vocabulary::Phi3 => {
            if path == Vocabulary::Phi3 {
                phi3_tokens(keys, folder, hparams)?
            } else {
                sentence_piece(keys, folder, hparams)?
            };
            if path == Vocabulary::Gemma1 {
                keys.number("tokenizer.ggml.eot_token_id");
            }
            if matches!(path, Vocabulary::Gemma | Vocabulary::Gemma1 | Vocabulary::Gemma3) {
                keys.flag("tokenizer.ggml.add_space_prefix");
            }
            Ok(Pre::Known)
        }
        Vocabulary::Glm4 => glm(keys, folder, hparams, &["<|endoftext|>", "<|user|>"], &["eos", "eot", "unknown", "bos"]),
        Vocabulary::Glm => {
            let tokens = ["[gMASK]", "<|user|>", "<|endoftext|>", "<|observation|>"];
            glm(keys, folder, hparams, &tokens, &["bos", "eot", "unknown", "eom"])
        }
        Vocabulary::Ernie | Vocabulary::Nemotron => {
            sentence_piece(keys, folder, hparams)?;
            if path == Vocabulary::Nemotron {
                keys.number("tokenizer.ggml.padding_token_id");
                keys.number("tokenizer.ggml.unknown_token_id");
            } else if folder.tokenizer_config.as_ref().is_some_and(|c| c.contains_key("add_prefix_space")) {
                keys.flag("tokenizer.ggml.add_space_prefix");
            }
            Ok(Pre::Known)
        }
        Vocabulary::Roberta if folder.tokenizer.is_some() => {
            keys.number("tokenizer.ggml.token_type_count");
            gpt2(keys, folder, hparams)
        }
        Vocabulary::ModernBert => {
            for kind in ["bos", "eos", "sep"] {
                keys.flag(format!("tokenizer.ggml.add_{kind}_token"));
            }
            gpt2(keys, folder, hparams)
        }
        Vocabulary::Bert | Vocabulary::Roberta => bert(keys, folder, hparams),
        Vocabulary::T5 => t5(keys, folder, hparams),
    }
}

/// Sum of the digits of all numbers below `n`.
fn digits_below(n: u64) -> u64 {
    let (mut sum, mut from, mut width) = (0u64, 0u64, 1u64);
    while from < n {
        let to = if width == 1 { 10 } else { from.saturating_mul(10) }.min(n);
        sum = sum.saturating_add((to - from).saturating_mul(width));
        from = to;
        width += 1;
    }
    sum
}

/// Bytes of the name of an unused number: `[PAD7]`.
fn pad_bytes(id: u64) -> u64 {
    5 + u64::from(id.checked_ilog10().unwrap_or(0) + 1)
}

/// Token lengths by number, below a size; what has no token is `[PADi]`.
pub(super) struct Tokens {
    pub(super) size: u64,
    known: BTreeMap<u64, u64>,
}

impl Tokens {
    /// Numbers of tokens have 32 bits.
    pub(super) fn new(size: u64) -> Result<Self, String> {
        if size > u64::from(u32::MAX) {
            return Err(format!("vocab_size is {size}: the converter cannot hold so many tokens"));
        }
        Ok(Self { size, known: BTreeMap::new() })
    }

    /// Numbers beyond the size are passed over.
    pub(super) fn set(&mut self, id: u64, bytes: u64) {
        if id < self.size {
            self.known.insert(id, bytes);
        }
    }

    pub(super) fn write(&self, keys: &mut Keys, scores: bool) {
        let pads = digits_below(self.size).saturating_add(self.size.saturating_mul(5));
        let known: u64 = self.known.values().sum();
        let not_padded: u64 = self.known.keys().map(|&id| pad_bytes(id)).sum();
        let texts = pads.saturating_sub(not_padded).saturating_add(known);
        keys.array("tokenizer.ggml.tokens", self.size, texts.saturating_add(self.size.saturating_mul(8)));
        keys.array("tokenizer.ggml.token_type", self.size, self.size.saturating_mul(4));
        if scores {
            keys.array("tokenizer.ggml.scores", self.size, self.size.saturating_mul(4));
        }
    }
}

/// U+2581, which becomes a space in a user's token.
pub(super) fn without_word_marks(text: &str) -> u64 {
    text.len() as u64 - 2 * text.matches('\u{2581}').count() as u64
}

/// Some models call control tokens ordinary ones.
pub(super) fn looks_special(text: &str) -> bool {
    let between = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    matches!(text, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || between("<|", "|>")
        || between("<\u{ff5c}", "\u{ff5c}>")
        || between("<unused", ">")
}

pub(super) fn header(keys: &mut Keys, model: &str, pre: Option<&str>) {
    keys.text("tokenizer.ggml.model", model.len() as u64);
    keys.text("tokenizer.ggml.pre", pre.map_or(LIKELY_PRE, |p| p.len() as u64));
}

pub(super) fn needs<'f, T>(file: &'f Option<T>, name: &str) -> Result<&'f T, String> {
    file.as_ref().ok_or_else(|| format!("there is no {name}: the converter stops"))
}

/// A token that stands beside the vocabulary.
struct Added {
    text: String,
    special: bool,
}

/// Added tokens by number: those of tokenizer.json, then those that tokenizer_config.json alone has, then those of the class.
fn added_tokens(folder: &HfFolder) -> Result<BTreeMap<u64, Added>, String> {
    let mut added = BTreeMap::new();
    for token in folder.tokenizer.iter().flat_map(|t| &t.added) {
        added.insert(token.id, Added { text: token.content.clone(), special: token.special });
    }
    for (id, text, special) in decoder(folder) {
        added.entry(id).or_insert(Added { text, special });
    }
    let Some(tokenizer) = &folder.tokenizer else { return Ok(added) };
    // Looked up all together: there can be as many of them as there are tokens.
    let known: HashSet<&str> = added.values().map(|a| a.text.as_str()).collect();
    let missing: Vec<String> =
        class_tokens::special_tokens(folder)?.into_iter().filter(|text| !known.contains(text.as_str())).collect();
    let ids = tokenizer.ids_of(missing.iter().map(String::as_str));
    let ids: Vec<Option<u64>> = missing.iter().map(|text| ids.get(text.as_str()).copied()).collect();
    for (text, id) in missing.into_iter().zip(ids) {
        let behind = added.last_key_value().map_or(0, |(id, _)| id.saturating_add(1)).max(tokenizer.entries);
        added.insert(id.unwrap_or(behind), Added { text, special: true });
    }
    Ok(added)
}

/// `added_tokens_decoder` of tokenizer_config.json.
pub(super) fn decoder(folder: &HfFolder) -> Vec<(u64, String, bool)> {
    let map = folder.tokenizer_config.as_ref().and_then(|c| c.get("added_tokens_decoder")).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .filter_map(|(id, token)| {
            let special = token.get("special").and_then(Value::as_bool) == Some(true);
            Some((id.parse().ok()?, token.get("content")?.as_str()?.to_owned(), special))
        })
        .collect()
}

/// Vocabulary size, tokens and what is known of the added ones, as `get_vocab_base` has them.
struct Base {
    size: u64,
    /// Text, and whether it is a control token.
    tokens: BTreeMap<u64, (String, bool, bool)>,
}

fn base(folder: &HfFolder, hparams: &Hparams, names: &BTreeSet<String>) -> Result<Base, String> {
    let mut tokens: BTreeMap<u64, (String, bool, bool)> = BTreeMap::new();
    match (&folder.tokenizer, &folder.word_pieces) {
        (Some(tokenizer), _) => {
            for (id, text) in &tokenizer.vocab {
                tokens.insert(*id, (text.to_string(), false, false));
            }
        }
        (None, Some(pieces)) => {
            for (id, text) in pieces.iter().enumerate() {
                tokens.insert(id as u64, (text.to_string(), false, false));
            }
        }
        (None, None) => return Err("there is no tokenizer.json: the tokenizer is of a kind that is not modelled".to_owned()),
    }
    for (id, token) in added_tokens(folder)? {
        let control = token.special || looks_special(&token.text) || names.contains(&token.text);
        tokens.insert(id, (token.text, true, control));
    }
    if !names.is_empty() {
        for (text, added, control) in tokens.values_mut() {
            if names.contains(text.as_str()) {
                (*added, *control) = (true, true);
            }
        }
    }
    let size = hparams.count("vocab_size").unwrap_or(tokens.len() as u64);
    if let Some((&id, _)) = tokens.last_key_value()
        && id >= size
    {
        return Err(format!("the tokenizer has token {id}, vocab_size is {size}: the converter stops"));
    }
    Ok(Base { size, tokens })
}

fn gpt2(keys: &mut Keys, folder: &HfFolder, hparams: &Hparams) -> Result<Pre, String> {
    let base = base(folder, hparams, &BTreeSet::new())?;
    let mut tokens = Tokens::new(base.size)?;
    for (id, (text, added, control)) in &base.tokens {
        tokens.set(*id, if *added && !control { without_word_marks(text) } else { text.len() as u64 });
    }
    header(keys, "gpt2", folder.pre.as_deref());
    tokens.write(keys, false);
    special_tokens::add(keys, folder, true, None)?;
    Ok(if folder.pre.is_some() { Pre::Known } else { Pre::Assumed })
}

/// As [`gpt2`], with special tokens whose texts must be there.
fn glm(keys: &mut Keys, folder: &HfFolder, hparams: &Hparams, texts: &[&str], kinds: &[&str]) -> Result<Pre, String> {
    let pre = gpt2(keys, folder, hparams)?;
    let added = added_tokens(folder)?;
    if let Some(text) = texts.iter().find(|text| !added.values().any(|a| a.text == **text)) {
        return Err(format!("the tokenizer has no token `{text}`: the converter stops"));
    }
    for kind in kinds {
        keys.number(format!("tokenizer.ggml.{kind}_token_id"));
    }
    Ok(pre)
}

/// Names of special tokens that tokenizer_config.json and its like give, with the defaults of BERT's class.
fn special_names(folder: &HfFolder) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let class = folder.tokenizer_config.as_ref().and_then(|c| c.get("tokenizer_class")?.as_str());
    if class.is_none_or(|c| c.contains("Bert")) {
        names.extend(["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"].map(str::to_owned));
    }
    for config in [&folder.tokenizer_config, &folder.special_tokens].into_iter().flatten() {
        for kind in ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] {
            let value = config.get(&format!("{kind}_token"));
            let text = value.and_then(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
            names.extend(text.map(str::to_owned));
        }
    }
    names
}

fn bert(keys: &mut Keys, folder: &HfFolder, hparams: &Hparams) -> Result<Pre, String> {
    let base = base(folder, hparams, &special_names(folder))?;
    if folder.tokenizer.as_ref().is_some_and(|t| t.model.as_deref() == Some("Unigram")) {
        return Err("tokenizers of XLM-RoBERTa are not modelled".to_owned());
    }
    let mut tokens = Tokens::new(base.size)?;
    let mut written = 0;
    for (id, (text, added, control)) in &base.tokens {
        let text_bytes = if *added && !control { without_word_marks(text) } else { text.len() as u64 };
        let bytes = match text.starts_with("##") {
            _ if *control => text_bytes,
            true => text_bytes - 2,
            // U+2581 before the start of a word.
            false => text_bytes + 3,
        };
        tokens.set(*id, bytes);
        written += 1;
    }
    header(keys, "bert", folder.pre.as_deref());
    tokens.write(keys, false);
    // Unused numbers are no control tokens: they get the mark too.
    let unused = base.size.saturating_sub(written);
    if unused > 0 {
        keys.lengthen("tokenizer.ggml.tokens", unused.saturating_mul(3));
    }
    keys.number("tokenizer.ggml.token_type_count");
    special_tokens::add(keys, folder, false, Some(base.size))?;
    Ok(if folder.pre.is_some() { Pre::Known } else { Pre::Assumed })
}

/// A BPE tokenizer.json with byte fallback, as Llama 2 and Mistral have it.
fn has_byte_fallback(folder: &HfFolder) -> bool {
    folder.tokenizer.as_ref().is_some_and(|t| {
        t.model.as_deref() == Some("BPE") && t.byte_fallback == Some(true) && t.decoder.as_deref() == Some("Sequence")
    })
}

fn llama_hf(keys: &mut Keys, folder: &HfFolder) -> Result<(), String> {
    let tokenizer = needs(&folder.tokenizer, "tokenizer.json")?;
    let base = tokenizer.vocab.len() as u64;
    let added: Vec<(u64, Added)> = added_tokens(folder)?.into_iter().filter(|(id, _)| *id >= base).collect();
    let size = base + added.len() as u64;
    if tokenizer.vocab.last().is_some_and(|(id, _)| *id != base - 1) {
        return Err("the numbers of the vocabulary have gaps: the converter stops".to_owned());
    }
    let texts: u64 = tokenizer.vocab.iter().map(|(_, t)| t.len() as u64).sum::<u64>()
        + added.iter().map(|(_, t)| t.text.len() as u64).sum::<u64>();
    header(keys, "llama", Some("default"));
    keys.array("tokenizer.ggml.tokens", size, texts + 8 * size);
    keys.array("tokenizer.ggml.scores", size, 4 * size);
    keys.array("tokenizer.ggml.token_type", size, 4 * size);
    special_tokens::add(keys, folder, false, Some(size))
}

/// Rows that the embedding of Gemma 3 keeps: what is beyond the tokenizer is cut off.
pub(super) fn gemma3_rows(folder: &HfFolder, hparams: &Hparams) -> Option<u64> {
    match (&folder.sentence_piece, &folder.tokenizer) {
        (Some(model), _) => Some(vocab_size(hparams, model)),
        (None, Some(tokenizer)) => Some(tokenizer.entries + tokenizer.added.len() as u64),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_numbers_are_counted_without_walking_over_them() {
        for n in [0u64, 1, 9, 10, 11, 99, 100, 1234] {
            assert_eq!(digits_below(n), (0..n).map(|i| i.to_string().len() as u64).sum::<u64>(), "{n}");
        }
        assert_eq!([pad_bytes(0), pad_bytes(9), pad_bytes(10)], [6, 6, 7]);
        assert!(digits_below(u64::MAX) > 0);
    }
}
