//! Code that hides from an audit: each place and form by itself, in a folder that is otherwise healthy. Nothing is unpickled.

use crate::build::{put, safetensors};
use weighbridge::audit::{Audit, AuditRequest, Severity, audit};
use weighbridge::observe::Silent;

const INDEX: &str = "pytorch_model.bin.index.json";
/// `os.system("true")`, as protocol 0 and 2 write it.
const OLD: &[u8] = b"cos\nsystem\n(S'true'\ntR.";
const NEW: &[u8] = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.";
/// `collections.OrderedDict()`.
const HARMLESS: &[u8] = b"\x80\x02ccollections\nOrderedDict\n)R.";

fn audited(files: &[(&str, Vec<u8>)]) -> Audit {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "model.safetensors", safetensors(&[("w", "F32", &[2], (0, 8))], &[0; 8]));
    files.iter().for_each(|(name, bytes)| put(folder.path(), name, bytes));
    audit(folder.path(), &AuditRequest::default(), &Silent).unwrap()
}

fn codes(files: &[(&str, Vec<u8>)]) -> Vec<&'static str> {
    audited(files).findings.iter().map(|f| f.code).collect()
}

#[track_caller]
fn finds(code: &str, files: &[(&str, Vec<u8>)]) {
    let found = codes(files);
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    assert!(found.contains(&code), "{names:?}: no {code} among {found:?}");
}

#[track_caller]
fn warns_of(code: &str, files: &[(&str, Vec<u8>)]) {
    let audit = audited(files);
    assert!(audit.findings.iter().any(|f| f.code == code && f.severity == Severity::Warning), "{:?}", audit.findings);
}

#[track_caller]
fn finds_nothing(files: &[(&str, Vec<u8>)]) {
    let audit = audited(files);
    let bad: Vec<_> = audit.findings.iter().filter(|f| f.severity > Severity::Note).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

/// An archive of stored members, written as other programs write it, with a comment.
fn zip(members: &[(&str, &[u8])], comment: &[u8]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let sizes = [(data.len() as u32).to_le_bytes(); 2].concat();
        let lens = [(name.len() as u16).to_le_bytes(), [0, 0]].concat();
        directory.extend([&b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &sizes, &lens, &[0; 10]].concat());
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend([&b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &sizes, &lens, name.as_bytes(), data].concat());
    }
    let (count, start) = ((members.len() as u16).to_le_bytes(), out.len() as u32);
    let size = (directory.len() as u32).to_le_bytes();
    out.extend(directory);
    out.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size, &start.to_le_bytes()].concat());
    out.extend((comment.len() as u16).to_le_bytes());
    out.extend(comment);
    out
}

/// A tar archive of one member.
fn tar(name: &str, data: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend(data);
    block.resize(block.len().next_multiple_of(512) + 1024, 0);
    block
}

