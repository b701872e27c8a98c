//! A manifest of Ollama: which blobs a model is made of, and what each is for.
//!
//! Source: Ollama ([`crate::pins::OLLAMA`]), `manifest/manifest.go`, `manifest/layer.go` (the fields), `manifest/paths.go` (digests and
//! blobs), `server/images.go` (what layers are for), `x/imagegen/manifest/manifest.go` (one safetensors blob a tensor).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::names::is_part;
use crate::checkpoint::{Boundary, Checkpoint, FoundFile, OpenOptions, StatedFile, open_named};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Budget, python_json};
use crate::text::escape_limited;
use crate::units::grouped;

/// Bytes of a manifest: a model of 3,000 tensors in as many layers has some 700 KB.
const MAX_MANIFEST: u64 = 10 << 20;
/// Layers of one.
const MAX_LAYERS: usize = 100_000;
/// Memory for its tree.
const MAX_TREE: u64 = 64 << 20;
/// Bytes that are read of parameters and templates.
const MAX_TEXT: u64 = 1 << 20;
/// What kinds of layers begin with.
const KIND: &str = "application/vnd.ollama.image.";
/// Other names that `weigh show` says a blob is shared with.
const MAX_SHARERS: usize = 16;

/// A blob of a model, as its manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// What it is for: `model`, `projector`, `adapter`, `draft`, `params`, `template`, `tensor`, `json`, ...; a media type that is not of
    /// Ollama stands as it is.
    pub kind: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Bytes that it has by the manifest.
    pub bytes: u64,
    /// Of tensors and configurations, their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As reports name its file.
    pub file: String,
    /// Other models of the store that are made of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<String>,
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// The name of the model.
    pub name: String,
    /// The manifest's own file.
    #[serde(serialize_with = "super::inventory::lossy")]
    pub path: PathBuf,
    /// SHA-256 of the manifest, which Ollama shows as the model's ID.
    pub digest: String,
    /// The blobs, in the manifest's order, its configuration last. Tensors are counted and not listed here.
    #[serde(serialize_with = "but_tensors")]
    pub layers: Vec<Layer>,
    /// How many blobs are a tensor each.
    pub tensor_layers: u64,
    /// Options that the model sets, such as `num_ctx`; null where it sets none.
    pub params: Option<Value>,
    /// Whether a template stands in for the one of the model file.
    pub has_template: bool,
    /// Bytes of all its blobs.
    pub bytes: u64,
    /// What could not be read of it; escaped.
    pub notes: Vec<String>,
    #[serde(skip)]
    root: PathBuf,
}

fn but_tensors<S: serde::Serializer>(layers: &[Layer], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(layers.iter().filter(|layer| layer.kind != "tensor"))
}

impl Manifest {
    /// Reads a manifest, which lies below the root of its store.
    ///
    /// # Errors
    /// It cannot be read, is no manifest, or states a digest that is none.
    pub(super) fn read(root: &Path, path: &Path, name: &str) -> Result<Self> {
        let bytes = Boundary::of(root)?.find(path, name.to_owned())?.read_small(MAX_MANIFEST)?;
        let value = python_json(&bytes, &Budget::new(MAX_TREE)).map_err(|error| error.with_path(path))?;
        let no = |what: &str| Error::new(ErrorKind::Malformed, format!("is no manifest of Ollama: {what}")).with_path(path);
        let rows = value.get("layers").and_then(Value::as_array).ok_or_else(|| no("it has no list `layers`"))?;
        if rows.len() > MAX_LAYERS {
            return Err(Error::new(ErrorKind::Limit, format!("names more than {MAX_LAYERS} layers")).with_path(path));
        }
        let mut layers = Vec::with_capacity(rows.len() + 1);
        for row in rows {
            layers.push(Layer::of(row).map_err(|what| no(&what))?);
        }
        // A configuration without a digest is none (`ParseNamedManifest` and its callers).
        let config = value.get("config").filter(|row| row.get("digest").and_then(Value::as_str).is_some_and(|d| !d.is_empty()));
        if let Some(row) = config {
            let layer = Layer::of(row).map_err(|what| no(&what))?;
            layers.push(Layer { kind: "config".to_owned(), ..layer });
        }
        name_files(&mut layers);
        let mut distinct = BTreeSet::new();
        let bytes_of_blobs = layers.iter().filter(|l| distinct.insert(&l.digest)).fold(0u64, |sum, l| sum.saturating_add(l.bytes));
        let mut manifest = Self {
            name: name.to_owned(),
            path: path.to_path_buf(),
            digest: hex(&Sha256::digest(&bytes)),
            tensor_layers: layers.iter().filter(|layer| layer.kind == "tensor").count() as u64,
            params: None,
            has_template: layers.iter().any(|layer| matches!(layer.kind.as_str(), "template" | "prompt")),
            bytes: bytes_of_blobs,
            notes: Vec::new(),
            root: root.to_path_buf(),
            layers,
        };
        manifest.read_params();
        Ok(manifest)
    }

