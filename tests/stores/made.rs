//! Stores made by the rules of their programs' sources.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weighbridge::stores::Environment;

use crate::build::{Value as Key, gguf, packed, put};

/// A GGUF model of one matrix.
pub(crate) fn gguf_model(seed: u8) -> Vec<u8> {
    let keys = [("general.architecture", Key::Text("llama")), ("general.name", Key::Text("made"))];
    gguf(&keys, &[("token_embd.weight", &[32, 8], 0, 0)], 32, &[seed; 1024])
}

/// A safetensors model of two matrices, larger than what is passed over as small.
pub(crate) fn safetensors_model(seed: u64) -> Vec<u8> {
    let mut bytes = packed(&[("model.embed_tokens.weight", "F32", &[256, 64]), ("model.norm.weight", "F32", &[64])], 4);
    let at = bytes.len() - 8;
    bytes[at..].copy_from_slice(&seed.to_le_bytes());
    bytes
}

/// A store of Ollama in a folder.
pub(crate) struct Ollama<'a>(pub(crate) &'a Path);

impl Ollama<'_> {
    /// Puts a blob there and gives its row of a manifest.
    pub(crate) fn layer(&self, kind: &str, bytes: impl AsRef<[u8]>) -> Value {
        let bytes = bytes.as_ref();
        let hash: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        put(self.0, &format!("blobs/sha256-{hash}"), bytes);
        json!({"mediaType": format!("application/vnd.ollama.image.{kind}"), "digest": format!("sha256:{hash}"), "size": bytes.len()})
    }

    /// The same with a name.
    pub(crate) fn named(&self, kind: &str, name: &str, bytes: impl AsRef<[u8]>) -> Value {
        let mut row = self.layer(kind, bytes);
        row["name"] = name.into();
        row
    }

    /// Writes the manifest of a model: `HOST/NAMESPACE/MODEL/TAG`.
    pub(crate) fn manifest(&self, place: &str, layers: &[Value]) {
        let config = self.layer("config", br#"{"model_format":"gguf"}"#);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": config,
            "layers": layers,
        });
        put(self.0, &format!("manifests/{place}"), manifest.to_string());
    }

    /// `llama3.2:latest` with a context of its own, and `me/mine:1b` of the same blob.
    pub(crate) fn two_names(&self) {
        let model = self.layer("model", gguf_model(1));
        let params = self.layer("params", br#"{"num_ctx": 8192, "stop": ["<|eot|>"]}"#);
        let template = self.layer("template", b"{{ .Prompt }}");
        self.manifest("registry.ollama.ai/library/llama3.2/latest", &[model.clone(), template, params]);
        self.manifest("registry.ollama.ai/me/mine/1b", &[model]);
    }
}

/// The environment of a user with this home and nothing set.
pub(crate) fn at_home(home: &Path) -> Environment {
    Environment { home: Some(home.to_path_buf()), ..Environment::default() }
}