/// A directory of two members, of which the old end record names a harmless part and the ZIP64 record all.
fn split() -> Vec<u8> {
    let whole = zip(&[("a/version", b"3\n"), ("a/data.pkl", NEW)], b"");
    let end = whole.len() - 22;
    let number = |at: usize| u64::from(u32::from_le_bytes(whole[end + at..end + at + 4].try_into().unwrap()));
    let (size, start) = (number(12), number(16));
    let first = 46 + "a/version".len();
    let mut out = whole[..end].to_vec();
    let large = out.len() as u64;
    out.extend([&b"PK\x06\x06"[..], &44u64.to_le_bytes(), &[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat());
    out.extend([2u64, 2, size, start].map(u64::to_le_bytes).concat());
    out.extend([&b"PK\x06\x07\0\0\0\0"[..], &large.to_le_bytes(), &[1, 0, 0, 0]].concat());
    out.extend(
        [&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &(first as u32).to_le_bytes(), &(start as u32).to_le_bytes(), &[0, 0]].concat(),
    );
    out
}

#[test]
fn pickles_of_every_protocol_under_every_name() {
    let forms: &[&[u8]] = &[
        OLD,
        NEW,
        b"(cos\nsystem\nU\x04true\x85Rt.",
        b"\x80\x02\x880cos\nsystem\nX\x04\0\0\0true\x85R.",
        b"\x80\x02)0cos\nsystem\nX\x04\0\0\0true\x85R.",
        b"\x80\x02\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.",
        b"\x80\x01cos\nsystem\nX\x04\0\0\0true\x85R.",
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"N0I1\n0cos\nsystem\n(S'true'\ntR!!",
        b"]\x940\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"Vx\n0Vos\nVsystem\n\x93p7\n0g7\nVtrue\n\x85\x81.",
    ];
    for name in
        ["pytorch_model.bin", "w.pt", "state", "notes.txt", "README.rst", "logo.png", "x.json", "w.npy", "model.py", "a.dat"]
    {
        for form in forms {
            finds("pickle-dangerous-import", &[(name, form.to_vec())]);
            finds("pickle", &[(name, form.to_vec())]);
        }
    }
    // What only an index makes a pickle.
    let index = br#"{"weight_map":{"w":"w.txt"}}"#.to_vec();
    finds("pickle", &[(INDEX, index), ("w.txt", b"no text that is understood".to_vec())]);
}

#[test]
fn archives_in_every_form() {
    for (name, bytes) in [
        ("w.bin", zip(&[("a/data.PKL", NEW)], b"")),
        ("w.dat", zip(&[("a/version", b"3\n"), ("a/data.pkl", OLD)], b"")),
        ("w.bin", zip(&[("a/data.pkl", NEW)], &[&b"PK\x05\x06"[..], &[0; 18]].concat())),
        ("w.bin", split()),
        ("w.pt", split()),
        ("w.bin", [b"#!/bin/sh\n", &zip(&[("a/data.pkl", NEW)], b"")[..]].concat()),
        ("w.bin", tar("pickle", NEW)),
        ("w.tar", tar("anything", OLD)),
        ("w.nemo", tar("w.ckpt", &zip(&[("a/data.pkl", NEW)], b""))),
        ("w.npz", zip(&[("a.npy", &npy("|O"))], b"")),
        ("w.npy", npy("|O")),
        ("w.npy", npy("i4,O")),
        ("w.pt2", zip(&[("archive/data/weights/model.pt", &zip(&[("a/data.pkl", OLD)], b""))], b"")),
        ("w.bin", gzip(NEW)),
        ("w.pkl.gz", gzip(OLD)),
        ("w.json.gz", gzip(NEW)),
    ] {
        finds("pickle-dangerous-import", &[(name, bytes.clone())]);
        finds("pickle", &[(name, bytes)]);
    }
    for bytes in [split(), zip(&[("a/data.pkl", NEW)], &[&b"PK\x05\x06"[..], &[0; 18]].concat())] {
        finds("archive-ambiguous", &[("w.bin", bytes)]);
    }
    // What cannot be looked into is told where a loader would open it.
    for (name, bytes) in [
        ("w.bin", [&zip(&[("a/data.pkl", NEW)], b"")[..], &[0; 70_000]].concat()),
        ("w.joblib", b"\x5d\0\0\x80\0\xff\xff".to_vec()),
        ("w.pkl.xz", b"\xfd7zXZ\0\0\0".to_vec()),
        ("w.pt", NEW[..12].to_vec()),
        ("w.pt", [&b"\x80\x02N.".repeat(70)[..], NEW].concat()),
    ] {
        finds("pickle-not-followed", &[(name, bytes.clone())]);
        finds("pickle", &[(name, bytes)]);
    }
    // Members that Python's zipfile unpacks and we do not, and more members than are looked at.
    let bzip2 = |name: &str| {
        let mut bytes = zip(&[(name, NEW)], b"");
        let directory = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        (bytes[8], bytes[directory + 10]) = (12, 12);
        bytes
    };
    let names: Vec<String> = (0..1001).map(|i| format!("{i:04}.npy")).collect();
    let mut many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"plain"[..])).collect();
    let objects = npy("|O");
    many[1000].1 = &objects;
    for bytes in [bzip2("a.npy"), zip(&many, b"")] {
        warns_of("not-inspected", &[("w.npz", bytes.clone())]);
        finds("not-inspected", &[("w.dat", bytes.clone())]);
        finds("pickle-not-followed", &[("w.pt", bytes)]);
    }
    finds("pickle-not-followed", &[("w.npz", bzip2("a.pkl"))]);
    // A second pickle that breaks off after its work is done.
    let second = [&b"\x80\x02N."[..], &OLD[..OLD.len() - 1], b"\xff"].concat();
    finds("pickle-dangerous-import", &[("w.pt", second.clone())]);
    finds("pickle-not-followed", &[("w.pt", second)]);
}

/// Stored in one deflate block.
fn gzip(data: &[u8]) -> Vec<u8> {
    let len = data.len() as u16;
    [&b"\x1f\x8b\x08\0\0\0\0\0\0\0\x01"[..], &len.to_le_bytes(), &(!len).to_le_bytes(), data].concat()
}

