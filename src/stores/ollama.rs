//! Ollama: `manifests/HOST/NAMESPACE/MODEL/TAG` names blobs by their digests.
//!
//! Source: Ollama ([`crate::pins::OLLAMA`]), `types/model/name.go` (names), `manifest/` (paths), `envconfig/config.go` (places).

use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::resolve::LocalModel;
use super::{Environment, Store, entries, is_folder, is_real_folder};
use crate::error::Result;

/// What a name that leaves them out has (`defaultHost`, `defaultNamespace`, `defaultTag`).
const DEFAULTS: [&str; 3] = ["registry.ollama.ai", "library", "latest"];

/// The store.
pub(super) struct Ollama;

impl Store for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn scheme(&self) -> &'static str {
        "ollama:"
    }

    fn roots(&self, environment: &Environment) -> Vec<PathBuf> {
        let places = match &environment.ollama_models {
            Some(models) => vec![models.clone()],
            None => [environment.at_home(".ollama/models"), environment.ollama_service.clone()].into_iter().flatten().collect(),
        };
        places.into_iter().filter(|place| is_folder(place)).collect()
    }

    fn is_root(&self, folder: &Path) -> bool {
        let hosts = entries(&folder.join("manifests"), true);
        is_folder(&folder.join("blobs")) && hosts.iter().any(|host| is_valid(Kind::Host, host))
    }

    fn takes(&self, name: &str) -> bool {
        name.contains(':') && !name.contains('/') && Name::parse(name).is_some()
    }

    fn find(&self, root: &Path, name: &str) -> Result<Option<LocalModel>> {
        let Some(name) = Name::parse(name) else { return Ok(None) };
        let mut path = name.parts.iter().fold(root.join("manifests"), |path, part| path.join(part));
        let mut shown = name.shown();
        if !path.is_file() {
            // Ollama takes a name in upper or lower case for the one that is there.
            let same = |other: &Name| other.parts.iter().zip(&name.parts).all(|(a, b)| a.eq_ignore_ascii_case(b));
            let Some((other, there)) = manifests(root).into_iter().find(|(other, _)| same(other)) else { return Ok(None) };
            (path, shown) = (there, other.shown());
        }
        Ok(Some(LocalModel::of_manifest(self, &shown, Manifest::read(root, &path, &shown)?)))
    }

    fn list(&self, root: &Path) -> Vec<LocalModel> {
        let model = |(name, path): (Name, PathBuf)| match Manifest::read(root, &path, &name.shown()) {
            Ok(manifest) => LocalModel::of_manifest(self, &name.shown(), manifest),
            // It is told where it is opened.
            Err(_) => LocalModel::at(self, &name.shown(), &path).inside(root),
        };
        manifests(root).into_iter().map(model).collect()
    }
}

impl Ollama {
    /// The model of a manifest that was given by its path.
    pub(super) fn of_path(&self, path: &Path) -> Option<Result<LocalModel>> {
        let absolute = std::path::absolute(path).ok()?;
        let top = absolute.ancestors().nth(4).filter(|top| top.ends_with("manifests"))?;
        let root = top.parent().filter(|root| is_folder(&root.join("blobs")))?;
        let mut parts = absolute.strip_prefix(top).ok()?.iter().map(|part| part.to_str().map(str::to_owned));
        let name = Name::of([parts.next()??, parts.next()??, parts.next()??, parts.next()??])?;
        let of_manifest = |manifest: Manifest| LocalModel::of_manifest(self, &name.shown(), manifest);
        path.is_file().then(|| Manifest::read(root, &absolute, &name.shown()).map(of_manifest))
    }
}

/// Names and places of every manifest, in order.
fn manifests(root: &Path) -> Vec<(Name, PathBuf)> {
    let top = root.join("manifests");
    let mut found = Vec::new();
    if !is_real_folder(&top) {
        return found;
    }
    for host in entries(&top, true) {
        for namespace in entries(&top.join(&host), true) {
            let folder = top.join(&host).join(&namespace);
            for model in entries(&folder, true) {
                for tag in entries(&folder.join(&model), false) {
                    let path = folder.join(&model).join(&tag);
                    found.extend(Name::of([host.clone(), namespace.clone(), model.clone(), tag]).map(|name| (name, path)));
                }
            }
        }
    }
    found
}

