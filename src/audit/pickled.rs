//! Where the pickles of a file are: in it, in the members of an archive, behind the header of a numpy file, under compression.
//!
//! The content decides: what an unpickler would do with the bytes from the first on. Names only say how much is to be proved.

use super::archive::{
    Array, Directory, Entry, Stretch, Tarred, array, compression, deflate, directory, gzip, is_tar, members, zlib,
};
use super::pickle::{Allowance, Imports, Sign, imports};
use crate::error::Result;
use crate::format::{Content, sniff};
use crate::source::{MemorySource, Source};
use crate::text::escape_limited;

/// What the name of a file, and what other files say of it, make a loader do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Unpickle it.
    Pickle,
    /// Unpickle it: an index of PyTorch weights names it.
    Indexed,
    /// Unpickle it, among other things that files of this ending are.
    Maybe,
    /// Read a checkpoint without code.
    Checkpoint,
    /// Show it, or read it as text.
    Text,
    /// Nobody knows what.
    Open,
}

/// Endings that are pickles whatever their first bytes are (protocols 0 and 1 have no magic).
#[rustfmt::skip]
const PICKLES: &[&str] = &["pkl", "pickle", "joblib", "pt", "pth", "ckpt", "dill", "pck", "pk", "cpickle", "ptl", "distcp"];
/// Endings that are pickles among other things.
const MAYBE: &[&str] =
    &["bin", "npy", "npz", "tar", "ot", "p", "sav", "pt2", "nemo", "mar", "skops", "model", "th", "t7", "weights", "params"];
/// Endings that are read as text, or shown.
#[rustfmt::skip]
const TEXTS: &[&str] = &[
    "json", "jsonl", "md", "txt", "py", "jinja", "jinja2", "yaml", "yml", "toml", "cfg", "ini", "csv", "tsv", "xml", "html", "css", "js", "sh", "rst", "ipynb",
    "png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "wav", "mp3", "mp4", "gitattributes", "gitignore", "lock", "log",
];
/// Endings of compressed files, behind the ending of what they are.
const COMPRESSIONS: &[&str] = &["gz", "z", "bz2", "xz", "lzma", "zst", "lz4"];
/// Endings that are read without code.
const CHECKPOINTS: &[&str] = &["safetensors", "gguf"];
/// How names of files begin that PyTorch's loaders open by themselves, with the ending `.bin`.
const WEIGHTS: &[&str] = &[
    "pytorch_model",
    "adapter_model",
    "training_args",
    "optimizer",
    "scheduler",
    "diffusion_pytorch_model",
    "pytorch_lora_weights",
    "consolidated",
];

/// Members of an archive that are followed; PyTorch's hold one pickle, or two.
const MAX_PICKLES: usize = 64;
/// Other members that are looked at; PyTorch's tensors, which have numbers for names, are not counted.
const MAX_OTHERS: usize = 1000;
/// Archives inside of archives.
const MAX_DEPTH: u8 = 3;

impl Promise {
    /// What is to be expected of a file by its name, and whether an index of PyTorch weights names it.
    pub(crate) fn of(name: &str, indexed: bool) -> Self {
        let base = base(name).to_ascii_lowercase();
        let mut parts = base.rsplit('.');
        let last = parts.next().unwrap_or_default();
        let ending = if COMPRESSIONS.contains(&last) { parts.next().unwrap_or_default() } else { last };
        let is = |endings: &[&str]| endings.contains(&ending) && base.contains('.');
        if is(CHECKPOINTS) {
            Self::Checkpoint
        } else if is(PICKLES) {
            Self::Pickle
        } else if indexed {
            Self::Indexed
        } else if is(MAYBE) {
            Self::Maybe
        } else if is(TEXTS) || matches!(base.as_str(), "license" | "licence" | "notice" | "readme") {
            Self::Text
        } else {
            Self::Open
        }
    }
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// No unpickler would do anything with it.
    Nothing,
    /// What cannot be looked into, and why.
    Opaque(String),
    /// A pickle, or an archive with one: how it was found.
    Pickle(String),
}

