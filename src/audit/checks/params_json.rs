//! Mistral's params.json beside a config.json: whether they describe one model.

use serde_json::Value;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Note;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::config::{from_config_json, from_params_json};

const DIFFER: Code = code(
    "params-differ",
    "params.json and config.json state different figures",
    Note,
    "Both files describe the model, and not as the same one. config.json is what figures here are made of, and what transformers reads; vLLM may read params.json where \
     both are there. One of them is of another model, or was not kept up.",
);

pub(super) const CHECK: Check = Check { name: "params_json", codes: &[DIFFER], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let object = |name: &str| subject.texts.iter().find(|t| t.name == name).and_then(|t| t.json.as_ref()?.as_object());
    let (Some(config), Some(params)) = (object("config.json"), object("params.json")) else { return };
    let Ok(theirs) = from_params_json(params) else { return };
    let ours = from_config_json(&Value::Object(config.clone()));
    // The context is left out: the two files have long been known to state it differently for one model.
    let figures = [
        ("layers", ours.layers, theirs.layers),
        ("hidden size", ours.hidden_size, theirs.hidden_size),
        ("heads", ours.heads, theirs.heads),
        ("key/value heads", ours.kv_heads, theirs.kv_heads),
        ("head dim", ours.head_dim, theirs.head_dim),
        ("feed-forward width", ours.ffn_size, theirs.ffn_size),
        ("vocabulary", ours.vocab_size, theirs.vocab_size),
        ("experts", ours.experts, theirs.experts),
        ("experts per token", ours.experts_used, theirs.experts_used),
    ];
    let differ: Vec<String> = figures
        .into_iter()
        .filter_map(|(what, ours, theirs)| Some((what, ours?, theirs?)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .map(|(what, ours, theirs)| format!("{what} {theirs} against {ours}"))
        .collect();
    if !differ.is_empty() {
        let message = format!("params.json differs from config.json, which is taken: {}", differ.join(", "));
        out.push(Finding::new(&DIFFER, message).file("params.json"));
    }
}
