//! What protects a reader's terminal: hostile names, keys, types and paths go through every body and every renderer.

use std::path::Path;

use super::audit::AuditBody;
use super::cell::Section;
use super::page::Page;
use super::sarif::sarif;
use super::scan::ScanBody;
use super::sections::{self, Detail};
use super::show::{ShowBody, ShowOptions, totals};
use super::text::TextStyle;
use super::{RENDERERS, whole::WholeReport};
use crate::audit::{AuditRequest, audit};
use crate::checkpoint::{OpenOptions, Summary, open};
use crate::diff::diff;
use crate::observe::Silent;
use crate::project::prune::PruneSpec;
use crate::project::shard::ShardSpec;
use crate::project::{MemoryRequest, Request, Target, memory_of_checkpoint, project_checkpoint};
use crate::scan::{ScanOptions, Selection, scan};

/// Moves the cursor, changes colours, rings, reorders, hides, breaks lines.
const HOSTILE: &str = "\u{1b}[31m\u{7}\u{9b}\u{202e}\u{200b}\u{2028}\n\r\u{e0041}";

fn write(folder: &Path) {
    let bad = serde_json::Value::String(format!("x{HOSTILE}")).to_string();
    let bad = bad.trim_matches('"');
    let header = format!(
        r#"{{"__metadata__":{{"{bad}":"{bad}"}},
        "model.embed_tokens.{bad}.weight":{{"dtype":"F32","shape":[64,32],"data_offsets":[0,8192]}},
        "model.layers.0.{bad}.weight":{{"dtype":"F32","shape":[64,32],"data_offsets":[8192,16384]}},
        "model.layers.0.self_attn.q_proj.{bad}":{{"dtype":"F{bad}","shape":[32],"data_offsets":[16384,16448]}},
        "model.layers.0.mlp.{bad}":{{"dtype":"F32","shape":[2,64],"data_offsets":[16400,16512]}}}}"#
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + 16384, 0);
    bytes.extend([0xff; 140]);
    let name = |stem: &str| folder.join(format!("{stem}\u{202e}\u{200b}.safetensors"));
    std::fs::write(name("weights"), &bytes).unwrap();
    std::fs::write(name("page"), "<!DOCTYPE html>").unwrap();
    let config = format!(
        r#"{{"architectures":["A{bad}"],"model_type":"llama","hidden_size":32,"num_hidden_layers":1,"num_attention_heads":4,
        "torch_dtype":"{bad}","quantization_config":{{"quant_method":"{bad}","bits":4}}}}"#
    );
    std::fs::write(folder.join("config.json"), config).unwrap();
}

/// Renders sections in every form; none may let a hostile character through. Gives what was rendered.
fn rendered(sections: &[Section<'_>]) -> String {
    let mut all = String::new();
    for renderer in RENDERERS {
        for style in [TextStyle::default(), TextStyle { width: 160, exact: true, ..TextStyle::default() }] {
            let text = Page::text(|page| (renderer.render)(sections, &style, page)).replace("\r\n", "\n");
            let stray: Vec<&str> = text.lines().filter(|line| line.contains(is_hostile)).collect();
            assert!(stray.is_empty(), "{}: {stray:?}", renderer.name);
            all.push_str(&text);
        }
    }
    all
}

fn is_hostile(c: char) -> bool {
    HOSTILE.contains(c) && !"[31m".contains(c)
}

#[test]
fn hostile_text_is_escaped_in_every_body_by_every_renderer() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let checkpoint = open(folder.path(), &OpenOptions { second_opinion: true, ..OpenOptions::default() }).unwrap();
    assert!(checkpoint.tensors().count() >= 4 && !checkpoint.problems.is_empty());
    let path = checkpoint.path.to_string_lossy().into_owned();

    let options = ShowOptions { tensors: true, metadata: true, map: true, layers: true, filter: None };
    let show = rendered(&sections::show(&path, &ShowBody::of(&checkpoint, &options), None));
    // It went through: names, keys and types are there, escaped.
    assert!(show.contains("u{202e}") && show.contains("u{1b}") && show.contains("u{e0041}"), "{show}");
    rendered(&sections::errors(&checkpoint));
    rendered(&sections::whole_of_headers(&path, &WholeReport::of_headers(&checkpoint, &MemoryRequest::default())));

    let request = Request {
        targets: Target::parse_list(&format!("all,x{HOSTILE}"), checkpoint.format()),
        prune: vec![PruneSpec::Share(0.5), PruneSpec::Pattern { keep: 2, of: 4 }],
        shards: vec![ShardSpec::parse("huggingface:5KB").unwrap()],
        explain: checkpoint.tensors().next().map(|t| t.name().into_owned()),
        ..Request::default()
    };
    rendered(&sections::project(&project_checkpoint(&checkpoint, &request), Detail::Full));
    let memory = memory_of_checkpoint(&checkpoint, &MemoryRequest::default());
    rendered(&sections::memory(&memory, Detail::Full, true));
    let sum = totals(&Summary::of(&checkpoint));
    rendered(&sections::diff(&path, &path, (&sum, &sum), &diff(&checkpoint, &checkpoint, true), true));

    let selection = Selection::of(&checkpoint, &|_| true);
    let outcome = scan(&selection.files, &ScanOptions::default(), &Silent).unwrap();
    let body = ScanBody::of(&checkpoint, &outcome, None, &selection.order);
    rendered(&sections::scan(&body.with_tensors(&checkpoint, &outcome, None, &selection.order), Detail::Full));

    let request = AuditRequest { scan: Some(ScanOptions::default()), ..AuditRequest::default() };
    let audit = audit(folder.path(), &request, &Silent).unwrap();
    let audited = AuditBody::of(&audit);
    assert!(!audited.findings.is_empty());
    rendered(&sections::audit(&path, &audited));
    rendered(&sections::findings(&audited));
    for result in sarif(&audited, &audit.place, Path::new(""))["runs"][0]["results"].as_array().unwrap() {
        let message = result["message"]["text"].as_str().unwrap();
        assert!(!message.contains(is_hostile), "{message:?}");
    }
}
