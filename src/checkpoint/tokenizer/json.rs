//! `tokenizer.json` of the `tokenizers` library, read as a stream: token texts are kept, merges are only measured.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A token that stands beside the model's own vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AddedToken {
    /// Its number.
    #[serde(default)]
    pub id: u64,
    /// Its text.
    #[serde(default)]
    pub content: String,
    /// Whether it is a control token.
    #[serde(default)]
    pub special: bool,
}

/// Merges, measured as one string each: the two parts with a space between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merges {
    /// How many.
    pub count: u64,
    /// Bytes of all of them. A space inside a part is written as U+0120, which is one byte longer.
    pub bytes: u64,
}

/// The facts of a `tokenizer.json`.
#[derive(Debug, Clone, Default)]
pub struct TokenizerJson {
    /// `model.type`: BPE, WordPiece, Unigram.
    pub model: Option<String>,
    /// `model.byte_fallback`.
    pub byte_fallback: Option<bool>,
    /// `model.ignore_merges`.
    pub ignore_merges: Option<bool>,
    /// Tokens of the model by number, each number once.
    pub vocab: Vec<(u64, Box<str>)>,
    /// Entries of `model.vocab`.
    pub entries: u64,
    /// `model.merges`.
    pub merges: Merges,
    /// `added_tokens`.
    pub added: Vec<AddedToken>,
    /// `normalizer`.
    pub normalizer: serde_json::Value,
    /// `post_processor`.
    pub post_processor: serde_json::Value,
    /// `decoder.type`.
    pub decoder: Option<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    model: Model,
    #[serde(default)]
    added_tokens: Option<Vec<AddedToken>>,
    #[serde(default)]
    normalizer: serde_json::Value,
    #[serde(default)]
    post_processor: serde_json::Value,
    #[serde(default)]
    decoder: Option<Typed>,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

#[derive(Deserialize, Default)]
struct Model {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    byte_fallback: Option<bool>,
    #[serde(default)]
    ignore_merges: Option<bool>,
    #[serde(default)]
    vocab: Vocab,
    #[serde(default)]
    merges: MergeSum,
}

#[derive(Default)]
struct Vocab(Vec<(u64, Box<str>)>);

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Vocab;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary: an object of numbers, or a list of tokens with scores")
            }
            fn visit_unit<E>(self) -> Result<Vocab, E> {
                Ok(Vocab::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
                let mut vocab = Vec::new();
                while let Some((text, id)) = map.next_entry::<Box<str>, u64>()? {
                    vocab.push((id, text));
                }
                Ok(Vocab(vocab))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vocab, A::Error> {
                let mut vocab = Vec::new();
                while let Some((text, _score)) = seq.next_element::<(Box<str>, f64)>()? {
                    vocab.push((vocab.len() as u64, text));
                }
                Ok(Vocab(vocab))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[derive(Default)]
struct MergeSum(Merges);

/// Length of one merge as it is written.
struct MergeLen(u64);

impl<'de> Deserialize<'de> for MergeLen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = MergeLen;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge: a string or two of them")
            }
            fn visit_str<E>(self, text: &str) -> Result<MergeLen, E> {
                Ok(MergeLen(text.len() as u64))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<MergeLen, A::Error> {
                let mut len = 0;
                let mut parts = 0u64;
                while let Some(part) = seq.next_element::<std::borrow::Cow<'de, str>>()? {
                    len += part.len() as u64 + part.bytes().filter(|&b| b == b' ').count() as u64;
                    parts += 1;
                }
                Ok(MergeLen(len + parts.saturating_sub(1)))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for MergeSum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = MergeSum;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of merges")
            }
            fn visit_unit<E>(self) -> Result<MergeSum, E> {
                Ok(MergeSum::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MergeSum, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(MergeSum::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<MergeSum, A::Error> {
                let mut sum = Merges::default();
                while let Some(MergeLen(len)) = seq.next_element()? {
                    sum.count += 1;
                    sum.bytes += len;
                }
                Ok(MergeSum(sum))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl TokenizerJson {
    /// Reads a whole file.
    ///
    /// # Errors
    /// What the JSON parser finds wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let file: File = serde_json::from_slice(bytes)?;
        let mut vocab = file.model.vocab.0;
        let entries = vocab.len() as u64;
        vocab.sort_by_key(|(id, _)| *id);
        // Of two tokens of one number the later one stands, as in a Python dict turned around.
        vocab.reverse();
        vocab.dedup_by_key(|(id, _)| *id);
        vocab.reverse();
        Ok(Self {
            model: file.model.kind,
            byte_fallback: file.model.byte_fallback,
            ignore_merges: file.model.ignore_merges,
            vocab,
            entries,
            merges: file.model.merges.0,
            added: file.added_tokens.unwrap_or_default(),
            normalizer: file.normalizer,
            post_processor: file.post_processor,
            decoder: file.decoder.and_then(|d| d.kind),
        })
    }

    /// The model's own token of this text.
    pub fn id_of(&self, text: &str) -> Option<u64> {
        self.vocab.iter().find(|(_, t)| &**t == text).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_vocabulary_and_merges() {
        let json = r#"{"model": {"type": "BPE", "vocab": {"b": 1, "a": 0}, "merges": [["a", "b c"], ["\n", "d"]]},
            "added_tokens": [{"id": 2, "content": "<s>", "special": true}], "decoder": {"type": "ByteLevel"}}"#;
        let read = TokenizerJson::parse(json.as_bytes()).unwrap();
        assert_eq!(read.vocab.iter().map(|(i, t)| (*i, &**t)).collect::<Vec<_>>(), [(0, "a"), (1, "b")]);
        // The space inside "b c" becomes two bytes.
        assert_eq!(read.merges, Merges { count: 2, bytes: (1 + 1 + 4) + (1 + 1 + 1) });
        assert_eq!((read.added.len(), read.decoder.as_deref()), (1, Some("ByteLevel")));
        let old = r#"{"model": {"vocab": [["<unk>", 0.0], ["x", -1.5]], "merges": ["a b"]}}"#;
        let read = TokenizerJson::parse(old.as_bytes()).unwrap();
        assert_eq!((read.entries, read.merges), (2, Merges { count: 1, bytes: 3 }));
        assert!(TokenizerJson::parse(br#"{"model": {"vocab": {"a": -1}}}"#).is_err());
    }
}
