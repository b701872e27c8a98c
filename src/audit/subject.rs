//! What the checks look at: the checkpoint, the folder around it, and the small text files in it, each read once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::checkpoint::{Checkpoint, CheckpointFile, FoundFile, Tensor, is_shard_index};
use crate::error::{Error, ErrorKind};
use crate::format::{BYTE_ORDER_MARK, Budget, Container, limits, python_json, python_json_members, python_json_past_mark};
use crate::scan::{ScanOutcome, Selection, TensorOutcome};
use crate::source::FileSource;
use crate::stats::TensorStats;
use crate::text::escape_limited;

use super::bounds::Bounds;
use super::finding::{Code, Finding};
use super::raw_json::unescaped;
use super::template::suspicious;

/// What the checks look for in any JSON file, at any depth.
const MEMBERS: &[&str] = &["auto_map", "auto_mapping", "chat_template", "custom_generate", "custom_pipelines"];
/// JSON files that checks look at whole.
const WHOLE: &[&str] =
    &["config.json", "generation_config.json", "model_index.json", "modules.json", "params.json", "router_config.json"];

/// A small text file of the folder, as it was read.
pub(crate) struct TextFile {
    /// Relative to the folder, with `/`.
    pub(crate) name: String,
    /// Bytes that were read of it.
    pub(crate) bytes: u64,
    /// Its text, bytes that are no UTF-8 being U+FFFD; none is kept of JSON.
    pub(crate) text: String,
    /// Its value, for JSON of [`WHOLE`].
    pub(crate) json: Option<Value>,
    /// The [`MEMBERS`] of JSON, in their order.
    pub(crate) members: Vec<(String, Value)>,
    /// What its text holds of them where it is no JSON to us.
    pub(crate) in_raw_text: Vec<&'static str>,
    /// A suspicious construct of a template in such a text, and the text around it; not escaped.
    pub(crate) raw_template: Option<(&'static str, String)>,
    /// Why it could not be read or is no JSON; escaped.
    pub(crate) error: Option<String>,
    /// Where strict parsers stop although Python reads it; escaped.
    pub(crate) not_strict: Option<String>,
    /// Whether JSON begins with a byte order mark.
    pub(crate) byte_order_mark: bool,
    /// The bound that kept it, or part of it, from being looked at; escaped.
    pub(crate) over_limit: Option<String>,
}

impl TextFile {
    /// File name without folders.
    pub(crate) fn base(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Whether loaders go by it: a configuration or a template, by its name.
    pub(crate) fn is_configuration(&self) -> bool {
        let base = self.base();
        base.contains("config")
            || base == "params.json"
            || base.starts_with("model_index")
            || base.contains("template")
            || base.contains(".jinja")
    }
}

/// How many files were hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Hashed {
    /// Files whose SHA-256 was compared with the stated one.
    pub files: u64,
    /// Bytes that were read for it.
    pub bytes: u64,
    /// Files of which the cache states no SHA-256, small ones mostly.
    pub unstated: u64,
}

/// Everything that the checks look at.
pub(crate) struct Subject<'a> {
    /// The path that was asked for.
    pub(crate) path: &'a Path,
    /// The checkpoint; `None` where it could not be opened.
    pub(crate) checkpoint: Option<&'a Checkpoint>,
    /// Why nothing could be opened.
    pub(crate) failure: Option<&'a Error>,
    /// Configs, templates and model cards.
    pub(crate) texts: Vec<TextFile>,
    /// Plain texts whose bytes a check saw, and how many of them were read.
    seen_texts: RefCell<BTreeMap<String, u64>>,
    /// What failed while the checks read files of their own.
    failures: RefCell<Vec<Error>>,
    /// The scan, where one was asked for.
    pub(crate) values: Option<(&'a Selection, &'a ScanOutcome)>,
    /// Bounds that the checkpoint must keep.
    pub(crate) bounds: Bounds,
    /// Whether the bytes of files are to be hashed.
    pub(crate) verify_hashes: bool,
    /// What was hashed; `None` while nothing was asked for.
    pub(crate) hashed: Cell<Option<Hashed>>,
}

impl<'a> Subject<'a> {
    /// Gathers what the checks need, and reads the small text files.
    pub(crate) fn new(path: &'a Path, opened: &'a Result<Checkpoint, Error>, bounds: Bounds) -> Self {
        let checkpoint = opened.as_ref().ok();
        let mut subject = Self {
            path,
            checkpoint,
            failure: opened.as_ref().err(),
            texts: Vec::new(),
            seen_texts: RefCell::default(),
            failures: RefCell::default(),
            values: None,
            bounds,
            verify_hashes: false,
            hashed: Cell::new(None),
        };
        subject.read_texts();
        subject
    }