/// What a member of an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// There is a pickle in it.
    Pickle,
    /// It cannot be looked into.
    Closed,
    /// Anything else.
    Other,
}

/// Why a member cannot be looked into.
const CLOSED: &str = "compressed in another way or encrypted, or not where the archive says";

/// The pickles of one file, and what could not be followed.
pub(crate) struct Look<'f> {
    file: &'f str,
    promise: Promise,
    allowance: Allowance,
    others: usize,
    followed: usize,
    /// Which pickle, and what it imports.
    pub(crate) pickles: Vec<(String, Imports)>,
    /// What was not followed, with a byte of the file.
    pub(crate) not_followed: Vec<(String, Option<u64>)>,
}

impl<'f> Look<'f> {
    /// Nothing yet of a file of so many bytes.
    pub(crate) fn new(file: &'f str, promise: Promise, bytes: u64) -> Self {
        let (pickles, not_followed) = (Vec::new(), Vec::new());
        Self { file, promise, allowance: Allowance::of(bytes), others: 0, followed: 0, pickles, not_followed }
    }

    /// Whether a loader of PyTorch's opens the file by its name.
    pub(crate) fn is_weights_by_name(&self) -> bool {
        let base = base(self.file).to_ascii_lowercase();
        base.ends_with(".bin") || base.ends_with(".npy") || (WEIGHTS.iter().any(|w| base.starts_with(w)) && base.contains(".bin"))
    }

    /// Looks into the whole file.
    pub(crate) fn file(&mut self, source: &dyn Source) -> Result<Found> {
        match sniff(source)? {
            Content::Empty | Content::LfsPointer { .. } | Content::Html => Ok(Found::Nothing),
            _ => self.bytes(source, "it", 0),
        }
    }

    fn bytes(&mut self, source: &dyn Source, which: &str, depth: u8) -> Result<Found> {
        let mut head = [0; 4];
        let read = source.read_at(0, &mut head)?;
        // Where something stands before the archive, some programs find it all the same.
        let is_archive = matches!(&head[..read], [b'P', b'K', 3 | 5, ..]);
        let may_begin_later = depth == 0 && matches!(self.promise, Promise::Pickle | Promise::Indexed | Promise::Maybe);
        if is_archive || may_begin_later {
            match directory(source)? {
                Some(directory) if depth < MAX_DEPTH => {
                    let found = self.zip(source, &directory, which, depth)?;
                    if is_archive || found != Found::Nothing {
                        return Ok(found);
                    }
                }
                None if is_archive => return Ok(Found::Opaque(format!("{which} is a zip archive whose directory was not found"))),
                _ if is_archive => return Ok(Found::Opaque(format!("{which} is an archive inside of others"))),
                _ => {}
            }
        }
        if is_tar(source)? {
            return if depth < MAX_DEPTH {
                self.tar(source, which, depth)
            } else {
                Ok(Found::Opaque(format!("{which} is an archive inside of others")))
            };
        }
        match array(source)? {
            None => {}
            Some(Array::Plain) => return Ok(Found::Nothing),
            Some(Array::Unclear) => return Ok(Found::Opaque(format!("{which} is a numpy file whose header makes no sense"))),
            Some(Array::Objects(start)) => {
                self.follow(source, start, which)?;
                return Ok(Found::Pickle("a numpy file of Python objects, which are a pickle".to_owned()));
            }
        }
        let walked = self.walk(source, which)?;
        if walked != Found::Nothing {
            return Ok(walked);
        }
        self.compressed(source, which, depth)
    }

    /// Follows bytes from the first on; what comes of it depends on how much is to be proved.
    fn walk(&mut self, source: &dyn Source, which: &str) -> Result<Found> {
        let imports = imports(source, 0, source.len(), &mut self.allowance)?;
        let is_one = match self.promise {
            Promise::Text => imports.sign == Sign::Call || imports.sign == Sign::Protocol,
            _ => imports.sign > Sign::None,
        };
        if is_one {
            self.pickles.push((which.to_owned(), imports));
            return Ok(Found::Pickle("a pickle by its content".to_owned()));
        }
        if which == "it" && self.promise == Promise::Pickle && compression(source)?.is_none() {
            self.pickles.push((which.to_owned(), imports));
        }
        Ok(Found::Nothing)
    }

