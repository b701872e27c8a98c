//! `tokenizer.json` of the `tokenizers` library, read as a stream: token texts are kept, within a budget, merges are only measured.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Budget, HeaderReader, JsonReader, JsonToken, limits, python_json};
use crate::source::{Source, read_exact_at};

/// A token that stands beside the model's own vocabulary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddedToken {
    /// Its number.
    pub id: u64,
    /// Its text.
    pub content: String,
    /// Whether it is a control token.
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
    pub normalizer: Value,
    /// `post_processor`.
    pub post_processor: Value,
    /// `decoder.type`.
    pub decoder: Option<String>,
}

/// Memory of a token beside its text: its place in a list that has grown by doubling and is sorted with a second one.
const TOKEN: u64 = 64;

/// Bytes of a part that is kept as a tree; the compiled table in the normalizer of XLM-R has 0.3 MB.
const MAX_PART: u64 = 4 << 20;

impl TokenizerJson {
    /// Reads a whole file; what is kept of it is drawn from the budget.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] where it is no such JSON, [`ErrorKind::Limit`] where more would be kept than the budget allows; I/O
    /// errors as they come.
    pub fn read(source: &dyn Source, budget: &Budget) -> Result<Self> {
        let mut json = JsonReader::new(HeaderReader::new(source, 0, u64::MAX));
        json.set_max_text(MAX_PART);
        let mut reader = Reader { json, source, budget, out: Self::default() };
        reader.file()?;
        let mut out = reader.out;
        out.entries = out.vocab.len() as u64;
        out.vocab.sort_by_key(|(id, _)| *id);
        // Of two tokens of one number the later one stands, as in a Python dict turned around.
        out.vocab.reverse();
        out.vocab.dedup_by_key(|(id, _)| *id);
        out.vocab.reverse();
        Ok(out)
    }

    /// Numbers of the model's own tokens with these texts.
    pub fn ids_of<'t>(&self, texts: impl Iterator<Item = &'t str>) -> HashMap<&'t str, u64> {
        let mut ids: HashMap<&str, Option<u64>> = texts.map(|text| (text, None)).collect();
        if !ids.is_empty() {
            for (id, text) in &self.vocab {
                if let Some(found) = ids.get_mut(&**text) {
                    found.get_or_insert(*id);
                }
            }
        }
        ids.into_iter().filter_map(|(text, id)| Some((text, id?))).collect()
    }
}

struct Reader<'s> {
    json: JsonReader<'s>,
    source: &'s dyn Source,
    budget: &'s Budget,
    out: TokenizerJson,
}

