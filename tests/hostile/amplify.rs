//! Texts within every stated length that are a hundred times larger as trees of values: every command keeps within the limit on memory,
//! and what it did not keep is told.

use std::path::Path;

use serde_json::Value;

use super::{safetensors_of, within_the_limit};

const CONFIG: &str = r#""architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":1,"intermediate_size":8,"vocab_size":8"#;

/// Bytes of padding: a third of what is read of a configuration, and enough for ten times the limit in the worst case.
const LENGTH: usize = 6 << 20;

fn list_of(unit: &str) -> String {
    format!("[{}0]", unit.repeat(LENGTH / unit.len()))
}

/// A model of one tensor, with these files beside it.
fn folder(files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    safetensors_of(&folder.path().join("model.safetensors"), 1, |_| {
        r#""model.embed_tokens.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#.to_owned()
    });
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The document and the exit code of a command.
fn document(arguments: &[&str], path: &Path) -> (Value, Option<i32>) {
    let mut command = crate::program::program();
    let output = command.args(arguments).arg(path).args(["--format", "json", "--no-progress"]).output().unwrap();
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), output.status.code())
}

fn finding<'d>(document: &'d Value, code: &str, file: &str) -> Option<&'d Value> {
    document["findings"].as_array()?.iter().find(|f| f["code"] == code && f["file"] == file)
}

const COMMANDS: [&[&str]; 6] =
    [&["show"], &["audit"], &["memory"], &["memory", "--engine", "llama.cpp"], &["project", "--to", "all"], &[]];

