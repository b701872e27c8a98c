//! The files of a Hugging Face folder that a converter reads beside the weights.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::tokenizer_json::{AddedToken, Merges, TokenizerJson};
use super::{SentencePiece, front_matter, word_list};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::boundary::{Boundary, FoundFile};
use crate::checkpoint::index::ShardIndex;
use crate::error::{Error, ErrorKind};
use crate::format::{Budget, Format, limits, python_json};
use crate::source::Source;
use crate::text::{escape_limited, shown_path};

/// Chat templates in files of their own, by their bytes as text: line ends of Windows count as one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatTemplate {
    /// One.
    One(u64),
    /// `chat_template.jinja` and the further ones beside it, by name.
    Named(Vec<(String, u64)>),
}

/// How a sentence embedding is made of token embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all tokens.
    Mean,
    /// The first token.
    Cls,
    /// The last token.
    Last,
    /// Any other way.
    Other,
}

/// What stands in a Hugging Face folder beside the weights.
#[derive(Debug, Clone, Default)]
pub struct HfFolder {
    /// Its name: part of what a converter writes.
    pub name: String,
    /// `config.json` as it stands there.
    pub config: Map<String, Value>,
    /// The front matter of `README.md`.
    pub card: Option<Map<String, Value>>,
    /// `generation_config.json`.
    pub generation: Option<Map<String, Value>>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<Map<String, Value>>,
    /// `special_tokens_map.json`.
    pub special_tokens: Option<Map<String, Value>>,
    /// `tokenizer.json`.
    pub tokenizer: Option<Arc<TokenizerJson>>,
    /// `vocab.txt`: the tokens of a WordPiece tokenizer.
    pub word_pieces: Option<Vec<Box<str>>>,
    /// `merges.txt`.
    pub merges: Option<Merges>,
    /// `tokenizer.model`.
    pub sentence_piece: Option<SentencePiece>,
    /// `spiece.model`, the older name.
    pub spiece: Option<SentencePiece>,
    /// `added_tokens.json`.
    pub added_tokens: Vec<AddedToken>,
    /// `tekken.json` is there.
    pub has_tekken: bool,
    /// `chat_template.jinja` or `chat_template.json`.
    pub chat_template: Option<ChatTemplate>,
    /// The pooling module that `modules.json` names.
    pub pooling: Option<Pooling>,
    /// `quantization` of `hf_quant_config.json`, and its producer in lower case.
    pub quantization: Option<(Map<String, Value>, String)>,
    /// Name of the pre-tokenizer, where it was given: it is found by running the tokenizer, which is not done here.
    pub pre: Option<String>,
    /// Tensors that a converter reads, as indices of the checkpoint's tensors, in its order: files by name, tensors by name.
    pub order: Vec<u32>,
    /// Why a converter stops at these files; escaped.
    pub refusal: Option<String>,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}