impl Reader<'_> {
    fn file(&mut self) -> Result<()> {
        if self.json.next_token()? != JsonToken::BeginObject {
            return Err(self.json.error("the tokenizer is not a JSON object"));
        }
        while self.json.next_token()? == JsonToken::Key {
            let key = self.json.text().to_owned();
            let first = self.json.next_token()?;
            match (key.as_str(), first) {
                ("model", JsonToken::BeginObject) => self.model()?,
                ("model", _) => return Err(self.json.error("`model` is no object")),
                ("added_tokens", JsonToken::BeginArray) => self.added()?,
                ("added_tokens", JsonToken::Null) => {}
                ("added_tokens", _) => return Err(self.json.error("`added_tokens` is no list")),
                ("normalizer", first) => self.out.normalizer = self.part(first)?,
                ("post_processor", first) => self.out.post_processor = self.part(first)?,
                ("decoder", JsonToken::BeginObject) => self.decoder()?,
                (_, first) => self.json.skip_value(first)?,
            }
        }
        self.json.next_token()?;
        Ok(())
    }

    /// A part as a tree of values.
    fn part(&mut self, first: JsonToken) -> Result<Value> {
        let start = self.json.token_offset();
        self.json.skip_value(first)?;
        let bytes = self.json.offset() - start;
        if bytes > MAX_PART {
            let message = format!("a part of {bytes} bytes, more than the {MAX_PART} that are read of one");
            return Err(Error::new(ErrorKind::Limit, message).at(start));
        }
        let mut text = vec![0; usize::try_from(bytes).unwrap_or(0)];
        read_exact_at(self.source, start, &mut text)?;
        python_json(&text, self.budget)
    }

    fn model(&mut self) -> Result<()> {
        while self.json.next_token()? == JsonToken::Key {
            let key = self.json.text().to_owned();
            let first = self.json.next_token()?;
            match (key.as_str(), first) {
                ("type", _) => self.out.model = self.text(first, "type")?,
                ("byte_fallback", _) => self.out.byte_fallback = self.flag(first, "byte_fallback")?,
                ("ignore_merges", _) => self.out.ignore_merges = self.flag(first, "ignore_merges")?,
                ("vocab", _) => self.vocab(first)?,
                ("merges", _) => self.merges(first)?,
                (_, first) => self.json.skip_value(first)?,
            }
        }
        Ok(())
    }

    /// A map of tokens to numbers, or a list of tokens with scores.
    fn vocab(&mut self, first: JsonToken) -> Result<()> {
        self.out.vocab.clear();
        match first {
            JsonToken::Null => {}
            JsonToken::BeginObject => {
                while self.json.next_token()? == JsonToken::Key {
                    let text = self.token()?;
                    let id = self.number("a token")?;
                    self.out.vocab.push((id, text));
                }
            }
            JsonToken::BeginArray => loop {
                match self.json.next_token()? {
                    JsonToken::EndArray => break,
                    JsonToken::BeginArray => {}
                    _ => return Err(self.json.error("the vocabulary holds something else than tokens with scores")),
                }
                if self.json.next_token()? != JsonToken::String {
                    return Err(self.json.error("the vocabulary holds something else than tokens with scores"));
                }
                let text = self.token()?;
                self.out.vocab.push((self.out.vocab.len() as u64, text));
                if (self.json.next_token()?, self.json.next_token()?) != (JsonToken::Number, JsonToken::EndArray) {
                    return Err(self.json.error("the vocabulary holds something else than tokens with scores"));
                }
            },
            _ => return Err(self.json.error("the vocabulary is neither an object of numbers nor a list of tokens with scores")),
        }
        Ok(())
    }

    /// Takes from the budget.
    fn take(&self, bytes: u64) -> Result<()> {
        if self.budget.take(bytes) {
            return Ok(());
        }
        let most = self.budget.bytes() >> 20;
        let message = format!("more tokens than are kept: they need more than {most} MiB of memory");
        Err(Error::new(ErrorKind::Limit, message).at(self.json.token_offset()))
    }

    /// The text of a token, to be kept.
    fn token(&self) -> Result<Box<str>> {
        let text = self.json.text();
        self.take(TOKEN + text.len() as u64)?;
        Ok(text.into())
    }

    fn number(&mut self, whose: &str) -> Result<u64> {
        let number = (self.json.next_token()? == JsonToken::Number).then(|| self.json.text().parse().ok()).flatten();
        number.ok_or_else(|| self.json.error(format!("the number of {whose} is no whole number")))
    }

    fn text(&mut self, first: JsonToken, name: &str) -> Result<Option<String>> {
        match first {
            JsonToken::Null => Ok(None),
            JsonToken::String if self.json.text().len() as u64 <= limits::MAX_NAME => Ok(Some(self.json.text().to_owned())),
            _ => Err(self.json.error(format!("`{name}` is no name"))),
        }
    }

    fn flag(&mut self, first: JsonToken, name: &str) -> Result<Option<bool>> {
        match first {
            JsonToken::Null => Ok(None),
            JsonToken::Bool(flag) => Ok(Some(flag)),
            _ => Err(self.json.error(format!("`{name}` is neither true nor false"))),
        }
    }

    /// Lengths of merges as they are written; a map of them, as old files have it, is passed over.
    fn merges(&mut self, first: JsonToken) -> Result<()> {
        self.out.merges = Merges::default();
        if first != JsonToken::BeginArray {
            return match first {
                JsonToken::Null | JsonToken::BeginObject => self.json.skip_value(first),
                _ => Err(self.json.error("`merges` is no list")),
            };
        }
        loop {
            let bytes = match self.json.next_token()? {
                JsonToken::EndArray => return Ok(()),
                JsonToken::String => self.json.text().len() as u64,
                JsonToken::BeginArray => self.merge()?,
                _ => return Err(self.json.error("a merge is neither a string nor two of them")),
            };
            self.out.merges.count += 1;
            self.out.merges.bytes += bytes;
        }
    }

    /// A merge in parts: with a space between them, and a space inside of one a byte longer.
    fn merge(&mut self) -> Result<u64> {
        let (mut bytes, mut parts) = (0, 0u64);
        loop {
            match self.json.next_token()? {
                JsonToken::EndArray => return Ok(bytes + parts.saturating_sub(1)),
                JsonToken::String => {
                    let part = self.json.text();
                    bytes += part.len() as u64 + part.bytes().filter(|&b| b == b' ').count() as u64;
                    parts += 1;
                }
                _ => return Err(self.json.error("a merge is neither a string nor two of them")),
            }
        }
    }

    fn added(&mut self) -> Result<()> {
        self.out.added.clear();
        loop {
            match self.json.next_token()? {
                JsonToken::EndArray => return Ok(()),
                JsonToken::BeginObject => {}
                _ => return Err(self.json.error("an added token is no object")),
            }
            self.take(TOKEN)?;
            let mut token = AddedToken::default();
            while self.json.next_token()? == JsonToken::Key {
                match self.json.text() {
                    "id" => token.id = self.number("an added token")?,
                    "content" => {
                        if self.json.next_token()? != JsonToken::String {
                            return Err(self.json.error("the content of an added token is no string"));
                        }
                        token.content = self.token()?.into_string();
                    }
                    "special" => match self.json.next_token()? {
                        JsonToken::Bool(flag) => token.special = flag,
                        _ => return Err(self.json.error("`special` of an added token is neither true nor false")),
                    },
                    _ => {
                        let value = self.json.next_token()?;
                        self.json.skip_value(value)?;
                    }
                }
            }
            self.out.added.push(token);
        }
    }

    fn decoder(&mut self) -> Result<()> {
        while self.json.next_token()? == JsonToken::Key {
            let is_type = self.json.text() == "type";
            let value = self.json.next_token()?;
            if is_type { self.out.decoder = self.text(value, "type")? } else { self.json.skip_value(value)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    fn read(json: &str, bytes: u64) -> Result<TokenizerJson> {
        TokenizerJson::read(&MemorySource::new("tokenizer.json", json.as_bytes().to_vec()), &Budget::new(bytes))
    }

    #[test]
    fn both_forms_of_vocabulary_and_merges() {
        let json = r#"{"model": {"type": "BPE", "vocab": {"b": 1, "a": 0}, "merges": [["a", "b c"], ["\n", "d"]]},
            "added_tokens": [{"id": 2, "content": "<s>", "special": true, "lstrip": [{}]}], "decoder": {"type": "ByteLevel"},
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}, "post_processor": null, "x": {"vocab": 1}}"#;
        let found = read(json, 10_000).unwrap();
        assert_eq!(found.vocab.iter().map(|(i, t)| (*i, &**t)).collect::<Vec<_>>(), [(0, "a"), (1, "b")]);
        // The space inside "b c" becomes two bytes.
        assert_eq!(found.merges, Merges { count: 2, bytes: (1 + 1 + 4) + (1 + 1 + 1) });
        assert_eq!(found.added, [AddedToken { id: 2, content: "<s>".to_owned(), special: true }]);
        assert_eq!((found.model.as_deref(), found.decoder.as_deref()), (Some("BPE"), Some("ByteLevel")));
        assert_eq!(found.normalizer["normalizers"][0]["type"], "Lowercase");
        let old = r#"{"model": {"vocab": [["<unk>", 0.0], ["x", -1.5]], "merges": ["a b"], "byte_fallback": true}}"#;
        let found = read(old, 1000).unwrap();
        assert_eq!((found.entries, found.merges, found.byte_fallback), (2, Merges { count: 1, bytes: 3 }, Some(true)));
        let twice = read(r#"{"model": {"vocab": {"a": 0, "b": 0, "c": 1}}}"#, 1000).unwrap();
        assert_eq!(twice.ids_of(["b", "x", "c"].into_iter()), HashMap::from([("b", 0), ("c", 1)]));
        assert_eq!((twice.entries, twice.vocab.len(), &*twice.vocab[0].1), (3, 2, "b"));
    }

    #[test]
    fn what_is_no_tokenizer_is_refused() {
        for json in [
            r#"{"model": {"vocab": {"a": -1}}}"#,
            r#"{"model": {"vocab": {"a": 1.5}}}"#,
            r#"{"model": {"vocab": [["a"]]}}"#,
            r#"{"model": {"vocab": "a"}}"#,
            r#"{"model": {"merges": [1]}}"#,
            r#"{"model": null}"#,
            r#"{"added_tokens": [1]}"#,
            r#"{"added_tokens": [{"id": "1"}]}"#,
            "[]",
            r#"{"model": {}"#,
        ] {
            assert_eq!(read(json, 10_000).unwrap_err().kind(), ErrorKind::Malformed, "{json}");
        }
    }

    #[test]
    fn tokens_beyond_the_budget_are_refused() {
        let vocab: String = (0..1000).map(|i| format!("\"{i}\":{i},")).collect();
        let model = format!(r#"{{"model": {{"vocab": {{{vocab}"x":1000}}}}}}"#);
        let added = format!(r#"{{"added_tokens": [{}{{}}]}}"#, "{},".repeat(1000));
        for json in [model, added] {
            assert!(read(&json, 70_000).is_ok());
            assert_eq!(read(&json, 60_000).unwrap_err().kind(), ErrorKind::Limit);
        }
        let part = format!(r#"{{"normalizer": [{}0]}}"#, "{\"\":0},".repeat(1000));
        assert_eq!(read(&part, 500_000).unwrap_err().kind(), ErrorKind::Limit);
        let long = format!(r#"{{"normalizer": "{}"}}"#, "x".repeat(5 << 20));
        assert_eq!(read(&long, 50_000_000).unwrap_err().kind(), ErrorKind::Limit);
    }
}