#[test]
fn a_configuration_of_any_kind_of_values_takes_bounded_memory() {
    let deep = format!("{}0{},", r#"{"":"#.repeat(60), "}".repeat(60));
    let keys: String = (0..LENGTH / 12).map(|i| format!(r#""{i:07}":0,"#)).collect();
    let lists = [r#"{"":0},"#, "0,", "[0],", "\"a\",", &deep].map(list_of);
    for pad in lists.into_iter().chain([format!("{{{keys}\"\":0}}")]) {
        let folder = folder(&[("config.json", format!(r#"{{{CONFIG},"pad":{pad},"auto_map":{{"AutoModel":"x.X"}}}}"#))]);
        let shown: String = pad.chars().take(20).collect();
        for command in COMMANDS {
            // Not read to the end: that is said, and nothing is made of a part of it.
            assert_eq!(within_the_limit(command, folder.path()), Some(2), "{command:?} {shown}");
        }
        let twice = ["diff", folder.path().to_str().unwrap()];
        assert_eq!(within_the_limit(&twice, folder.path()), Some(2), "{shown}");
        let (audit, code) = document(&["audit"], folder.path());
        assert_eq!(code, Some(2), "{shown}");
        let over = finding(&audit, "over-limit", "config.json").unwrap_or_else(|| panic!("{shown}: {audit}"));
        assert!(over["severity"] == "error" && over["message"].as_str().unwrap().contains("32 MiB"), "{over}");
        assert_eq!(audit["coverage"]["files_not_understood"], serde_json::json!(["config.json"]), "{shown}");
        // What is looked for in every file is found whatever stands before it.
        assert!(finding(&audit, "remote-code", "config.json").is_some(), "{shown}: {audit}");
    }
}

#[test]
fn every_other_file_of_a_folder_takes_bounded_memory() {
    let pad = list_of(r#"{"":0},"#);
    let config = || ("config.json", format!("{{{CONFIG}}}"));
    // Read by opening, by the converter's rules, or by the audit alone.
    for file in [
        "quantize_config.json",
        "generation_config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "hf_quant_config.json",
        "modules.json",
        "chat_template.json",
        "tokenizer.json",
        "adapter_config.json",
        "model_index.json",
        "preprocessor_config.json",
    ] {
        let key = if file == "tokenizer.json" { "normalizer" } else { "auto_map" };
        let text = format!(r#"{{"bits":4,"{key}":{pad}}}"#);
        let folder = folder(&[config(), (file, text)]);
        for command in COMMANDS {
            within_the_limit(command, folder.path());
        }
        if file == "tokenizer.json" {
            continue;
        }
        let (audit, _) = document(&["audit"], folder.path());
        let over = finding(&audit, "over-limit", file).unwrap_or_else(|| panic!("{file}: {audit}"));
        let read_by_name = ["config", "template", "model_index"].iter().any(|part| file.contains(part));
        assert_eq!(over["severity"] == "error", read_by_name, "{over}");
        assert!(audit["coverage"]["files_not_understood"].as_array().unwrap().contains(&file.into()), "{file}");
    }
    // Many files do not add up, whether each is within its own bound or beyond it.
    let part = format!(r#"{{"auto_map":[{}0]}}"#, r#"{"":0},"#.repeat(40_000));
    for text in [format!(r#"{{"auto_map":{pad}}}"#), part] {
        let names: Vec<String> = (0..8).map(|i| format!("a{i}_config.json")).collect();
        let files: Vec<(&str, String)> = names.iter().map(|name| (name.as_str(), text.clone())).collect();
        let folder = folder(&files);
        assert_eq!(within_the_limit(&["audit"], folder.path()), Some(1));
        let (audit, _) = document(&["audit"], folder.path());
        assert!(finding(&audit, "over-limit", "a7_config.json").is_some(), "{audit}");
    }
}

/// A file that is longer than is read is not one that was understood.
#[test]
fn a_text_beyond_the_longest_is_told() {
    let long = |start: &str, end: &str| format!("{start}{}{end}", " ".repeat(16 << 20));
    let folder = folder(&[
        ("tokenizer_config.json", long("{", r#""chat_template":"{{ cycler }}"}"#)),
        ("chat_template.jinja", long("", "{{ cycler }}")),
        ("results.json", long("{", "}")),
        ("README.md", long("# A model", "")),
    ]);
    let (audit, code) = document(&["audit"], folder.path());
    assert_eq!(code, Some(1));
    for (file, severity) in
        [("tokenizer_config.json", "error"), ("chat_template.jinja", "error"), ("results.json", "note"), ("README.md", "note")]
    {
        let over = finding(&audit, "over-limit", file).unwrap_or_else(|| panic!("{file}: {audit}"));
        assert!(over["severity"] == severity && over["message"].as_str().unwrap().contains("16777216"), "{over}");
        assert!(audit["coverage"]["files_not_understood"].as_array().unwrap().contains(&file.into()), "{file}");
    }
}

/// The tokens of a tokenizer, its words and pieces, and the lines of a model card, in what goes by the converter's rules.
#[test]
fn vocabularies_and_cards_take_bounded_memory() {
    let numbers = |n: usize, one: &dyn Fn(usize) -> String| (0..n).map(one).collect::<Vec<_>>().join(",");
    let vocab = numbers(2_000_000, &|i| format!("\"{i}\":{i}"));
    let vocab = format!(r#"{{"model":{{"type":"BPE","vocab":{{{vocab}}},"merges":[]}}}}"#);
    let added = format!(r#"{{"added_tokens":[{}{{}}],"model":{{"type":"BPE","vocab":{{"a":0}}}}}}"#, "{},".repeat(5_000_000));
    let one = String::from_utf8(vec![10, 0]).unwrap();
    for (file, text) in [
        ("tokenizer.json", vocab),
        ("tokenizer.json", added),
        ("vocab.txt", "\n".repeat(10 << 20)),
        ("tokenizer.model", one.repeat(8 << 20)),
        ("README.md", format!("---\n{}---\n", "a:\n".repeat(3 << 20))),
        ("README.md", format!("---\ntags: [{}a]\n---\n", "a,".repeat(500_000))),
    ] {
        let folder = folder(&[("config.json", format!("{{{CONFIG}}}")), (file, text)]);
        for command in [&["project", "--to", "all"][..], &["memory", "--engine", "llama.cpp"], &[], &["audit"]] {
            within_the_limit(command, folder.path());
        }
        // A file that was not kept whole is no reason for a figure that calls itself exact.
        let (project, _) = document(&["project", "--to", "gguf:f16"], folder.path());
        let row = &project["quantized"][0];
        assert!(row["basis"] == "refused" || row["basis"] == "estimate", "{file}: {project}");
    }
}

/// Parts of a scan come from other machines: what they leave out takes no memory either.
#[test]
fn parts_of_a_scan_take_bounded_memory() {
    let folder = folder(&[]);
    let part = folder.path().join("part.json");
    let mut scan = crate::program::program();
    let weights = folder.path().join("model.safetensors");
    scan.arg("scan").arg(&weights).args(["--stats", "full", "--part", "1/1", "--no-progress", "-o"]).arg(&part);
    assert!(scan.status().unwrap().success());
    assert_eq!(within_the_limit(&["merge"], &part), Some(0));
    let text = std::fs::read_to_string(&part).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    let full = |files: String| {
        let mut part = whole.clone();
        part["full"]["files"] = Value::Null;
        part.to_string().replace(r#""files":null"#, &format!(r#""files":{files}"#))
    };
    let padded = |pad: &str| format!("[[{}null]]", pad.repeat(LENGTH / pad.len()));
    let mut all = vec![text.replacen('{', &format!(r#"{{"pad":{},"#, list_of(r#"{"":0},"#)), 1)];
    all.extend(["null,", r#"{"elements":0,"zeros":0},"#].map(|pad| full(padded(pad))));
    all.push(full(list_of("[],").replace(",0]", "]")));
    for text in all {
        std::fs::write(&part, &text).unwrap();
        within_the_limit(&["merge"], &part);
    }
}

/// Names, keys and arrays of a GGUF, each within its own bound: what all of them take is bounded too.
#[test]
fn headers_take_bounded_memory() {
    let string = |text: &[u8]| [&(text.len() as u64).to_le_bytes(), text].concat();
    let head = |tensors: u64, keys: u64| [&b"GGUF"[..], &3u32.to_le_bytes(), &tensors.to_le_bytes(), &keys.to_le_bytes()].concat();
    let long = |i: usize, len: usize| [format!("n{i}").as_bytes(), &vec![b'x'; len]].concat();
    let mut names = head(140, 0);
    for i in 0..140 {
        names.extend([string(&long(i, (1 << 20) - 8)), 1u32.to_le_bytes().to_vec(), 1u64.to_le_bytes().to_vec()].concat());
        names.extend([&24u32.to_le_bytes()[..], &0u64.to_le_bytes()].concat());
    }
    let mut keys = head(0, 3000);
    (0..3000).for_each(|i| keys.extend([string(&long(i, 65_000)), 0u32.to_le_bytes().to_vec(), vec![1]].concat()));
    let mut arrays = head(0, 12_000);
    for i in 0..12_000 {
        arrays.extend([string(&long(i, 0)), 9u32.to_le_bytes().to_vec(), 0u32.to_le_bytes().to_vec()].concat());
        arrays.extend([&4096u64.to_le_bytes()[..], &[1; 4096]].concat());
    }
    for (what, bytes, code) in [("names", names, Some("over-limit")), ("keys", keys, Some("over-limit")), ("arrays", arrays, None)]
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.gguf"), bytes).unwrap();
        for command in [&["show"][..], &["memory"], &["audit"]] {
            within_the_limit(command, folder.path());
        }
        if let Some(code) = code {
            let (audit, _) = document(&["audit"], folder.path());
            assert!(finding(&audit, code, "model.gguf").is_some(), "{what}: {audit}");
        }
    }
}

/// Files of a set add up: those whose headers would be too much together are told and not read.
#[test]
fn headers_of_many_files_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let header = format!("{{{}\"w\":{{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}}}", " ".repeat(60 << 20));
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), b"x"].concat();
    (1..4).for_each(|i| std::fs::write(folder.path().join(format!("m{i}.safetensors")), &bytes).unwrap());
    let (audit, _) = document(&["audit"], folder.path());
    assert!(finding(&audit, "over-limit", "m3.safetensors").is_some(), "{audit}");
    assert!(finding(&audit, "over-limit", "m2.safetensors").is_none(), "{audit}");
}