    fn read_params(&mut self) {
        let Some(layer) = self.layers.iter().rfind(|layer| layer.kind == "params") else { return };
        let read =
            self.find(layer).and_then(|found| found.read_small(MAX_TEXT)).and_then(|b| python_json(&b, &Budget::new(MAX_TREE)));
        match read {
            Ok(value) => self.params = Some(value),
            Err(error) => self.notes.push(format!("the parameters of the manifest cannot be read: {}", error.message())),
        }
    }

    /// The context that the model sets.
    pub fn num_ctx(&self) -> Option<u64> {
        self.params.as_ref()?.get("num_ctx")?.as_u64().filter(|n| *n > 0)
    }

    /// Where the blob of a layer is.
    fn blob(&self, layer: &Layer) -> PathBuf {
        self.root.join("blobs").join(layer.digest.replace(':', "-"))
    }

    fn find(&self, layer: &Layer) -> Result<FoundFile> {
        Boundary::of(&self.root)?.find(&self.blob(layer), layer.file.clone())
    }

    /// The files of its blobs, and itself.
    pub fn blobs(&self) -> Vec<PathBuf> {
        let blobs = self.layers.iter().map(|layer| self.blob(layer));
        std::iter::once(self.path.clone()).chain(blobs).filter(|path| path.is_file()).collect()
    }

    /// Says of each blob which other models of the store are made of it.
    pub fn find_sharers(&mut self, others: &[Self]) {
        let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for other in others.iter().filter(|other| other.name != self.name) {
            for layer in &other.layers {
                users.entry(&layer.digest).or_default().insert(&other.name);
            }
        }
        for layer in &mut self.layers {
            let sharers = users.get(layer.digest.as_str()).into_iter().flatten();
            layer.shared_with = sharers.take(MAX_SHARERS).map(|name| (*name).to_owned()).collect();
        }
    }

    /// Opens the model: every blob of weights under a name that tells what it is.
    ///
    /// # Errors
    /// As [`crate::checkpoint::open`].
    pub fn open(&self, options: &OpenOptions) -> Result<Checkpoint> {
        let boundary = Boundary::of(&self.root)?;
        let (mut weights, mut others, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for layer in &self.layers {
            if !seen.insert((&layer.digest, &layer.file)) {
                continue;
            }
            let path = self.blob(layer);
            match boundary.find(&path, layer.file.clone()) {
                Ok(found) if layer.is_weights() => weights.push(found),
                Ok(found) => others.push(found),
                // What it lacks beside weights is told by what the manifest states.
                Err(error) if error.kind() == ErrorKind::NotFound && !layer.is_weights() => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let what = layer.name.as_deref().unwrap_or(&layer.kind);
                    let message = format!("named by the manifest ({}), but the blob is missing", escape_limited(what, 120));
                    problems.push(Error::new(ErrorKind::MissingShard, message).with_path(&path).help("pull the model again"));
                }
                Err(error) => problems.push(error),
            }
        }
        let stated = |layer: &Layer| StatedFile {
            name: layer.file.clone(),
            bytes: layer.bytes,
            sha256: layer.digest.split(':').nth(1).map(str::to_ascii_lowercase),
        };
        let config = others.iter().find(|found| found.name == "config.json").cloned();
        let mut checkpoint = open_named(&self.path, &self.root, weights, config, problems, options)?;
        checkpoint.listing.files.extend(others);
        checkpoint.listing.files.sort_by(|a, b| a.name.cmp(&b.name));
        checkpoint.listing.stated = Some(self.layers.iter().map(stated).collect());
        checkpoint.notes.push(self.words());
        checkpoint.notes.extend(self.notes.iter().cloned());
        Ok(checkpoint)
    }

    /// What the manifest says, in a line; escaped.
    fn words(&self) -> String {
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        self.layers.iter().for_each(|layer| *kinds.entry(&layer.kind).or_default() += 1);
        let of = |(kind, n): (&&str, &u64)| {
            if *n == 1 { escape_limited(kind, 40) } else { format!("{} {}", grouped(*n), escape_limited(kind, 40)) }
        };
        let kinds: Vec<String> = kinds.iter().map(of).collect();
        let params = self
            .params
            .as_ref()
            .map_or_else(String::new, |params| format!("; it sets {}", escape_limited(&params.to_string(), 200)));
        let template = if self.has_template { "; its template stands in for the one of the model file" } else { "" };
        format!("Ollama's manifest {}: {}{params}{template}", &self.digest[..12], kinds.join(", "))
    }
}

