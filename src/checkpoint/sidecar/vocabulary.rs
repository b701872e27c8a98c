//! The bounds of a tokenizer.json, read as a stream: how many tokens, and the largest ids.

use crate::checkpoint::FoundFile;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{HeaderReader, JsonReader, JsonToken, limits};
use crate::source::Source;

/// Figures of a tokenizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Entries of the model's own vocabulary.
    pub tokens: u64,
    /// Largest id of the model's own vocabulary.
    pub largest_id: Option<u64>,
    /// Entries of `added_tokens`.
    pub added: u64,
    /// Largest id of `added_tokens`.
    pub largest_added_id: Option<u64>,
}

/// Reads the bounds of a tokenizer.json.
///
/// # Errors
/// When it cannot be read, is no JSON, or is larger than [`limits::MAX_TOKENIZER`].
pub fn read_vocabulary(file: &FoundFile) -> Result<Vocabulary> {
    let (source, path) = (file.open()?, &file.path);
    if source.len() > limits::MAX_TOKENIZER {
        let message = format!("{} bytes, more than the {} that are read of a tokenizer", source.len(), limits::MAX_TOKENIZER);
        return Err(Error::new(ErrorKind::Limit, message).with_path(path));
    }
    source.read_whole(|source| parse(source).map_err(|e| e.with_path(path)))
}

fn parse(source: &dyn Source) -> Result<Vocabulary> {
    let mut json = JsonReader::new(HeaderReader::new(source, 0, u64::MAX));
    let mut out = Vocabulary::default();
    if json.next_token()? != JsonToken::BeginObject {
        return Err(json.error("the tokenizer is not a JSON object"));
    }
    while json.next_token()? == JsonToken::Key {
        let key = json.text().to_owned();
        let first = json.next_token()?;
        match (key.as_str(), first) {
            ("model", JsonToken::BeginObject) => model(&mut json, &mut out)?,
            ("added_tokens", JsonToken::BeginArray) => added(&mut json, &mut out)?,
            _ => json.skip_value(first)?,
        }
    }
    json.next_token()?;
    Ok(out)
}

/// `model.vocab`: a map of tokens to ids (BPE, WordPiece) or a list in the order of ids (Unigram).
fn model(json: &mut JsonReader<'_>, out: &mut Vocabulary) -> Result<()> {
    while json.next_token()? == JsonToken::Key {
        let is_vocab = json.text() == "vocab";
        let first = json.next_token()?;
        match first {
            JsonToken::BeginObject if is_vocab => {
                while json.next_token()? == JsonToken::Key {
                    let value = json.next_token()?;
                    out.tokens += 1;
                    if value == JsonToken::Number {
                        out.largest_id = out.largest_id.max(json.text().parse().ok());
                    }
                    json.skip_value(value)?;
                }
            }
            JsonToken::BeginArray if is_vocab => loop {
                let value = json.next_token()?;
                if value == JsonToken::EndArray {
                    out.largest_id = out.tokens.checked_sub(1);
                    break;
                }
                out.tokens += 1;
                json.skip_value(value)?;
            },
            _ => json.skip_value(first)?,
        }
    }
    Ok(())
}

fn added(json: &mut JsonReader<'_>, out: &mut Vocabulary) -> Result<()> {
    loop {
        match json.next_token()? {
            JsonToken::EndArray => return Ok(()),
            JsonToken::BeginObject => {
                out.added += 1;
                while json.next_token()? == JsonToken::Key {
                    let is_id = json.text() == "id";
                    let value = json.next_token()?;
                    if is_id && value == JsonToken::Number {
                        out.largest_added_id = out.largest_added_id.max(json.text().parse().ok());
                    }
                    json.skip_value(value)?;
                }
            }
            other => json.skip_value(other)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    #[test]
    fn both_forms_of_vocabulary_are_bounded() {
        let read = |text: &str| parse(&MemorySource::new("tokenizer.json", text.as_bytes().to_vec())).unwrap();
        let map = read(r#"{"added_tokens":[{"id":7,"content":"<x>"}],"model":{"vocab":{"a":0,"b":5},"merges":[["a","b"]]}}"#);
        assert_eq!((map.tokens, map.largest_id, map.added, map.largest_added_id), (2, Some(5), 1, Some(7)));
        let list = read(r#"{"model":{"type":"Unigram","vocab":[["a",0.0],["b",-1.5]]}}"#);
        assert_eq!((list.tokens, list.largest_id, list.largest_added_id), (2, Some(1), None));
    }
}