fn npy(descr: &str) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}\n");
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), NEW].concat()
}

#[test]
fn names_that_are_worked_out_and_names_beside_the_list() {
    let rot13 = b"\x80\x04\x8c\x07_codecs\x8c\x06encode\x93\x8c\x02bf\x8c\x05rot13\x86R\x8c\x06system\x93\x8c\x04true\x85R.";
    let long = [&b"ctorch\n"[..], &b"functional.".repeat(50), b"os.system\n(S'true'\ntR."].concat();
    let escaped = [&b"Vtorch\nV"[..], &b"\\u0066".repeat(400), b"\n\x93."].concat();
    for form in [&rot13[..], &long, &escaped, b"cenum\nbltns.eval\n(S'1'\ntR.", b"cmine\nload_it\n(tR."] {
        finds("pickle-dangerous-import", &[("w.pt", form.to_vec())]);
    }
    let unknown = b"\x80\x02cmine.net\nNet\n)\x81.".to_vec();
    let found = audited(&[("w.pt", unknown)]);
    assert!(
        !found.failed && found.findings.iter().any(|f| f.code == "pickle-unknown-import" && f.message.contains("mine.net.Net"))
    );
    let harmless = codes(&[("w.pt", HARMLESS.to_vec())]);
    assert!(harmless.contains(&"pickle") && !harmless.contains(&"pickle-unknown-import"), "{harmless:?}");
}