/// Manifests that a store has, of those that can be read.
pub(super) fn all(root: &Path) -> Vec<Manifest> {
    use super::Store;
    let models = super::ollama::Ollama.list(root);
    models.into_iter().filter_map(|model| model.manifest().cloned()).collect()
}

impl Manifest {
    /// The other manifests of its store.
    pub fn others(&self) -> Vec<Self> {
        all(&self.root)
    }
}

impl Layer {
    fn of(row: &Value) -> std::result::Result<Self, String> {
        let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default();
        let digest = text("digest");
        let hash = digest.strip_prefix("sha256").and_then(|rest| rest.strip_prefix([':', '-'])).unwrap_or_default();
        if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("the digest `{}` is no SHA-256", escape_limited(digest, 80)));
        }
        let bytes = row.get("size").and_then(Value::as_u64).ok_or("a layer has no size")?;
        let media = text("mediaType");
        let name = Some(text("name")).filter(|name| !name.is_empty()).map(str::to_owned);
        let kind = media.strip_prefix(KIND).unwrap_or(media).to_owned();
        Ok(Self { kind, digest: format!("sha256:{hash}"), bytes, name, file: String::new(), shared_with: Vec::new() })
    }

    /// Whether it holds weights.
    fn is_weights(&self) -> bool {
        matches!(self.kind.as_str(), "model" | "projector" | "adapter" | "draft" | "tensor")
    }

    /// The part of a model that a tensor or a configuration belongs to: what stands before the first slash of its name.
    fn part(&self) -> &str {
        let part = self.name.as_deref().and_then(|name| name.split_once('/')).map_or("", |(part, _)| part);
        if is_part(part) { part } else { "" }
    }
}

/// Names that tell what blobs are: those that loaders go by, so that files are grouped as in a folder.
fn name_files(layers: &mut [Layer]) {
    let mut tensors: BTreeMap<String, usize> = BTreeMap::new();
    for layer in layers.iter().filter(|layer| layer.kind == "tensor") {
        *tensors.entry(layer.part().to_owned()).or_default() += 1;
    }
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for layer in layers {
        let place = if layer.kind == "tensor" { format!("tensor {}", layer.part()) } else { layer.kind.clone() };
        let number = numbers.entry(place).or_default();
        *number += 1;
        let again = if *number > 1 { format!("-{number}") } else { String::new() };
        layer.file = match layer.kind.as_str() {
            "model" => format!("model{again}.gguf"),
            "projector" => format!("mmproj{again}.gguf"),
            "adapter" => format!("adapter/adapter{again}.gguf"),
            "draft" => format!("draft/draft{again}.gguf"),
            "tensor" => {
                let part = layer.part();
                let folder = if part.is_empty() { String::new() } else { format!("{part}/") };
                let count = tensors.get(part).copied().unwrap_or_default();
                format!("{folder}model-{number:05}-of-{count:05}.safetensors")
            }
            // A configuration bears the name that it had in its folder.
            "json" => match layer.name.as_deref().filter(|name| super::names::is_path_below(name)) {
                Some(name) => name.to_owned(),
                None => format!("json{again}.json"),
            },
            "params" => format!("params{again}"),
            kind => format!("{}{again}", if is_part(kind) { kind } else { "other" }),
        };
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: &str, name: Option<&str>) -> Layer {
        let digest = format!("sha256:{}", "a".repeat(64));
        Layer {
            kind: kind.to_owned(),
            digest,
            bytes: 1,
            name: name.map(str::to_owned),
            file: String::new(),
            shared_with: Vec::new(),
        }
    }

    #[test]
    fn blobs_have_names_that_tell_what_they_are() {
        let mut layers = [
            layer("tensor", Some("unet/a.weight")),
            layer("tensor", Some("unet/b.weight")),
            layer("tensor", Some("../../etc/c")),
            layer("json", Some("unet/config.json")),
            layer("json", Some("../../etc/passwd")),
            layer("projector", None),
            layer("projector", None),
            layer("draft", None),
            layer("a/../b", None),
        ];
        name_files(&mut layers);
        let names: Vec<&str> = layers.iter().map(|l| l.file.as_str()).collect();
        let expected = [
            "unet/model-00001-of-00002.safetensors",
            "unet/model-00002-of-00002.safetensors",
            "model-00001-of-00001.safetensors",
            "unet/config.json",
            "json-2.json",
            "mmproj.gguf",
            "mmproj-2.gguf",
            "draft/draft.gguf",
            "other",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_digest_that_is_no_hash_is_refused() {
        for digest in ["", "sha256:..", "sha256:../../etc/passwd", "sha512:aa", &format!("sha256:{}", "g".repeat(64))] {
            assert!(Layer::of(&serde_json::json!({"digest": digest, "size": 1, "mediaType": "x"})).is_err(), "{digest}");
        }
    }
}
