//! The tokens of a vocabulary as the converter counts them, and the keys that all tokenizers share.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys::Keys;
use super::stop::Stop;
use crate::checkpoint::HfFolder;

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
    /// Makes room for the given number of tokens; their numbers have 32 bits.
    pub(super) fn new(size: u64) -> Result<Self, Stop> {
        if size > u64::from(u32::MAX) {
            return Err(Stop::new(format!("vocab_size is {size}: the converter cannot hold so many tokens")));
        }
        Ok(Self { size, known: BTreeMap::new() })
    }

    /// Sets the length of a token; numbers beyond the size are passed over.
    pub(super) fn set(&mut self, id: u64, bytes: u64) {
        if id < self.size {
            self.known.insert(id, bytes);
        }
    }

    /// Adds the keys of texts, types and, where there are any, scores.
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

/// Bytes of a token in which the mark of a word, U+2581, becomes a space.
pub(super) fn without_word_marks(text: &str) -> u64 {
    text.len() as u64 - 2 * text.matches('\u{2581}').count() as u64
}

/// Whether a token is a control token by its text, whatever the files say of it.
pub(super) fn looks_special(text: &str) -> bool {
    let between = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    matches!(text, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || between("<|", "|>")
        || between("<\u{ff5c}", "\u{ff5c}>")
        || between("<unused", ">")
}

/// Adds the keys of the tokenizer's model and pre-tokenizer.
pub(super) fn header(keys: &mut Keys, model: &str, pre: Option<&str>) {
    keys.text("tokenizer.ggml.model", model.len() as u64);
    keys.text("tokenizer.ggml.pre", pre.map_or(LIKELY_PRE, |p| p.len() as u64));
}

/// Returns a file of the folder, or stops where it is missing.
pub(super) fn needs<'f, T>(file: &'f Option<T>, name: &str) -> Result<&'f T, Stop> {
    file.as_ref().ok_or_else(|| Stop::new(format!("there is no {name}: the converter stops")))
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
