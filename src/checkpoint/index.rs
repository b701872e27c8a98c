//! The shard index `*.safetensors.index.json`: which file holds which tensor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::format::{HeaderReader, JsonReader, JsonToken, limits};
use crate::source::{FileSource, Source};
use crate::text::escape_limited;

/// What an index says, read as a stream: tensor names are counted, not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShardIndex {
    /// Where it is.
    pub(super) path: PathBuf,
    /// `metadata.total_size`: bytes of all tensors.
    pub(super) total_size: Option<u64>,
    /// Tensors that it names.
    pub(super) tensors: u64,
    /// Files it names, with how many tensors each is to hold, in name order.
    pub(super) files: BTreeMap<String, u64>,
}

impl ShardIndex {
    /// Reads an index.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let source = FileSource::open(path)?;
        if source.len() > limits::MAX_INDEX {
            let message = format!("a shard index of {} bytes, more than the {} that are read", source.len(), limits::MAX_INDEX);
            return Err(Error::new(ErrorKind::Limit, message).with_path(path));
        }
        Self::parse(&source).map_err(|e| e.with_path(path))
    }

    fn parse(source: &dyn Source) -> Result<Self> {
        let mut json = JsonReader::new(HeaderReader::new(source, 0, u64::MAX));
        let mut index = Self { path: source.path().to_path_buf(), total_size: None, tensors: 0, files: BTreeMap::new() };
        if json.next_token()? != JsonToken::BeginObject {
            return Err(json.error("the shard index is not a JSON object"));
        }
        let mut has_map = false;
        while json.next_token()? == JsonToken::Key {
            match json.text() {
                "weight_map" => {
                    index.weight_map(&mut json)?;
                    has_map = true;
                }
                "metadata" => index.metadata(&mut json)?,
                _ => {
                    let value = json.next_token()?;
                    json.skip_value(value)?;
                }
            }
        }
        json.next_token()?;
        if !has_map {
            return Err(json.error("the shard index has no `weight_map`"));
        }
        Ok(index)
    }

    fn weight_map(&mut self, json: &mut JsonReader<'_>) -> Result<()> {
        if json.next_token()? != JsonToken::BeginObject {
            return Err(json.error("`weight_map` is not a map of tensor names to file names"));
        }
        while json.next_token()? == JsonToken::Key {
            self.tensors += 1;
            if json.next_token()? != JsonToken::String {
                return Err(json.error("`weight_map` holds something else than file names"));
            }
            if let Some(count) = self.files.get_mut(json.text()) {
                *count += 1;
            } else if self.files.len() < limits::MAX_FILES {
                self.files.insert(json.text().to_owned(), 1);
            } else {
                return Err(json.error(format!("more than {} files in the index", limits::MAX_FILES)));
            }
        }
        Ok(())
    }

    fn metadata(&mut self, json: &mut JsonReader<'_>) -> Result<()> {
        let first = json.next_token()?;
        if first != JsonToken::BeginObject {
            return json.skip_value(first);
        }
        while json.next_token()? == JsonToken::Key {
            let is_total = json.text() == "total_size";
            let value = json.next_token()?;
            if is_total && matches!(value, JsonToken::Number | JsonToken::String) {
                // Written as an integer, as a float (older transformers) and as text.
                self.total_size = json.text().parse::<u64>().ok().or_else(|| whole_float(json.text()));
            }
            json.skip_value(value)?;
        }
        Ok(())
    }

    /// The named files as paths beside the index; names that could lead elsewhere are errors.
    pub(super) fn paths(&self) -> (Vec<(String, PathBuf)>, Vec<Error>) {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let mut paths = Vec::new();
        let mut problems = Vec::new();
        for name in self.files.keys() {
            if is_plain_relative(name) {
                paths.push((name.clone(), folder.join(name)));
            } else {
                let message = format!(
                    "the index names the file `{}`, which could lead out of the folder; it is not opened",
                    escape_limited(name, 80)
                );
                problems.push(Error::new(ErrorKind::WrongContent, message).with_path(&self.path));
            }
        }
        (paths, problems)
    }
}

fn whole_float(text: &str) -> Option<u64> {
    let x: f64 = text.parse().ok()?;
    (x >= 0.0 && x < 2f64.powi(53) && x.fract() == 0.0).then_some(x as u64)
}

/// A relative name whose parts are all plain, whichever separator it is read with.
fn is_plain_relative(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\0', ':'])
        && name.split(['/', '\\']).all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    fn parse(text: &str) -> Result<ShardIndex> {
        ShardIndex::parse(&MemorySource::new("dir/model.safetensors.index.json", text.as_bytes().to_vec()))
    }

    #[test]
    fn counts_tensors_per_file_and_reads_the_total_in_every_spelling() {
        for total in ["123", "123.0", "\"123\""] {
            let index =
                parse(&format!(r#"{{"metadata":{{"x":[1,{{}}],"total_size":{total}}},"weight_map":{{"a":"1","b":"2","c":"1"}}}}"#))
                    .unwrap();
            assert_eq!((index.total_size, index.tensors), (Some(123), 3));
            assert_eq!(index.files.into_iter().collect::<Vec<_>>(), [("1".to_owned(), 2), ("2".to_owned(), 1)]);
        }
        assert!(parse(r#"{"metadata":{}}"#).unwrap_err().to_string().contains("weight_map"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let text = r#"{"weight_map":{"a":"../x","b":"/etc/passwd","c":"C:\\x","d":"a/../../b","e":"..\\x","f":"ok.safetensors","g":"sub/ok.safetensors","h":""}}"#;
        let (paths, problems) = parse(text).unwrap().paths();
        assert_eq!(paths.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["ok.safetensors", "sub/ok.safetensors"]);
        assert_eq!(problems.len(), 6);
    }
}
