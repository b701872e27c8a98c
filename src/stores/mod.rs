//! Where models lie on a machine, and how each of these places names them: a file a store, a row each in [`STORES`].
//!
//! Names become parts of paths only through the pattern of their store. What stands in a store (manifests, listings, links) is read
//! with bounds, inside the store's own folder, and nothing is ever written or deleted.

mod environment;
mod folders;
mod hub;
mod inventory;
mod llama_cpp;
mod lm_studio;
mod manifest;
mod names;
mod ollama;
mod resolve;
mod stated;

use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use inventory::{Duplicate, Inventory, InventoryTotals, Order as InventoryOrder, Stored, inventory, sort};
pub use manifest::{Layer, Manifest};
pub use resolve::{LocalModel, Located, locate};
pub use stated::{Lack, Stated, lack, stated};

use crate::error::{Error, ErrorKind, Result};

/// A place where a program keeps models.
pub trait Store: Sync {
    /// The name that `--store` takes.
    fn name(&self) -> &'static str;
    /// What a name begins with that means this store alone, with its colon; empty where there is none.
    fn scheme(&self) -> &'static str;
    /// The folders that it can be, those of them that are there.
    fn roots(&self, environment: &Environment) -> Vec<PathBuf>;
    /// Whether a folder is the root of such a store by what is in it.
    fn is_root(&self, folder: &Path) -> bool;
    /// Whether a name without a scheme can be that of one of its models.
    fn takes(&self, name: &str) -> bool;
    /// Models that have a name, which stands without the scheme; none where the name is none of this store's.
    ///
    /// # Errors
    /// The store has the model, but not the revision or the file that was asked for, or several of them.
    fn find(&self, root: &Path, name: &str) -> Result<Option<LocalModel>>;
    /// Every model of a root, in the order of names.
    fn list(&self, root: &Path) -> Vec<LocalModel>;
}

/// Every store, in the order in which a name is looked for.
pub const STORES: &[&dyn Store] = &[&hub::Hub, &lm_studio::LmStudio, &ollama::Ollama, &llama_cpp::OldLlamaCache];

/// The store of a name that `--store` takes.
pub fn store(name: &str) -> Option<&'static dyn Store> {
    STORES.iter().copied().find(|store| store.name() == name)
}

/// Entries of one folder of a store that are looked at.
const MAX_ENTRIES: usize = 100_000;

/// The names of the folders, or of the files, in a folder that are no links, in order.
fn entries(folder: &Path, folders: bool) -> Vec<String> {
    // A store's own folders are no links; its root may be one.
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let wanted = |kind: std::fs::FileType| if folders { kind.is_dir() } else { kind.is_file() };
    let named = entries.take(MAX_ENTRIES).filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_type().ok().filter(|kind| wanted(*kind))?;
        entry.file_name().into_string().ok()
    });
    let mut names: Vec<String> = named.collect();
    names.sort();
    names
}

/// Whether there is a folder that is no link.
fn is_real_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
}

/// Refuses a folder of a store that links lead out of it.
fn within(root: &Path, folder: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize().map_err(|e| Error::io(path, "cannot open", &e));
    if real(folder)?.starts_with(real(root)?) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::OutsideFolder, "a link that leads outside the store; it is not followed")
        .with_path(folder)
        .help("name the folder itself if you trust it"))
}

fn is_folder(path: &Path) -> bool {
    path.is_dir()
}