/// Texts, pictures and raw numbers whose first bytes happen to be opcodes are no pickles.
#[test]
fn what_only_begins_like_a_pickle_is_none() {
    let texts = [
        ("requirements.txt", "certifi\ntorch\nRequests\n"),
        (".gitignore", "cache\nlogs\n.env\n"),
        ("vocab.txt", "i\nthe\nof\n"),
        ("notes.md", "import os\nimport sys\n(see below)\n"),
        ("run.py", "import os\nfrom x import y\n"),
        ("LICENSE", "Licensed to you\n(c) 2026\n"),
        ("conda.yaml", "channels:\n  - x\n"),
        ("merges.txt", "#version: 0.2\nt h\n"),
        ("stats.csv", "I,1\n2,3\n"),
    ];
    for (name, text) in texts {
        finds_nothing(&[(name, text.as_bytes().to_vec())]);
    }
    finds_nothing(&[("raw.bin", b"cccccccc\0\x01\x02\x03\xff\n\n\n\n".to_vec())]);
    finds_nothing(&[("weights.msgpack", b"\x82\xa6params\x81\xa1w\x00\xa4step\x01".to_vec())]);
    finds_nothing(&[("logo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec())]);
    finds_nothing(&[("array.npy", npy("<f4"))]);
    finds_nothing(&[("data.zip", zip(&[("a.txt", b"text"), ("b/c.json", b"{}")], b""))]);
    assert!(codes(&[("raw.bin", vec![7; 64])]).contains(&"not-inspected"));
}

/// A folder that tools keep is named, and one in which a loader would look is more than that.
#[test]
fn folders_that_are_not_looked_into_are_named() {
    for folder in [".git", ".cache", "__pycache__", ".ipynb_checkpoints"] {
        let name = format!("{folder}/x.pt");
        let found = audited(&[(&name, NEW.to_vec())]);
        let told = found.findings.iter().find(|f| f.code == "skipped-folder").expect("a finding");
        assert_eq!((told.file.as_deref(), told.severity), (Some(folder), Severity::Note));
    }
    let index = br#"{"weight_map":{"w":".cache/x.bin"}}"#.to_vec();
    let found = audited(&[(INDEX, index), (".cache/x.bin", NEW.to_vec())]);
    assert!(found.findings.iter().any(|f| f.code == "skipped-folder" && f.severity == Severity::Warning));
}

/// Code of a repository, wherever a configuration names it, and where that is no JSON to us.
#[test]
fn code_of_a_repository_is_told_wherever_it_is_named() {
    let deep = format!(r#"{{"x":{}1{},"auto_map":{{"AutoModel":"other/repo--evil.M"}}}}"#, "[".repeat(300), "]".repeat(300));
    for (name, text) in [
        ("tokenizer_config.json", r#"{"auto_map":{"AutoTokenizer":["evil.T",null]}}"#),
        ("processor_config.json", r#"{"image_processor":{"x":[{"auto_map":{"AutoImageProcessor":"evil.P"}}]}}"#),
        ("config.json", r#"{"text_config":{"vision":{"auto_map":{"AutoConfig":"evil.C"}}}}"#),
        ("config.json", r#"{"x":NaN,"\u0061uto_map":{"AutoModel":"evil.M"}}"#),
        ("config.json", deep.as_str()),
        ("preprocessor_config.json", deep.as_str()),
        ("config.json", r#"{"auto_map":{"AutoModel":"evil.M"},}"#),
        ("adapter_config.json", r#"{"peft_type":"LORA","auto_mapping":{"base_model_class":"X","parent_library":"evil"}}"#),
        ("modules.json", r#"[{"idx":0,"name":"0","path":"","type":"evil_st.Transformer"}]"#),
        ("0_Router/router_config.json", r#"{"types":{"query":"evil.Router"}}"#),
        ("2_Dense/config.json", r#"{"in_features":8,"activation_function":"evil.act"}"#),
        ("model_index.json", r#"{"_class_name":["pipeline","EvilPipeline"]}"#),
        ("model_index.json", r#"{"_class_name":"FluxPipeline","unet":["my_unet","EvilUnet"]}"#),
        ("config.json", r#"{"model_type":"x","model_file":"evil.py"}"#),
        ("config.json", r#"{"attn_implementation":"evil/kernel"}"#),
        ("config.json", r#"{"custom_pipelines":{"my-task":{"impl":"evil.P","pt":["AutoModel"]}}}"#),
        ("custom_generate/generate.py", "import os"),
        ("handler.py", "import os"),
    ] {
        finds("remote-code", &[(name, text.as_bytes().to_vec())]);
    }
    finds("python-files", &[("deep/modeling_x.py", b"import os".to_vec())]);
    for (name, text) in [
        (
            "adapter_config.json",
            r#"{"auto_mapping":{"base_model_class":"L","parent_library":"transformers.models.llama.modeling_llama"}}"#,
        ),
        ("adapter_config.json", r#"{"auto_mapping":null}"#),
        ("modules.json", r#"[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"}]"#),
        ("1_Pooling/config.json", r#"{"activation_function":"torch.nn.modules.activation.Tanh"}"#),
        ("config.json", r#"{"model_type":"gpt2","activation_function":"gelu_new","_attn_implementation":"sdpa"}"#),
        (
            "model_index.json",
            r#"{"_class_name":"StableDiffusionPipeline","_diffusers_version":"0.6","unet":["diffusers","UNet2DConditionModel"],
                "safety_checker":["stable_diffusion","StableDiffusionSafetyChecker"],"feature_extractor":[null,null]}"#,
        ),
    ] {
        let found = codes(&[(name, text.as_bytes().to_vec())]);
        assert!(!found.contains(&"remote-code"), "{name}: {found:?}");
    }
    // A library that is a file of the component's folder is code of the repository, whatever its name.
    let index = br#"{"_class_name":"FluxPipeline","scheduler":["flux","S"]}"#.to_vec();
    finds("remote-code", &[("model_index.json", index), ("scheduler/flux.py", b"import os".to_vec())]);
}

#[test]
fn templates_are_searched_where_the_file_is_no_json_and_in_every_place() {
    let evil = "{{ cycler.__init__.__globals__ }}";
    for (name, text) in [
        ("tokenizer_config.json", format!(r#"{{"chat_template":"{evil}"}}"#)),
        ("processor_config.json", format!(r#"{{"a":{{"chat_template":[{{"name":"x","template":"{evil}"}}]}}}}"#)),
        ("tokenizer_config.json", format!(r#"{{"chat_template":"{evil}",}}"#)),
        ("tokenizer_config.json", r#"{"chat_template":"{{ ''|attr\u0020('x') }}",}"#.to_owned()),
        ("additional_chat_templates/x.jinja", evil.to_owned()),
    ] {
        finds("chat-template", &[(name, text.into_bytes())]);
    }
}

/// Understood is what was read and makes sense: a name that promises text is not enough.
#[test]
fn only_texts_that_were_read_are_understood() {
    let text = "é and a line\n".repeat(20_000).into_bytes();
    let found = audited(&[("notes.txt", text), ("raw.txt", b"\0\x01\x02".to_vec()), ("LICENSE.md", vec![0xff; 9])]);
    assert_eq!(found.coverage.files_not_understood, ["LICENSE.md", "raw.txt"]);
    assert_eq!((found.coverage.files_seen, found.coverage.files_understood), (4, 2));
    assert!(found.coverage.bytes_read > 280_000);
}