/// Part of a name (`partKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Namespace,
    Model,
    Tag,
}

/// `isValidPart`. The colon that it takes in a host would be no part of a path on Windows, where Ollama cannot write it either. That no
/// part begins with a dot keeps `..` out.
fn is_valid(kind: Kind, text: &str) -> bool {
    let most = if kind == Kind::Host { 350 } else { 80 };
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let inner = |b: u8| match b {
        b'-' => true,
        b'.' => kind != Kind::Namespace,
        b':' => kind == Kind::Host,
        _ => word(b),
    };
    let mut bytes = text.bytes();
    text.len() <= most && bytes.next().is_some_and(word) && bytes.all(inner)
}

/// A name with all its parts: host, namespace, model, tag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    parts: [String; 4],
}

impl Name {
    fn of(parts: [String; 4]) -> Option<Self> {
        let kinds = [Kind::Host, Kind::Namespace, Kind::Model, Kind::Tag];
        kinds.iter().zip(&parts).all(|(kind, part)| is_valid(*kind, part)).then_some(Self { parts })
    }

    /// `ParseName`: `[HOST/][NAMESPACE/]MODEL[:TAG]`. A colon before the last slash is that of a host's port.
    fn parse(text: &str) -> Option<Self> {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let colon = text.rfind(':').filter(|colon| text.rfind('/').is_none_or(|slash| slash < *colon));
        let (rest, tag) = colon.map_or((text, DEFAULTS[2]), |at| (&text[..at], &text[at + 1..]));
        let mut parts = rest.rsplitn(3, '/');
        let model = parts.next()?;
        let namespace = parts.next().unwrap_or(DEFAULTS[1]);
        let host = parts.next().unwrap_or(DEFAULTS[0]);
        Self::of([host, namespace, model, tag].map(str::to_owned))
    }

    /// `DisplayShortest`: without the parts that a name has when they are left out.
    fn shown(&self) -> String {
        let [host, namespace, model, tag] = &self.parts;
        let library = namespace.eq_ignore_ascii_case(DEFAULTS[1]);
        match host.eq_ignore_ascii_case(DEFAULTS[0]) {
            true if library => format!("{model}:{tag}"),
            true => format!("{namespace}/{model}:{tag}"),
            false => format!("{host}/{namespace}/{model}:{tag}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_ollama_reads_them() {
        let parse = |text| Name::parse(text).map(|name| name.parts.join(" "));
        for (text, parts) in [
            ("llama3.2", "registry.ollama.ai library llama3.2 latest"),
            ("llama3.2:1b", "registry.ollama.ai library llama3.2 1b"),
            ("me/model", "registry.ollama.ai me model latest"),
            ("hf.co/org/model:Q4_K_M", "hf.co org model Q4_K_M"),
            ("localhost:5000/me/model:x", "localhost:5000 me model x"),
            ("_a/b", "registry.ollama.ai _a b latest"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(parts), "{text}");
        }
        for bad in [
            "", ":", "a:", "/a", "a/", "..", "../a", "a/../b", ".a", "-a", "a b", "a:../x", "a:b:c", "a/b/c/d", "h/n.s/m", "a\\b",
            "a@b",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(!is_valid(Kind::Model, &"a".repeat(81)) && is_valid(Kind::Host, &"a".repeat(350)));
    }

    #[test]
    fn a_name_is_shown_without_what_it_has_by_default() {
        let shown = |text| Name::parse(text).unwrap().shown();
        assert_eq!(shown("llama3.2"), "llama3.2:latest");
        assert_eq!(shown("me/m:1"), "me/m:1");
        assert_eq!(shown("hf.co/org/m"), "hf.co/org/m:latest");
    }
}
