//! From what a user types to what is opened: a path, an address, or a name in a store.

use std::path::{Path, PathBuf};

use super::folders;
use super::manifest::Manifest;
use super::names::RepoName;
use super::{Environment, STORES, Store, store};
use crate::checkpoint::{self, Boundary, Checkpoint, ModelPlace, OpenOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::text::{escape_limited, shown_path};

/// What stands for a model on the disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Located {
    /// A file or a folder.
    Path(PathBuf),
    /// The blobs that a manifest names.
    Manifest(Box<Manifest>),
}

/// A model that was found: what to open, and by which name it is known where.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalModel {
    /// The name in its store, or the path.
    pub name: String,
    /// The store; `None` for a path.
    pub store: Option<&'static str>,
    /// The name with what its store is meant by, as it can be given to any command.
    pub address: String,
    /// What to open.
    pub target: Located,
    /// The commit, or the digest of the manifest.
    pub revision: Option<String>,
    /// How the name was taken; escaped.
    pub notes: Vec<String>,
    /// Of a file that nobody named by its path, the folder that it may not lead out of.
    pub(super) inside: Option<PathBuf>,
}

impl LocalModel {
    /// A path as it was given.
    pub fn of_path(path: &Path) -> Self {
        let name = path.to_string_lossy().into_owned();
        Self {
            address: name.clone(),
            name,
            store: None,
            target: Located::Path(path.to_path_buf()),
            revision: None,
            notes: Vec::new(),
            inside: None,
        }
    }

    /// A path in a store.
    pub(super) fn at(store: &dyn Store, name: &str, path: &Path) -> Self {
        Self { target: Located::Path(path.to_path_buf()), ..Self::named(store, name, path) }
    }

    /// A model of a store, whose target is set by the caller.
    fn named(store: &dyn Store, name: &str, path: &Path) -> Self {
        let address =
            if store.scheme().is_empty() { path.to_string_lossy().into_owned() } else { format!("{}{name}", store.scheme()) };
        Self { name: name.to_owned(), store: Some(store.name()), address, ..Self::of_path(path) }
    }

    /// A manifest of a store.
    pub(super) fn of_manifest(store: &dyn Store, name: &str, manifest: Manifest) -> Self {
        let revision = Some(manifest.digest.clone());
        Self { revision, ..Self::named(store, name, &manifest.path.clone()) }.with(Located::Manifest(Box::new(manifest)))
    }

    /// The same, which may not lead out of a folder.
    pub(super) fn inside(self, folder: &Path) -> Self {
        Self { inside: Some(folder.to_path_buf()), ..self }
    }

    /// One of the models that lie in a folder.
    pub(super) fn part(&self, place: &ModelPlace) -> Self {
        let path = self.path().join(&place.path);
        let inside = Some(self.inside.clone().unwrap_or_else(|| self.path().to_path_buf()));
        Self {
            name: format!("{}/{}", self.name.trim_end_matches('/'), place.path.to_string_lossy()),
            address: path.to_string_lossy().into_owned(),
            target: Located::Path(path),
            inside,
            ..self.clone()
        }
    }

    fn with(self, target: Located) -> Self {
        Self { target, ..self }
    }

    /// The file or folder that stands for it: of a manifest, that itself.
    pub fn path(&self) -> &Path {
        match &self.target {
            Located::Path(path) => path,
            Located::Manifest(manifest) => &manifest.path,
        }
    }

    /// The files that are read where it is opened.
    pub fn inputs(&self) -> Vec<PathBuf> {
        match &self.target {
            Located::Path(path) => checkpoint::inputs(path),
            Located::Manifest(manifest) => manifest.blobs(),
        }
    }

    /// What its manifest says, where a store keeps one.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.target {
            Located::Manifest(manifest) => Some(manifest),
            Located::Path(_) => None,
        }
    }

    /// Opens it, as [`checkpoint::open`].
    ///
    /// # Errors
    /// As there; [`ErrorKind::OutsideFolder`] for a file that is a link to elsewhere than its store.
    pub fn open(&self, options: &OpenOptions) -> Result<Checkpoint> {
        self.open_by(options, checkpoint::open)
    }

    /// Opens it, as [`checkpoint::open_or_declared`].
    ///
    /// # Errors
    /// As [`LocalModel::open`].
    pub fn open_or_declared(&self, options: &OpenOptions) -> Result<Checkpoint> {
        self.open_by(options, checkpoint::open_or_declared)
    }

    /// Opens it for its values, as [`checkpoint::open_values`].
    ///
    /// # Errors
    /// As [`LocalModel::open`].
    pub fn open_values(&self, options: &OpenOptions) -> Result<Checkpoint> {
        self.open_by(options, checkpoint::open_values)
    }

    fn open_by(&self, options: &OpenOptions, of_path: fn(&Path, &OpenOptions) -> Result<Checkpoint>) -> Result<Checkpoint> {
        let path = match &self.target {
            Located::Path(path) => path,
            Located::Manifest(manifest) => return self.noted(manifest.open(options)),
        };
        let folder = self.inside.as_ref().filter(|_| !path.is_dir());
        let found = folder.map(|folder| Boundary::of(folder)?.find(path, String::new())).transpose()?;
        let opened = of_path(path, options)?;
        // What was checked, and no file that has taken its place since.
        let of_found = opened.files.iter().find(|file| file.path == *path).and_then(|file| file.identity);
        if found.zip(of_found).is_some_and(|(found, opened)| !opened.is_same_file(found.identity())) {
            let message = "was replaced by another file while it was looked at";
            return Err(Error::new(ErrorKind::Changed, message).with_path(path).help("try again when nothing writes to the store"));
        }
        self.noted(Ok(opened))
    }

    fn noted(&self, opened: Result<Checkpoint>) -> Result<Checkpoint> {
        opened.map(|mut checkpoint| {
            checkpoint.notes.splice(0..0, self.notes.iter().cloned());
            checkpoint
        })
    }
}