struct Reader<'r> {
    root: &'r Path,
    boundary: Arc<Boundary>,
    /// Memory for trees of values.
    trees: Budget,
    /// Memory for tokens and words.
    words: Budget,
    /// A file is there and could not be read: what it would have added is not known.
    failed: bool,
    refusal: Option<String>,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn find(&self, name: &str) -> Option<FoundFile> {
        self.boundary.find(&self.root.join(name), name.to_owned()).ok()
    }

    /// The bytes of a file; `None` where it is not there, too long or not readable: what it would have added is not known then.
    fn bytes(&mut self, name: &str, limit: u64) -> Option<Vec<u8>> {
        match self.find(name)?.read_small(limit) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.failed = true;
                self.refusal.get_or_insert(error.to_string());
                None
            }
        }
    }

    /// What a file gives, or why it gives nothing: it is no such file, or more than is kept, which says nothing of the file.
    fn given<T>(&mut self, name: &str, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| {
            self.failed |= error.kind() == ErrorKind::Limit;
            self.damaged(name, error.message());
        })
        .ok()
    }

    fn damaged(&mut self, name: &str, reason: &str) {
        let reason = escape_limited(reason, 120);
        self.refusal.get_or_insert(format!("{name} cannot be read: {reason}"));
    }

    fn json(&mut self, name: &str) -> Option<Value> {
        let bytes = self.bytes(name, limits::MAX_CONFIG)?;
        let read = python_json(&bytes, &self.trees);
        self.given(name, read)
    }

    fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.json(name)? {
            Value::Object(map) => Some(map),
            _ => {
                self.damaged(name, "it is no JSON object");
                None
            }
        }
    }

    fn text(&mut self, name: &str, limit: u64) -> Option<String> {
        let bytes = self.bytes(name, limit)?;
        match String::from_utf8(bytes) {
            // Read in text mode: every line end counts as one byte.
            Ok(text) if text.contains('\r') => Some(text.replace("\r\n", "\n").replace('\r', "\n")),
            Ok(text) => Some(text),
            Err(_) => {
                self.damaged(name, "it is no UTF-8");
                None
            }
        }
    }

    fn tokenizer(&mut self) -> Option<Arc<TokenizerJson>> {
        let file = self.find("tokenizer.json")?;
        let source = file.open().and_then(|source| match source.len() {
            0..=limits::MAX_TOKENIZER => Ok(source),
            long => Err(Error::new(ErrorKind::Limit, format!("{long} bytes, more than are read of a tokenizer"))),
        });
        // A file that cannot be read at all is not the same as one that makes no sense.
        let read = source.and_then(|source| source.read_whole(|source| Ok(TokenizerJson::read(source, &self.words))));
        match read {
            Ok(read) => self.given("tokenizer.json", read).map(Arc::new),
            Err(error) => {
                self.failed = true;
                self.refusal.get_or_insert(error.with_path(&file.path).to_string());
                None
            }
        }
    }

    fn sentence_piece(&mut self, name: &str) -> Option<SentencePiece> {
        let bytes = self.bytes(name, limits::MAX_WORDS)?;
        let read = SentencePiece::parse(&bytes, &self.words);
        self.given(name, read)
    }

    fn chat_template(&mut self) -> Option<ChatTemplate> {
        if let Some(text) = self.text("chat_template.jinja", limits::MAX_CONFIG) {
            let more = self.more_templates();
            let one = text.len() as u64;
            return Some(if more.is_empty() {
                ChatTemplate::One(one)
            } else {
                ChatTemplate::Named(std::iter::once(("default".to_owned(), one)).chain(more).collect())
            });
        }
        let json = self.object("chat_template.json")?;
        let template = json.get("chat_template")?.as_str()?;
        Some(ChatTemplate::One(template.len() as u64))
    }

    fn more_templates(&mut self) -> Vec<(String, u64)> {
        let folder = self.root.join("additional_chat_templates");
        // A link to a folder is not looked into.
        let is_folder = std::fs::symlink_metadata(&folder).is_ok_and(|m| m.is_dir());
        let Some(entries) = is_folder.then(|| std::fs::read_dir(&folder).ok()).flatten() else { return Vec::new() };
        let names: Vec<String> =
            entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).filter(|n| n.ends_with(".jinja")).take(100).collect();
        let mut templates = Vec::new();
        for name in names {
            if let Some(text) = self.text(&format!("additional_chat_templates/{name}"), limits::MAX_CONFIG) {
                templates.push((name.trim_end_matches(".jinja").to_owned(), text.len() as u64));
            }
        }
        templates.sort();
        templates
    }

    fn pooling(&mut self) -> Option<Pooling> {
        let modules = self.json("modules.json")?;
        let module = modules.as_array()?.iter().find(|m| m["type"].as_str().is_some_and(|t| t.ends_with("Pooling")))?;
        let folder = module["path"].as_str()?;
        if folder.split(['/', '\\']).any(|part| part == "..") || Path::new(folder).is_absolute() {
            return None;
        }
        let config = self.object(&format!("{folder}/config.json"))?;
        let is = |key: &str| config.get(key).and_then(Value::as_bool) == Some(true);
        Some(match config.get("pooling_mode").and_then(Value::as_str) {
            _ if is("pooling_mode_mean_tokens") => Pooling::Mean,
            _ if is("pooling_mode_cls_token") => Pooling::Cls,
            _ if is("pooling_mode_lasttoken") => Pooling::Last,
            Some("mean") => Pooling::Mean,
            Some("cls") => Pooling::Cls,
            Some("lasttoken") => Pooling::Last,
            _ => Pooling::Other,
        })
    }

    fn word_pieces(&mut self) -> Option<Vec<Box<str>>> {
        let text = self.text("vocab.txt", limits::MAX_WORDS)?;
        let read = word_list::word_pieces(&text, &self.words);
        self.given("vocab.txt", read)
    }

    fn merges(&mut self) -> Option<Merges> {
        Some(word_list::merges(&self.text("merges.txt", limits::MAX_WORDS)?))
    }

    fn card(&mut self) -> Option<Map<String, Value>> {
        // A card that is no UTF-8 stops the converter.
        let bytes = match self.find("README.md")?.read_small(limits::MAX_CONFIG) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Limit => {
                self.notes.push("README.md is longer than is read: what its front matter adds is left out".to_owned());
                return None;
            }
            Err(error) => {
                self.refusal.get_or_insert(error.to_string());
                return None;
            }
        };
        let text = String::from_utf8(bytes).ok()?.replace("\r\n", "\n");
        match front_matter(&text) {
            Ok(card) => card,
            Err(_) => {
                self.notes.push(
                    "the front matter of README.md is YAML of a kind or length that is not read: what it adds is left out"
                        .to_owned(),
                );
                None
            }
        }
    }
}