    fn follow(&mut self, source: &dyn Source, start: u64, which: &str) -> Result<()> {
        let imports = imports(source, start, source.len(), &mut self.allowance)?;
        self.pickles.push((which.to_owned(), imports));
        Ok(())
    }

    fn compressed(&mut self, source: &dyn Source, which: &str, depth: u8) -> Result<Found> {
        let Some(how) = compression(source)? else { return Ok(Found::Nothing) };
        let most = self.allowance.most_unpacked();
        let unpacked = match how {
            "gzip" => gzip(source, most)?,
            "zlib" => zlib(source, most)?,
            _ => return Ok(Found::Opaque(format!("{which} is compressed ({how}), which is not unpacked here"))),
        };
        self.allowance.unpacked(unpacked.bytes.len());
        if depth == MAX_DEPTH {
            return Ok(Found::Opaque(format!("{which} is compressed inside of archives")));
        }
        let inside = MemorySource::new(source.path(), unpacked.bytes);
        let found = self.bytes(&inside, &format!("what {which} unpacks to"), depth + 1)?;
        Ok(match (found, unpacked.incomplete) {
            (Found::Pickle(what), None) => Found::Pickle(format!("{what}, compressed ({how})")),
            (Found::Pickle(what), Some(why)) => {
                self.not_followed.push((format!("{which} is compressed ({how}): {why}"), None));
                Found::Pickle(format!("{what}, compressed ({how})"))
            }
            (_, Some(why)) => Found::Opaque(format!("{which} is compressed ({how}): {why}")),
            (other, None) => other,
        })
    }

    fn zip(&mut self, source: &dyn Source, directory: &Directory, which: &str, depth: u8) -> Result<Found> {
        let pickles = directory.entries.iter().filter(|e| is_pickle(&e.name));
        let worst = pickles.clone().map(|e| e.size / e.packed.max(1)).max();
        let mut any = worst.is_some();
        let mut left = 0usize;
        for entry in pickles {
            if self.followed == MAX_PICKLES || self.allowance.is_exhausted() {
                left += 1;
                continue;
            }
            self.followed += 1;
            if self.member(source, entry, true, depth)? == Member::Closed {
                let message = format!("{} is {CLOSED}", shown(&entry.name));
                self.not_followed.push((message, None));
            }
        }
        let (mut unseen, mut closed) = (0usize, 0usize);
        for entry in directory.entries.iter().filter(|e| !is_pickle(&e.name) && !is_storage(&e.name)) {
            if self.others == MAX_OTHERS || self.allowance.is_exhausted() {
                unseen += 1;
                continue;
            }
            self.others += 1;
            match self.member(source, entry, false, depth)? {
                Member::Pickle => any = true,
                Member::Closed => closed += 1,
                Member::Other => {}
            }
        }
        if left > 0 {
            let message = format!("{left} more pickles in the archive are not followed: the bound of one file is reached");
            self.not_followed.push((message, None));
        }
        let not_seen = [(unseen, "not looked at: the bound of one file is reached"), (closed, CLOSED)];
        for (count, why) in not_seen.into_iter().filter(|(count, _)| *count > 0) {
            let message = match count {
                1 => format!("1 member of the archive is {why}"),
                _ => format!("{count} members of the archive are {why}"),
            };
            if !any {
                return Ok(Found::Opaque(message));
            }
            self.not_followed.push((message, None));
        }
        if let Some(why) = directory.ambiguous.iter().chain(&directory.incomplete).next() {
            if !any {
                return Ok(Found::Opaque(format!("{which} is a zip archive of which not all is known: {why}")));
            }
            self.not_followed.push((format!("not all of the archive is known: {why}"), None));
        }
        if !any {
            return Ok(Found::Nothing);
        }
        let bomb = worst.filter(|times| *times > 100).map_or_else(String::new, |n| format!(", one that expands {n} times"));
        Ok(Found::Pickle(format!("a zip archive with a pickle in it{bomb}")))
    }