    /// The files whose headers were read.
    pub(crate) fn files(&self) -> &'a [CheckpointFile] {
        self.checkpoint.map_or(&[], |c| &c.files)
    }

    /// Names and headers of the files that were read.
    pub(crate) fn containers(&self) -> impl Iterator<Item = (&'a str, &'a Container)> + use<'a> {
        self.files().iter().map(|f| (f.name.as_str(), &f.container))
    }

    /// The tensors whose values were scanned, with what was found in them.
    pub(crate) fn scanned(&self) -> impl Iterator<Item = (Tensor<'a>, &'a TensorOutcome, &'a TensorStats)> + use<'a> {
        let checkpoint = self.checkpoint;
        let files = self.values.into_iter().flat_map(|(selection, outcome)| outcome.files.iter().zip(&selection.order));
        let pairs = files.filter(|(file, _)| file.error.is_none()).flat_map(|(file, order)| file.tensors.iter().zip(order));
        pairs.filter_map(move |(found, &place)| Some((checkpoint?.tensor(place)?, found, found.stats.as_ref()?)))
    }

    /// A finding about a tensor, with its place.
    pub(crate) fn about(&self, row: &Code, tensor: &Tensor<'_>, message: String) -> Finding {
        let finding = Finding::new(row, message).tensor(tensor.name()).offset(Some(tensor.info.offset));
        match self.files().get(tensor.file) {
            Some(file) => finding.file(&file.name),
            None => finding,
        }
    }

    /// Every file that was seen.
    pub(crate) fn listed(&self) -> &'a [FoundFile] {
        self.checkpoint.map_or(&[], |c| &c.listing.files)
    }

    /// Names and paths of every file that was seen; where the one asked for could not be opened, that one.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (String, &'a Path)> {
        let listed = self.listed().iter().map(|f| (f.name.clone(), f.path.as_path()));
        let alone = self.failure.and_then(|e| e.path()).filter(|p| p.is_file()).map(|p| (self.name_of(p), p));
        listed.chain(alone)
    }

    /// What could not be read or is not there.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &'a Error> + use<'a> {
        let problems: &[Error] = self.checkpoint.map_or(&[], |c| &c.problems);
        problems.iter().chain(self.failure)
    }

    /// A path as findings name it: relative to the folder, or its last part.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        let root = self.checkpoint.map(|c| c.listing.root.as_path()).filter(|r| !r.as_os_str().is_empty());
        let relative = root.and_then(|root| path.strip_prefix(root).ok()).filter(|p| !p.as_os_str().is_empty());
        let shown = relative.map(PathBuf::from).or_else(|| path.file_name().map(PathBuf::from));
        shown.unwrap_or_else(|| path.to_path_buf()).to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
    }

    /// Looks into a file; `None` where that fails. That the system fails a read, or the file changed meanwhile, is kept and told in
    /// the end; that the content is not what `work` makes sense of is its own affair.
    pub(crate) fn look<T>(&self, path: &Path, work: impl FnOnce(&FileSource) -> Result<T, Error>) -> Option<T> {
        let listed = self.checkpoint.and_then(|c| c.listing.find(path));
        match listed
            .map_or_else(|| FileSource::open(path), FoundFile::open)
            .and_then(|source| source.read_whole(|source| Ok(work(source))))
        {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) if error.kind() != ErrorKind::Io => None,
            Ok(Err(error)) | Err(error) => {
                self.failed(error);
                None
            }
        }
    }

    /// Notes a file that is a text to its end, or as far as texts are read.
    pub(crate) fn saw_text(&self, name: &str, bytes: u64) {
        self.seen_texts.borrow_mut().insert(name.to_owned(), bytes);
    }

    /// Texts that were seen, and how many bytes were read of each.
    pub(crate) fn seen_texts(&self) -> BTreeMap<String, u64> {
        self.seen_texts.borrow().clone()
    }

    /// Keeps a failure of the system, to be told in the end.
    pub(crate) fn failed(&self, error: Error) {
        self.failures.borrow_mut().push(error);
    }

    /// Whether anything failed that [`Subject::look`] looked into.
    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.borrow().is_empty()
    }

    /// What failed, once for each file that is not told as a problem already.
    pub(crate) fn failures(&self) -> Vec<Error> {
        let mut told: HashSet<PathBuf> = self.problems().filter_map(|e| e.path().map(Path::to_path_buf)).collect();
        let failures = self.failures.borrow();
        failures.iter().filter(|e| e.path().is_none_or(|path| told.insert(path.to_path_buf()))).cloned().collect()
    }

    /// Whether a shard index of PyTorch, or of another framework that has one, names the file.
    pub(crate) fn is_indexed(&self, name: &str) -> bool {
        self.checkpoint.is_some_and(|c| c.listing.indexed.contains(name))
    }

    /// Whether such an index names a file in a folder.
    pub(crate) fn is_indexed_below(&self, folder: &str) -> bool {
        let inside = |name: &String| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        self.checkpoint.is_some_and(|c| c.listing.indexed.iter().any(inside))
    }

    /// Whether a folder was asked for.
    pub(crate) fn is_folder(&self) -> bool {
        self.path.is_dir()
    }

    fn read_texts(&mut self) {
        let Some(checkpoint) = self.checkpoint else { return };
        let budget = Budget::new(limits::MAX_AUDITED_TEXTS);
        for file in checkpoint.listing.files.iter().filter(|f| is_text(&f.name)) {
            let text = self.read_text(file, &budget);
            self.texts.push(text);
        }
    }

    fn read_text(&self, file: &FoundFile, budget: &Budget) -> TextFile {
        let mut out = TextFile {
            name: file.name.clone(),
            bytes: 0,
            text: String::new(),
            json: None,
            members: Vec::new(),
            in_raw_text: Vec::new(),
            raw_template: None,
            error: None,
            not_strict: None,
            byte_order_mark: false,
            over_limit: None,
        };
        let bytes = match file.read_small(limits::MAX_CONFIG) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::Limit => {
                out.over_limit = Some(e.message().to_owned());
                return out;
            }
            Err(e) => {
                out.error = Some(e.message().to_owned());
                self.failed(e);
                return out;
            }
        };
        out.bytes = bytes.len() as u64;
        if out.name.to_ascii_lowercase().ends_with(".json") {
            out.parse(&bytes, budget);
        } else if budget.take(out.bytes) {
            out.text = match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
            };
        } else {
            out.over_limit = Some(format!("all texts together are more than the {} MiB that are kept", budget.bytes() >> 20));
        }
        out
    }
}