/// Addresses of the network: none is read by this build.
const ADDRESSES: [&str; 4] = ["hf://", "https://", "http://", "s3://"];
/// Whether a text is an address of the network.
fn address(text: &str) -> bool {
    ADDRESSES.iter().any(|scheme| text.starts_with(scheme))
}

/// Finds what a user means: a path that is there, an address, a scheme with a name, `ORG/NAME`, `NAME:TAG`. `only` is the store to look
/// in, by its name.
///
/// # Errors
/// An address of the network; a name that no store has, or several; a store that is not known.
pub fn locate(path: &Path, only: Option<&str>, environment: &Environment) -> Result<LocalModel> {
    let only = only.map(|name| store(name).ok_or_else(|| unknown_store(name))).transpose()?;
    if only.is_none() && std::fs::symlink_metadata(path).is_ok() {
        return super::ollama::Ollama.of_path(path).unwrap_or_else(|| Ok(LocalModel::of_path(path)));
    }
    let Some(text) = path.to_str() else { return Ok(LocalModel::of_path(path)) };
    if address(text) {
        let message = format!("`{}` is an address of the network, which this build does not read", escape_limited(text, 120));
        return Err(Error::new(ErrorKind::Unsupported, message).help("download it, then give the folder or its name: ORG/NAME"));
    }
    if let Some((store, name)) = STORES.iter().find_map(|store| scheme_of(*store, text).map(|name| (*store, name))) {
        if let Some(other) = only.filter(|other| other.name() != store.name()) {
            let message =
                format!("`{}` names the store {}, --store the store {}", escape_limited(text, 80), store.name(), other.name());
            return Err(Error::new(ErrorKind::Usage, message));
        }
        return look(&[store], name, text, environment);
    }
    let stores: Vec<&dyn Store> = match only {
        Some(store) => vec![store],
        None => STORES.iter().copied().filter(|store| store.takes(text)).collect(),
    };
    if stores.is_empty() {
        return elsewhere(text, environment).map_or_else(|| Ok(LocalModel::of_path(path)), Err);
    }
    look(&stores, text, text, environment)
}

/// What a single word that is no path may have meant: a model that a store has by that name.
fn elsewhere(text: &str, environment: &Environment) -> Option<Error> {
    if text.contains(['/', '\\']) {
        return None;
    }
    let of_store = |store: &&dyn Store| {
        let found = store.roots(environment).iter().find_map(|root| store.find(root, text).ok().flatten())?;
        Some(found.address)
    };
    let names: Vec<String> = STORES.iter().filter_map(of_store).map(|address| escape_limited(&address, 120)).collect();
    let help = format!("give it with its store: {}", names.join(" or "));
    let message = format!("`{}` is no path here, but a store has a model of that name", escape_limited(text, 80));
    (!names.is_empty()).then(|| Error::new(ErrorKind::NotFound, message).help(help))
}

fn scheme_of<'a>(store: &dyn Store, text: &'a str) -> Option<&'a str> {
    text.strip_prefix(store.scheme()).filter(|_| !store.scheme().is_empty())
}

fn unknown_store(name: &str) -> Error {
    let known: Vec<&str> = STORES.iter().map(|store| store.name()).collect();
    Error::new(ErrorKind::Usage, format!("unknown store `{}`", escape_limited(name, 40)))
        .help(format!("known: {}", known.join(", ")))
}

