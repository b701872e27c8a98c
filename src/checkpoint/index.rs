//! The shard index `*.safetensors.index.json`: which file holds which tensor.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::boundary::FoundFile;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{BYTE_ORDER_MARK, Content, HeaderReader, JsonReader, JsonToken, limits, not_a_checkpoint, sniff};
use crate::source::Source;
use crate::text::escape_limited;

/// What an index lists the shards of: the ending before `.index` in its name.
const INDEXED: [&str; 6] = ["safetensors", "bin", "h5", "msgpack", "pt", "pth"];

/// Whether a file name is that of a shard index of any framework, also of a variant: `model.safetensors.index.fp16.json` is what transformers
/// makes of the variant `fp16`. Where file names have no case, loaders find other spellings as well.
pub(crate) fn is_shard_index(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let Some(stem) = base.strip_suffix(".json") else { return false };
    let (indexed, variant) = stem.rsplit_once(".index").unwrap_or(("", "x"));
    let weights = || indexed.rsplit_once('.').is_some_and(|(_, ending)| INDEXED.contains(&ending));
    stem.ends_with(".index") || (variant.starts_with('.') && !variant[1..].contains('.') && weights())
}

/// A total that an index states, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedTotal {
    /// As written, without quotes; cut to 80 characters.
    pub text: String,
    /// Whether it is written as text instead of a number.
    pub quoted: bool,
    /// Its value, where it is a whole number of 64 bits (older transformers write it as a float).
    pub value: Option<u64>,
}

/// What an index says, read as a stream: tensor names are counted, not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIndex {
    /// Where it is.
    pub path: PathBuf,
    /// `metadata.total_size`: bytes of all tensors.
    pub total_size: Option<StatedTotal>,
    /// `metadata.total_parameters`, which newer transformers write.
    pub total_parameters: Option<StatedTotal>,
    /// Tensors that it names.
    pub tensors: u64,
    /// Files it names, with how many tensors each is to hold, in name order.
    pub files: BTreeMap<String, u64>,
    /// Whether the text begins with a byte order mark, at which strict readers stop.
    pub byte_order_mark: bool,
    /// Whether it was made of another save: none of its files is here, and the tensors it names stand in other files.
    pub of_another_save: bool,
    /// The file, to be read again; `None` for one that was read from memory.
    file: Option<FoundFile>,
}

/// Takes the tensors of an index one by one: tensor name, file name.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&str, &str);

impl ShardIndex {
    /// Reads an index.
    pub(super) fn read(file: &FoundFile) -> Result<Self> {
        let index = Self::read_with(file, &mut |_, _| {})?;
        Ok(Self { file: Some(file.clone()), ..index })
    }

    /// Reads it again and gives every tensor of it to `visit`.
    pub(super) fn visit(&self, visit: Visit<'_>) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| Self::read_with(file, visit).map(drop))
    }

    fn read_with(file: &FoundFile, visit: Visit<'_>) -> Result<Self> {
        let (source, path) = (file.open()?, &file.path);
        if source.len() > limits::MAX_INDEX {
            let message = format!("a shard index of {} bytes, more than the {} that are read", source.len(), limits::MAX_INDEX);
            return Err(Error::new(ErrorKind::Limit, message).with_path(path));
        }
        source.read_whole(|source| match sniff(source)? {
            Content::Json | Content::Unknown => Self::parse(source, visit).map_err(|e| e.with_path(path)),
            other => Err(not_a_checkpoint(source, &other)),
        })
    }