impl HfFolder {
    /// Reads the folder that the selected weights of a checkpoint lie in; `None` where it holds no config.json, or the weights are
    /// no safetensors files.
    pub fn of(checkpoint: &Checkpoint) -> Option<Self> {
        if checkpoint.format() != Some(Format::Safetensors) {
            return None;
        }
        let selected = checkpoint.selected_files();
        let first = selected.iter().map(|&i| &checkpoint.files[i]).find(|f| is_part(&f.name))?;
        let root =
            first.path.parent().map_or_else(|| Path::new("."), |p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
        let mut folder = Self::read(root)?;
        let (order, unread) = folder.reading_order(checkpoint, root);
        folder.order = order;
        if !unread.is_empty() {
            let names: Vec<String> = unread.iter().take(3).map(|n| escape_limited(n, 60)).collect();
            folder.notes.push(format!("the converter reads {} besides, which is left out here", names.join(", ")));
        }
        Some(folder)
    }

    /// The folder that a configuration stands for, with every tensor it declares and no tokenizer; `None` where the tensors of a
    /// checkpoint are not only declared.
    pub fn declared(checkpoint: &Checkpoint) -> Option<Self> {
        let config = checkpoint.config_json().filter(|_| checkpoint.declared)?.as_object()?.clone();
        let mut order: Vec<(std::borrow::Cow<'_, str>, u32)> = checkpoint.tensors().zip(0..).map(|(t, i)| (t.name(), i)).collect();
        order.sort();
        Some(Self { config, order: order.into_iter().map(|(_, i)| i).collect(), ..Self::default() })
    }

    /// Reads everything but the weights; `None` without a config.json. Where that cannot be read, the refusal says why.
    pub fn read(root: &Path) -> Option<Self> {
        let boundary = Boundary::of(root).ok()?;
        let (trees, words) = (Budget::new(limits::MAX_FOLDER_TREES), Budget::new(limits::MAX_FOLDER_WORDS));
        let mut reader = Reader { root, boundary, trees, words, failed: false, refusal: None, notes: Vec::new() };
        let config = match reader.object("config.json") {
            Some(config) => config,
            // A configuration that is there and cannot be read stops the converter too.
            None if reader.refusal.is_some() => {
                return Some(Self { name: folder_name(root), refusal: reader.refusal, ..Self::default() });
            }
            None => return None,
        };
        let tokenizer = reader.tokenizer();
        let word_pieces = if tokenizer.is_some() { None } else { reader.word_pieces() };
        let merges = if tokenizer.as_ref().is_some_and(|t| t.merges.count > 0) { None } else { reader.merges() };
        let added_tokens = reader.object("added_tokens.json").unwrap_or_default();
        let quantization = reader.object("hf_quant_config.json").map(|map| {
            let object = |key: &str| map.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
            (object("quantization"), object("producer").get("name").and_then(Value::as_str).unwrap_or_default().to_lowercase())
        });
        // The converter takes a damaged generation_config.json for none.
        let damaged_so_far = reader.refusal.clone();
        let generation = reader.object("generation_config.json");
        if !reader.failed {
            reader.refusal = damaged_so_far;
        }
        Some(Self {
            name: folder_name(root),
            config,
            card: reader.card(),
            generation,
            tokenizer_config: reader.object("tokenizer_config.json"),
            special_tokens: reader.object("special_tokens_map.json"),
            tokenizer,
            word_pieces,
            merges,
            sentence_piece: reader.sentence_piece("tokenizer.model"),
            spiece: reader.sentence_piece("spiece.model"),
            added_tokens: added_tokens
                .into_iter()
                .filter_map(|(content, id)| Some(AddedToken { id: id.as_u64()?, content, special: false }))
                .collect(),
            has_tekken: reader.find("tekken.json").is_some(),
            chat_template: reader.chat_template(),
            pooling: reader.pooling(),
            quantization,
            pre: None,
            order: Vec::new(),
            refusal: reader.refusal,
            notes: reader.notes,
        })
    }

    /// Which tensors are read in which order, and which files would be read beside the selected ones.
    fn reading_order(&mut self, checkpoint: &Checkpoint, root: &Path) -> (Vec<u32>, Vec<String>) {
        let selected = checkpoint.selected_files();
        let index_path = root.join("model.safetensors.index.json");
        let found = Boundary::of(root).and_then(|boundary| boundary.find(&index_path, String::new()));
        let index = found.ok().map(|found| ShardIndex::read(&found));
        if let Some(Err(error)) = &index {
            self.refusal.get_or_insert(error.to_string());
        }
        let index = index.and_then(Result::ok);
        let base = |file: usize| {
            let path = &checkpoint.files[file].path;
            (path.parent().unwrap_or(Path::new("")) == root || root == Path::new("."))
                .then(|| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default())
        };
        let is_read = |name: &str| match &index {
            Some(index) => index.files.contains_key(name),
            None => is_part(name),
        };
        let names: Vec<Option<String>> = (0..checkpoint.files.len()).map(|i| base(i).filter(|name| is_read(name))).collect();
        let unread = names.iter().enumerate().filter(|(i, _)| !selected.contains(i)).filter_map(|(_, name)| name.clone()).collect();
        let mut order: Vec<(u32, usize, std::borrow::Cow<'_, str>)> = checkpoint
            .tensors()
            .enumerate()
            .filter(|(_, t)| names[t.file].is_some())
            .map(|(i, t)| (u32::try_from(i).unwrap_or(u32::MAX), t.file, t.name()))
            .collect();
        order.sort_by(|a, b| (&names[a.1], &a.2).cmp(&(&names[b.1], &b.2)));
        if let Some(index) = &index
            && index.tensors != order.len() as u64
        {
            self.refusal.get_or_insert(format!(
                "{} names {} tensors, its files hold {}: the converter stops",
                shown_path(&index_path),
                index.tensors,
                order.len()
            ));
        }
        (order.into_iter().map(|(i, ..)| i).collect(), unread)
    }
}

/// Names of the files that are read without an index.
fn is_part(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    base.starts_with("model") && base.ends_with(".safetensors")
}

/// The folder's own name; of `.` and its like, that of the folder they stand for.
fn folder_name(root: &Path) -> String {
    let real;
    let name = match root.file_name() {
        Some(name) => Some(name),
        None => {
            real = root.canonicalize().unwrap_or_default();
            real.file_name()
        }
    };
    name.map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