impl TextFile {
    fn parse(&mut self, bytes: &[u8], budget: &Budget) {
        self.byte_order_mark = bytes.starts_with(BYTE_ORDER_MARK);
        let whole = WHOLE.contains(&self.base()).then(|| python_json(bytes, budget));
        let read = match whole {
            Some(Ok(value)) => {
                self.members = members_of(&value);
                self.json = Some(value);
                Ok(())
            }
            Some(Err(error)) if error.kind() != ErrorKind::Limit => Err(error),
            other => {
                self.over_limit = other.and_then(Result::err).map(|e| e.message().to_owned());
                python_json_members(bytes, MEMBERS, budget).map(|members| self.members = members)
            }
        };
        match read {
            Ok(()) => {
                let strict = serde_json::from_slice::<serde::de::IgnoredAny>(bytes);
                self.not_strict = strict.err().map(|e| escape_limited(&e.to_string(), 120));
            }
            Err(error) if error.kind() == ErrorKind::Limit => self.over_limit = Some(error.message().to_owned()),
            Err(error) => {
                self.error = Some(error.message().to_owned());
                self.search(bytes);
                // Figures are read past a byte order mark, and so they are looked at.
                if self.byte_order_mark && self.base() == "config.json" {
                    self.json = python_json_past_mark(bytes, budget).ok().map(|(value, _)| value);
                    self.members = self.json.as_ref().map(members_of).unwrap_or_default();
                }
            }
        }
    }

    /// Looks into a text that is no JSON to us: a loader may be of another opinion.
    fn search(&mut self, bytes: &[u8]) {
        let text = unescaped(&String::from_utf8_lossy(bytes));
        self.in_raw_text = MEMBERS.iter().copied().filter(|name| text.contains(&format!("\"{name}\""))).collect();
        self.raw_template = suspicious(&text).map(|(what, block)| (what, block.chars().take(200).collect()));
    }
}

/// The [`MEMBERS`] of a value, at any depth.
fn members_of(value: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(list) => left.extend(list.iter().rev()),
            Value::Object(map) => {
                let wanted = |name: &str| MEMBERS.contains(&name);
                found.extend(map.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (name.clone(), value.clone())));
                left.extend(map.iter().filter(|(name, _)| !wanted(name)).map(|(_, value)| value));
            }
            _ => {}
        }
    }
    found
}

/// Configs, templates and cards by their endings. Vocabularies and indexes have readers of their own.
fn is_text(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    if is_shard_index(&base) || matches!(base.as_str(), "tokenizer.json" | "vocab.json" | "tokenizer.model") {
        return false;
    }
    base.ends_with(".json") || base.ends_with(".jinja") || base.ends_with(".jinja2") || base == "readme.md"
}

/// Text that no loader acts on, by its name.
pub(crate) fn is_plain_text(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let (stem, extension) = base.rsplit_once('.').unwrap_or((&base, ""));
    matches!(extension, "md" | "txt" | "gitattributes" | "gitignore")
        || matches!(stem, "license" | "licence" | "notice" | "readme")
        || matches!(base.as_str(), "tokenizer.json")
}