    fn parse(source: &dyn Source, visit: Visit<'_>) -> Result<Self> {
        let mut head = [0; 3];
        let byte_order_mark = source.read_at(0, &mut head)? == 3 && head == BYTE_ORDER_MARK;
        let mut json = JsonReader::python(HeaderReader::new(source, if byte_order_mark { 3 } else { 0 }, u64::MAX));
        let mut index = Self {
            path: source.path().to_path_buf(),
            total_size: None,
            total_parameters: None,
            tensors: 0,
            files: BTreeMap::new(),
            byte_order_mark,
            of_another_save: false,
            file: None,
        };
        if json.next_token()? != JsonToken::BeginObject {
            return Err(json.error("the shard index is not a JSON object"));
        }
        let mut has_map = false;
        while json.next_token()? == JsonToken::Key {
            match json.text() {
                "weight_map" => {
                    index.weight_map(&mut json, visit)?;
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

    fn weight_map(&mut self, json: &mut JsonReader<'_>, visit: Visit<'_>) -> Result<()> {
        if json.next_token()? != JsonToken::BeginObject {
            return Err(json.error("`weight_map` is not a map of tensor names to file names"));
        }
        let mut tensor = String::new();
        while json.next_token()? == JsonToken::Key {
            self.tensors += 1;
            tensor.clear();
            tensor.push_str(json.text());
            if json.next_token()? != JsonToken::String {
                return Err(json.error("`weight_map` holds something else than file names"));
            }
            let file = plain(json.text());
            visit(&tensor, &file);
            if let Some(count) = self.files.get_mut(&*file) {
                *count += 1;
            } else if self.files.len() < limits::MAX_FILES {
                self.files.insert(file.into_owned(), 1);
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
            let is_size = json.text() == "total_size";
            let is_parameters = json.text() == "total_parameters";
            let value = json.next_token()?;
            if matches!(value, JsonToken::Number | JsonToken::String) && (is_size || is_parameters) {
                let text = json.text();
                let total = StatedTotal {
                    text: escape_limited(text, 80),
                    quoted: value == JsonToken::String,
                    value: text.parse::<u64>().ok().or_else(|| whole_float(text)),
                };
                *(if is_size { &mut self.total_size } else { &mut self.total_parameters }) = Some(total);
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
            match unsound(name) {
                None => paths.push((name.clone(), folder.join(name))),
                Some(why) => {
                    let message = format!("the index names the file `{}`, {why}; it is not opened", escape_limited(name, 80));
                    problems.push(Error::new(ErrorKind::OutsideFolder, message).with_path(&self.path));
                }
            }
        }
        (paths, problems)
    }
}

fn whole_float(text: &str) -> Option<u64> {
    let x: f64 = text.parse().ok()?;
    (x >= 0.0 && x < 2f64.powi(53) && x.fract() == 0.0).then_some(x as u64)
}

/// A path as `os.path.join` and the system take it: `./a` and `sub//a` name the same files as `a` and `sub/a`.
fn plain(name: &str) -> Cow<'_, str> {
    let idle = |part: &str| part.is_empty() || part == ".";
    if name.starts_with('/') || name.ends_with('/') || !name.split('/').any(idle) {
        return Cow::Borrowed(name);
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !idle(part)).collect();
    if parts.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(parts.join("/")) }
}

/// Why a file name of an index is not opened: it could lead out of the folder, whichever separator it is read with.
fn unsound(name: &str) -> Option<&'static str> {
    let mut parts = name.split(['/', '\\']);
    if name.is_empty() {
        Some("an empty name")
    } else if name.contains('\0') {
        Some("a name with a NUL in it")
    } else if name.starts_with(['/', '\\']) {
        Some("an absolute path, which leads outside the folder")
    } else if name.contains(':') {
        Some("a drive or URL, which leads outside the folder")
    } else if parts.clone().any(|part| part == "..") {
        Some("a path that leads outside the folder through `..`")
    } else if parts.all(|part| part == ".") {
        Some("the directory itself and not a file")
    } else if name.split(['/', '\\']).any(|part| part.is_empty() || part == ".") {
        Some("a path that is not plain")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    fn parse(text: &str) -> Result<ShardIndex> {
        ShardIndex::parse(&MemorySource::new("dir/model.safetensors.index.json", text.as_bytes().to_vec()), &mut |_, _| {})
    }

    #[test]
    fn counts_tensors_per_file_and_reads_the_total_in_every_spelling() {
        for total in ["123", "123.0", "\"123\""] {
            let index =
                parse(&format!(r#"{{"metadata":{{"x":[1,{{}}],"total_size":{total}}},"weight_map":{{"a":"1","b":"2","c":"1"}}}}"#))
                    .unwrap();
            assert_eq!((index.total_size.unwrap().value, index.tensors), (Some(123), 3));
            assert_eq!(index.files.into_iter().collect::<Vec<_>>(), [("1".to_owned(), 2), ("2".to_owned(), 1)]);
        }
        assert!(parse(r#"{"metadata":{}}"#).unwrap_err().to_string().contains("weight_map"));
    }

    #[test]
    fn names_of_indexes_and_of_their_variants() {
        for name in
            ["model.safetensors.index.json", "a/pytorch_model.bin.index.fp16.json", "TF_MODEL.H5.INDEX.JSON", "x.index.json"]
        {
            assert!(is_shard_index(name), "{name}");
        }
        for name in
            ["index.json", "model_index.json", "docs.index.en.json", "model.safetensors.index.a.b.json", "model.bin.indexes.json"]
        {
            assert!(!is_shard_index(name), "{name}");
        }
    }

    #[test]
    fn paths_that_name_the_same_file_are_one() {
        let text = r#"{"weight_map":{"a":"./x","b":"x","c":"sub/./y","d":".//sub//y","e":"./../x","f":"./","g":"."}}"#;
        let index = parse(text).unwrap();
        let counted: Vec<(&str, u64)> = index.files.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(counted, [(".", 1), ("../x", 1), ("./", 1), ("sub/y", 2), ("x", 2)]);
        assert_eq!(index.paths().1.len(), 3);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let text = r#"{"weight_map":{"a":"../x","b":"/etc/passwd","c":"C:\\x","d":"a/../../b","e":"..\\x","f":"ok.safetensors","g":"sub/ok.safetensors","h":""}}"#;
        let (paths, problems) = parse(text).unwrap().paths();
        assert_eq!(paths.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["ok.safetensors", "sub/ok.safetensors"]);
        assert_eq!(problems.len(), 6);
    }
}
