//! The cache of the Hugging Face hub: `models--ORG--NAME/snapshots/COMMIT`, which transformers, vLLM, MLX and today's llama.cpp read.
//!
//! Where it is: huggingface_hub ([`crate::pins::HUGGINGFACE_HUB`]), `constants.py`.

use std::path::{Path, PathBuf};

use super::names::RepoName;
use super::resolve::{LocalModel, pick};
use super::{Environment, Store, entries, is_folder, is_real_folder};
use crate::checkpoint::Boundary;
use crate::error::{Error, ErrorKind, Result};
use crate::text::escape_limited;

/// What the name of a model's folder begins with.
const MODELS: &str = "models--";
/// Bytes that are read of a ref, which holds 40.
const MAX_REF: u64 = 4096;
/// Digits of a commit that stand for it.
const SHORT_COMMIT: usize = 7;

/// The store.
pub(super) struct Hub;

impl Store for Hub {
    fn name(&self) -> &'static str {
        "hub"
    }

    fn scheme(&self) -> &'static str {
        "hf:"
    }

    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let home = || environment.hf_home.clone().or_else(|| environment.at_cache("huggingface")).map(|home| home.join("hub"));
        let cache = environment.hf_hub_cache.clone().or_else(|| environment.huggingface_hub_cache.clone()).or_else(home);
        cache.into_iter().filter(|cache| is_folder(cache)).collect()
    }

    fn is_root(&self, folder: &Path) -> bool {
        let named = |name: &String| name.starts_with(MODELS) && is_real_folder(&folder.join(name).join("snapshots"));
        entries(folder, true).iter().any(named)
    }

    fn takes(&self, name: &str) -> bool {
        super::names::is_repo_or_part(name)
    }

    fn find(&self, root: &Path, name: &str) -> Result<Option<LocalModel>> {
        let Some(wanted) = RepoName::parse(name, true) else { return Ok(None) };
        let repo = root.join(format!("{MODELS}{}", wanted.repo.replace('/', "--")));
        if !is_real_folder(&repo) {
            return Ok(None);
        }
        let folder = match wanted.revision {
            None => repo.clone(),
            Some(revision) => snapshot(&repo, revision)?,
        };
        let model = LocalModel::at(self, wanted.repo, &folder);
        let Some(part) = wanted.part else { return Ok(Some(model)) };
        // Of a repository as a whole, the revision that it stands for is looked at.
        let looked_at = if wanted.revision.is_some() { folder } else { newest(&repo)? };
        pick(model, &looked_at, part).map(Some)
    }

    fn list(&self, root: &Path) -> Vec<LocalModel> {
        let mut models = Vec::new();
        for folder in entries(root, true) {
            let Some(name) = folder.strip_prefix(MODELS) else { continue };
            let name = name.replacen("--", "/", 1);
            let repo = root.join(&folder);
            let snapshots = repo.join("snapshots");
            let plain = newest(&repo).ok();
            for commit in commits(&repo) {
                let path = snapshots.join(&commit);
                let mut model = LocalModel::at(self, &name, &path);
                // The name alone stands for another revision.
                if plain.as_ref() != Some(&path) {
                    model.address = format!("{}@{commit}", model.address);
                }
                model.revision = Some(commit);
                models.push(model);
            }
        }
        models
    }
}

/// The commits of which there are snapshots. A link in their place is none of the client's.
fn commits(repo: &Path) -> Vec<String> {
    let snapshots = repo.join("snapshots");
    if is_real_folder(repo) && is_real_folder(&snapshots) { entries(&snapshots, true) } else { Vec::new() }
}

/// The snapshot that a branch, a tag or a commit stands for.
fn snapshot(repo: &Path, revision: &str) -> Result<PathBuf> {
    let snapshots = repo.join("snapshots");
    let here = commits(repo);
    let commit = reference(repo, revision).unwrap_or_else(|| revision.to_owned());
    if here.contains(&commit) {
        return Ok(snapshots.join(commit));
    }
    let is_short = revision.len() >= SHORT_COMMIT && revision.bytes().all(|b| b.is_ascii_hexdigit());
    let mut begun = here.iter().filter(|name| is_short && name.starts_with(revision));
    if let (Some(only), None) = (begun.next(), begun.next()) {
        return Ok(snapshots.join(only));
    }
    let listed: Vec<String> = here.iter().take(8).map(|name| escape_limited(name, 60)).collect();
    Err(Error::new(
        ErrorKind::NotFound,
        format!("no snapshot of the revision `{}` is in the hub cache", escape_limited(revision, 80)),
    )
    .with_path(repo)
    .help(format!("here: {}", if listed.is_empty() { "none".to_owned() } else { listed.join(", ") })))
}

/// The commit that a ref names.
fn reference(repo: &Path, revision: &str) -> Option<String> {
    let path = repo.join("refs").join(revision);
    // No link anywhere below the repository's folder.
    let below = |path: &Path| {
        path.ancestors().take_while(|p| *p != repo).all(|p| std::fs::symlink_metadata(p).is_ok_and(|m| !m.is_symlink()))
    };
    if !below(&path) || !path.is_file() {
        return None;
    }
    let text = Boundary::of(repo).and_then(|boundary| boundary.find(&path, String::new())?.read_small(MAX_REF)).ok()?;
    let commit = String::from_utf8(text).ok()?.trim().to_owned();
    super::names::is_part(&commit).then_some(commit)
}

/// The snapshot that a repository stands for where no revision is named: that of `main`, or the only one.
fn newest(repo: &Path) -> Result<PathBuf> {
    let snapshots = repo.join("snapshots");
    let here = commits(repo);
    let main = reference(repo, "main").filter(|commit| here.contains(commit));
    let only = || here.first().filter(|_| here.len() == 1).cloned();
    main.or_else(only).map(|commit| snapshots.join(commit)).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("none of its {} snapshots is that of `main`", here.len()))
            .with_path(repo)
            .help("name one: ORG/NAME@COMMIT:FILE")
    })
}
