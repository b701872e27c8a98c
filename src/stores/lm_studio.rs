//! LM Studio: `PUBLISHER/MODEL/` with GGUF files, or with the files of an MLX model. A file that lies in the root is not seen by it.

use std::path::{Path, PathBuf};

use super::names::RepoName;
use super::resolve::{LocalModel, pick};
use super::{Environment, Store, entries, folders, is_folder, within};
use crate::error::Result;

/// The store.
pub(super) struct LmStudio;

impl Store for LmStudio {
    fn name(&self) -> &'static str {
        "lm-studio"
    }

    fn scheme(&self) -> &'static str {
        "lms:"
    }

    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let places = [".lmstudio/models", ".cache/lm-studio/models"].map(|below| environment.at_home(below));
        places.into_iter().flatten().filter(|place| is_folder(place)).collect()
    }

    fn is_root(&self, folder: &Path) -> bool {
        let parent = folder.parent().and_then(Path::file_name);
        folder.ends_with("models") && parent.is_some_and(|name| name == ".lmstudio" || name == "lm-studio")
    }

    fn takes(&self, name: &str) -> bool {
        super::names::is_repo_or_part(name)
    }

    fn find(&self, root: &Path, name: &str) -> Result<Option<LocalModel>> {
        let Some(wanted) = RepoName::parse(name, false).filter(|name| name.revision.is_none()) else { return Ok(None) };
        let folder = root.join(wanted.repo);
        if !is_folder(&folder) {
            return Ok(None);
        }
        within(root, &folder)?;
        let model = LocalModel::at(self, wanted.repo, &folder);
        match wanted.part {
            Some(part) => pick(model, &folder, part).map(Some),
            None => Ok(Some(model)),
        }
    }

    fn list(&self, root: &Path) -> Vec<LocalModel> {
        let mut models = Vec::new();
        for publisher in entries(root, true) {
            for name in entries(&root.join(&publisher), true) {
                let folder = root.join(&publisher).join(&name);
                models.extend(folders::places(&folder).into_iter().filter(|place| place.store.is_none()).map(|place| {
                    let file = place.path.strip_prefix(&folder).map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
                    let part = if file.is_empty() { String::new() } else { format!(":{file}") };
                    LocalModel::at(self, &format!("{publisher}/{name}{part}"), &place.path).inside(&folder)
                }));
            }
        }
        models
    }
}