    /// Looks into a member.
    fn member(&mut self, source: &dyn Source, entry: &Entry, named: bool, depth: u8) -> Result<Member> {
        let name = shown(&entry.name);
        let mut unpacked_only_in_part = None;
        let found = if let Some((start, end)) = entry.stored(source)? {
            self.inner(&Stretch::new(source, start, end), &name, named, depth)?
        } else if let Some((start, end)) = entry.deflated(source)? {
            let unpacked = deflate(source, start, end, self.allowance.most_unpacked())?;
            self.allowance.unpacked(unpacked.bytes.len());
            unpacked_only_in_part = unpacked.incomplete;
            self.inner(&MemorySource::new(source.path(), unpacked.bytes), &name, named, depth)?
        } else {
            return Ok(Member::Closed);
        };
        if let (true, Some(why)) = (found, unpacked_only_in_part) {
            self.not_followed.push((format!("{name} is compressed: {why}"), None));
        }
        Ok(if found { Member::Pickle } else { Member::Other })
    }

    fn inner(&mut self, source: &dyn Source, name: &str, named: bool, depth: u8) -> Result<bool> {
        if named {
            self.follow(source, 0, name)?;
            return Ok(true);
        }
        match self.bytes(source, name, depth + 1)? {
            Found::Pickle(_) => Ok(true),
            Found::Nothing => Ok(false),
            Found::Opaque(why) => {
                let matters = matches!(self.promise, Promise::Pickle | Promise::Indexed);
                if matters {
                    self.not_followed.push((why, None));
                }
                Ok(matters)
            }
        }
    }

    fn tar(&mut self, source: &dyn Source, which: &str, depth: u8) -> Result<Found> {
        let (all, cut) = members(source)?;
        let mut any = false;
        let named = |name: &[u8]| all.iter().any(|m| m.name == name);
        // PyTorch before 0.1.10: pickles with raw numbers between them.
        let old_torch = named(b"pickle") && named(b"storages");
        for Tarred { name, place } in &all {
            if self.others == MAX_OTHERS || self.allowance.is_exhausted() {
                self.not_followed
                    .push(("not all members of the tar archive are looked at: the bound of one file is reached".to_owned(), None));
                any = true;
                break;
            }
            self.others += 1;
            let member = shown(name);
            let named =
                is_pickle(name) || old_torch && matches!(name.as_slice(), b"pickle" | b"storages" | b"tensors" | b"sys_info");
            any |= self.inner(&Stretch::new(source, place.0, place.1), &member, named, depth)?;
        }
        if old_torch {
            let why =
                "the old tar form of PyTorch has raw numbers between its pickles, and what stands behind them is not followed";
            self.not_followed.push((why.to_owned(), None));
        }
        match cut {
            Some(why) if any => self.not_followed.push((format!("not all of the tar archive is known: {why}"), None)),
            Some(why) => return Ok(Found::Opaque(format!("{which} is a tar archive of which not all is known: {why}"))),
            None => {}
        }
        Ok(if any { Found::Pickle("a tar archive with a pickle in it".to_owned()) } else { Found::Nothing })
    }
}

/// A member of an archive, as messages call it.
fn shown(name: &[u8]) -> String {
    format!("its `{}`", escape_limited(&String::from_utf8_lossy(name), 60))
}

/// Whether a member is a pickle by its name, for which PyTorch looks without regard to case.
fn is_pickle(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(b".pkl") || name.ends_with(b".pickle")
}

/// Whether a member is raw numbers of a tensor, which PyTorch names by a number in the folder `data`, or a folder.
fn is_storage(name: &[u8]) -> bool {
    let mut parts = name.rsplit(|b| *b == b'/');
    let last = parts.next().unwrap_or_default();
    last.is_empty() || (last.iter().all(u8::is_ascii_digit) && parts.next() == Some(b"data"))
}