/// Looks for a name in stores.
fn look(stores: &[&dyn Store], name: &str, asked: &str, environment: &Environment) -> Result<LocalModel> {
    let (mut found, mut looked_at) = (Vec::<LocalModel>::new(), Vec::new());
    for store in stores {
        let roots = store.roots(environment);
        if roots.is_empty() {
            looked_at.push(format!("{} (not here)", store.name()));
        }
        for root in roots {
            looked_at.push(format!("{} ({})", store.name(), shown_path(&root)));
            if let Some(model) = store.find(&root, name)? {
                // Of one store, the first of its roots counts.
                found.push(model);
                break;
            }
        }
    }
    let shown = escape_limited(asked, 120);
    if found.len() > 1 {
        let places: Vec<String> =
            found.iter().map(|m| format!("{} ({})", m.store.unwrap_or_default(), shown_path(m.path()))).collect();
        return Err(Error::new(ErrorKind::Usage, format!("`{shown}` is in {} stores: {}", found.len(), places.join(", ")))
            .help("--store NAME chooses one"));
    }
    let Some(mut model) = found.pop() else {
        let repo = RepoName::parse(name, false).map(|name| name.repo);
        let help = match repo {
            Some(repo) => format!(
                "check the name; as an address it is hf://{repo}, but this build reads nothing from the network: download it first"
            ),
            None => "check the name; `weigh ls` lists the models of this machine".to_owned(),
        };
        let message = format!("`{shown}` is no path here and in no store; looked in {}", looked_at.join(", "));
        return Err(Error::new(ErrorKind::NotFound, message).help(help));
    };
    let (store, place) = (model.store.unwrap_or_default(), shown_path(model.path()));
    model.notes.push(format!("`{shown}` was found in the store {store}: {place}"));
    Ok(model)
}

/// A file of a model by its name, or by the quantization that its name tells.
pub(super) fn pick(model: LocalModel, folder: &Path, part: &str) -> Result<LocalModel> {
    let named = folder.join(part);
    let name = format!("{}:{part}", model.name);
    let address = format!("{}:{part}", model.address);
    let take = |path: PathBuf| {
        LocalModel { name: name.clone(), address: address.clone(), ..model.clone() }.with(Located::Path(path)).inside(folder)
    };
    if named.is_file() {
        return Ok(take(named));
    }
    let mut files = Vec::new();
    gguf_files(folder, 0, &mut files);
    let of_quant: Vec<&PathBuf> = files.iter().filter(|path| tells(path, part)).collect();
    match of_quant.as_slice() {
        [only] => Ok(take((*only).clone())),
        [] => {
            let listed: Vec<String> = files.iter().take(12).map(|f| shown_path(f.strip_prefix(folder).unwrap_or(f))).collect();
            let here = if listed.is_empty() { "no GGUF file is here".to_owned() } else { format!("here: {}", listed.join(", ")) };
            let message = format!("holds no file `{}`, and none of that quantization", escape_limited(part, 80));
            Err(Error::new(ErrorKind::NotFound, message).with_path(folder).help(here))
        }
        several => {
            let listed: Vec<String> = several.iter().take(12).map(|f| shown_path(f.strip_prefix(folder).unwrap_or(f))).collect();
            let message = format!("{} files are of the quantization `{}`", several.len(), escape_limited(part, 40));
            Err(Error::new(ErrorKind::Usage, message).with_path(folder).help(format!("name one of them: {}", listed.join(", "))))
        }
    }
}

/// GGUF files below a folder that are models by themselves: no later part of a set, no projector.
fn gguf_files(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.take(super::MAX_ENTRIES).filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
            if depth < 4 {
                gguf_files(&path, depth + 1, found);
            }
        } else if folders::is_model(&name) {
            found.push(path);
        }
    }
}

/// Whether a file's name has a quantization as one of its pieces, as llama.cpp finds the file of a tag.
fn tells(path: &Path, quant: &str) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.trim_end_matches(".gguf");
    let quant = quant.to_ascii_lowercase();
    let ends = |c: Option<char>| c.is_none_or(|c| matches!(c, '-' | '.' | '_'));
    let before = |at: usize| name[..at].chars().next_back();
    // `Q4_K` is no piece of `Q4_K_M`, while `UD-Q4_K_XL` has `Q4_K_XL` as one.
    name.match_indices(&quant)
        .any(|(at, text)| ends(before(at)) && matches!(name[at + text.len()..].chars().next(), None | Some('-' | '.')))
}

/// The models below a folder or file: those of stores that lie there, and others by their paths.
pub(super) fn below(path: &Path) -> Vec<LocalModel> {
    if !path.is_dir() {
        return vec![LocalModel::of_path(path)];
    }
    let of_place = |place: folders::Place| match place.store {
        Some(store) => store.list(&place.path),
        None => {
            let relative = place.path.strip_prefix(path).ok().filter(|relative| !relative.as_os_str().is_empty());
            let name = relative.unwrap_or(&place.path).to_string_lossy().into_owned();
            vec![LocalModel { name, ..LocalModel::of_path(&place.path) }.inside(path)]
        }
    };
    folders::places(path).into_iter().flat_map(of_place).collect()
}
