//! The cache that llama.cpp had until it took to that of the hub (March 2026): `ORG_REPO_FILE.gguf` in one folder, and
//! `manifest=ORG=REPO=TAG.json` with the file that a tag stands for.
//!
//! Source: `common/arg.cpp` and `common/common.cpp` of llama.cpp before that (`common_get_hf_file`, `fs_get_cache_directory`).

use std::path::{Path, PathBuf};

use super::names::{RepoName, is_path_below};
use super::resolve::LocalModel;
use super::{Environment, Store, entries, folders, is_folder};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Budget, python_json};
use crate::source::FileSource;

/// Bytes of a manifest; published ones have some 2 KB.
const MAX_MANIFEST: u64 = 1 << 20;
/// Memory for its tree.
const MAX_TREE: u64 = 8 << 20;

/// The store.
pub(super) struct OldLlamaCache;

impl Store for OldLlamaCache {
    fn name(&self) -> &'static str {
        "llama.cpp"
    }

    fn scheme(&self) -> &'static str {
        ""
    }

    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let places = match &environment.llama_cache {
            Some(cache) => vec![cache.clone()],
            None => {
                [environment.at_cache("llama.cpp"), environment.at_home("Library/Caches/llama.cpp")].into_iter().flatten().collect()
            }
        };
        places.into_iter().filter(|place| is_folder(place)).collect()
    }

    fn is_root(&self, folder: &Path) -> bool {
        entries(folder, false).iter().any(|name| name.starts_with("manifest=") && name.ends_with(".json"))
    }

    fn takes(&self, name: &str) -> bool {
        super::names::is_repo_or_part(name)
    }

    fn find(&self, root: &Path, name: &str) -> Result<Option<LocalModel>> {
        let Some(wanted) = RepoName::parse(name, false).filter(|name| name.revision.is_none()) else { return Ok(None) };
        let tag = wanted.part.unwrap_or("latest");
        let tags = manifests(root);
        let of_repo = || tags.iter().filter(|row| row.repo == wanted.repo);
        let same_tag = of_repo().find(|row| row.tag.eq_ignore_ascii_case(tag) || row.file == tag);
        // Without a tag, the only one.
        let only = || of_repo().next().filter(|_| wanted.part.is_none() && of_repo().count() == 1);
        let Some(row) = same_tag.or_else(only) else {
            let Some(other) = of_repo().next().filter(|_| wanted.part.is_none()) else { return Ok(None) };
            let message = format!("llama.cpp's cache has several files of it: name one, as {}:{}", other.repo, other.tag);
            return Err(Error::new(ErrorKind::Usage, message).with_path(root));
        };
        let path = row.path(root);
        Ok(path.is_file().then(|| LocalModel::at(self, &format!("{}:{}", row.repo, row.tag), &path).inside(root)))
    }

    fn list(&self, root: &Path) -> Vec<LocalModel> {
        let known = manifests(root);
        let name = |path: &Path| {
            let row = known.iter().find(|row| row.path(root) == path);
            let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            row.map_or(file, |row| format!("{}:{}", row.repo, row.tag))
        };
        // One folder of files, whatever else lies beside them.
        let models = entries(root, false).into_iter().filter(|name| folders::is_model(name));
        models.map(|file| root.join(file)).map(|path| LocalModel::at(self, &name(&path), &path).inside(root)).collect()
    }
}

/// What a manifest says: the file of a tag.
struct Tag {
    repo: String,
    tag: String,
    file: String,
}

impl Tag {
    /// Where its file is: every separator is an underscore.
    fn path(&self, root: &Path) -> PathBuf {
        root.join(format!("{}_{}", self.repo, self.file).replace(['/', '\\'], "_"))
    }
}

fn manifests(root: &Path) -> Vec<Tag> {
    let read = |name: String| {
        let mut parts = name.strip_prefix("manifest=")?.strip_suffix(".json")?.split('=');
        let (org, repo, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = FileSource::open(&root.join(&name)).and_then(|source| source.read_small(MAX_MANIFEST)).ok()?;
        let value = python_json(&bytes, &Budget::new(MAX_TREE)).ok()?;
        let file = value.get("ggufFile")?.get("rfilename")?.as_str().filter(|file| is_path_below(file))?;
        Some(Tag { repo: format!("{org}/{repo}"), tag: tag.to_owned(), file: file.to_owned() })
    };
    entries(root, false).into_iter().filter_map(read).collect()
}
