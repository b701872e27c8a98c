//! Knowledge of other programs stands in its rooms: names of model families in `families/`, versions in `pins.rs`, what their packages
//! define in generated tables.

use weighbridge::families::FAMILIES;
use weighbridge::families::config_keys::{SETTINGS, TEXT_PARTS};

use crate::rust_source::rust_files;

/// Files outside `families/` with a string that is also the name of a family, each with what it means there.
const ALSO_NAMES: &[(&str, &str)] = &[
    ("src/checkpoint/config/hybrid.rs", "a kind of layer in `layer_types`"),
    ("src/checkpoint/decoder_stack.rs", "a module in tensor names"),
    ("src/checkpoint/names/hugging_face.rs", "a module in tensor names"),
    ("src/checkpoint/packed/methods/scaled.rs", "a `quant_method`"),
    ("src/project/convert/dequantize.rs", "a `quant_method`"),
    ("src/project/convert/sentencepiece.rs", "`tokenizer.ggml.model`"),
    ("src/project/convert/vocab.rs", "`tokenizer.ggml.model`"),
];

#[test]
fn no_family_is_named_outside_its_row() {
    let files = rust_files("src");
    let outside = files.iter().filter(|(file, _)| !file.starts_with("src/families/") && !file.ends_with("/tests.rs"));
    let named: Vec<(&str, Vec<String>)> =
        outside.map(|(file, text)| (file.as_str(), families_named(text))).filter(|(_, found)| !found.is_empty()).collect();
    let breaches: Vec<String> = named
        .iter()
        .filter(|(file, _)| !ALSO_NAMES.iter().any(|(excepted, _)| excepted == file))
        .map(|(file, found)| format!("{file} names {}: make it a column of the family's row", found.join(", ")))
        .collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    let idle: Vec<_> = ALSO_NAMES.iter().filter(|(file, _)| !named.iter().any(|(found, _)| found == file)).collect();
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
}

#[test]
fn a_family_that_is_named_is_found() {
    assert_eq!(families_named("fn f() { if family == \"gemma3_text\" {} }"), ["gemma3_text"]);
    assert_eq!(families_named("const A: &[&str] = &[\"x\", \"qwen3moe\"];"), ["qwen3moe"]);
    assert_eq!(families_named("/// As \"llama\" has it.\nfn f() {} // \"llama\"\n#[cfg(test)]\nmod t { \"llama\" }"), [""; 0]);
}

/// Strings of a source that are names of families; comments and tests do not count.
fn families_named(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let strings = code.lines().flat_map(|line| line.split("//").next().unwrap_or_default().split('"').skip(1).step_by(2));
    let is_family = |name: &&str| FAMILIES.iter().any(|row| row.model_types.contains(name) || row.gguf == Some(*name));
    strings.filter(is_family).map(str::to_owned).collect()
}

#[test]
fn versions_of_other_programs_stand_in_one_file() {
    let files = rust_files("src");
    let pins: &str = files.iter().find(|(file, _)| file == "src/pins.rs").map(|(_, text)| text).unwrap();
    let pins = pinned(pins);
    assert!(pins.len() > 15, "{pins:?}");
    let generated = |file: &str| file.starts_with("src/families/generated/") || file == "src/scan/blocks/grids.rs";
    let elsewhere = files.iter().filter(|(file, _)| file != "src/pins.rs" && !generated(file));
    let breaches: Vec<String> = elsewhere.flat_map(|(file, text)| spelled(file, text, &pins)).collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn a_version_that_is_spelled_is_found() {
    let pins = pinned(
        "/// llama.cpp: all.\npub const LLAMA_CPP: &str = \"commit 0c1e570 (2026-10-01)\";\n/// MLX.\npub const MLX: &str = \"0.32.4\";",
    );
    for (text, found) in [
        ("//! As llama.cpp at 0c1e570 has it.", 1),
        ("fn f() {} // commit deadbeef1", 1),
        ("/// MLX 0.32.4 writes them.", 1),
        ("const A: &str = \"commit 0c1e570\";", 2),
        ("/// A commit of the hub, 0.32.41 and 10.32.4.", 0),
    ] {
        assert_eq!(spelled("src/x.rs", text, &pins).len(), found, "{text}");
    }
}

/// Hashes and versions of three parts and more, which stand for nothing else.
fn pinned(pins: &str) -> Vec<String> {
    let values = pins.lines().filter_map(|line| line.strip_prefix("pub const ")?.split('"').nth(1));
    let words = values.flat_map(|value| value.split([' ', '(', ')']));
    words.filter(|word| is_hash(word) || word.split('.').count() > 2).map(str::to_owned).collect()
}

fn is_hash(word: &str) -> bool {
    word.len() >= 7 && word.bytes().all(|b| b.is_ascii_hexdigit()) && word.bytes().any(|b| b.is_ascii_digit())
}

/// Each place where a source spells a pinned version, or a commit of any program.
fn spelled(file: &str, text: &str, pins: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').map(|w| w.trim_matches('.')).collect();
        let pin = words.iter().find(|word| pins.iter().any(|pin| pin == *word));
        let commit = words.windows(2).find(|pair| pair[0] == "commit" && is_hash(pair[1])).map(|pair| &pair[1]);
        for version in pin.into_iter().chain(commit) {
            out.push(format!("{file}:{}: `{version}` is spelled here: name it in src/pins.rs", i + 1));
        }
    }
    out
}

#[test]
fn generated_tables_say_what_made_them() {
    for entry in std::fs::read_dir("src/families/generated").unwrap() {
        let path = entry.unwrap().path();
        let (file, text) = (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        if file.ends_with("/mod.rs") {
            continue;
        }
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//") || line.starts_with("{\"made_by\"")).collect();
        let head = head.join("\n");
        assert!(head.contains("scripts/generate/"), "{file} does not begin with the script that made it:\n{head}");
        assert!(head.chars().any(|c| c.is_ascii_digit()), "{file} does not say from which version:\n{head}");
    }
}

#[test]
fn files_are_named_for_what_they_hold() {
    const SAY_NOTHING: &[&str] =
        &["further", "more", "misc", "util", "utils", "helpers", "common", "special", "stuff", "other", "data"];
    for (file, _) in rust_files("src") {
        let name = file.trim_end_matches("/mod.rs").trim_end_matches(".rs").rsplit('/').next().unwrap_or_default().to_owned();
        let begins = name.split('_').next().unwrap_or_default();
        let nothing = SAY_NOTHING.contains(&name.as_str()) || ["further", "more", "misc", "util"].contains(&begins);
        assert!(!nothing && name.parse::<u32>().is_err(), "{file}: the name does not say what it holds");
    }
}

#[test]
fn spellings_of_one_figure_stand_in_one_table() {
    let files = rust_files("src");
    let outside = files.iter().filter(|(file, _)| !file.starts_with("src/families/") && !file.ends_with("/tests.rs"));
    let breaches: Vec<String> = outside
        .flat_map(|(file, text)| spellings_listed(text).into_iter().map(move |list| format!("{file} lists {list}")))
        .collect();
    assert!(breaches.is_empty(), "ask a row of families/config_keys.rs:\n{}", breaches.join("\n"));
}

#[test]
fn a_list_of_spellings_is_found() {
    let planted = "fn f() { keys.count(&[\n    \"hidden_size\",\n    \"n_embd\",\n]) }";
    assert_eq!(spellings_listed(planted), ["\"hidden_size\", \"n_embd\""]);
    assert_eq!(spellings_listed("const A: [&str; 2] = [\"llm_config\", \"text_config\"];").len(), 1);
    // Different figures, one spelling alone, comments and tests.
    assert_eq!(spellings_listed("let a = [\"hidden_size\", \"n_layer\"]; let b = [\"n_embd\"];"), [""; 0]);
    assert_eq!(
        spellings_listed("// [\"hidden_size\", \"n_embd\"]\n#[cfg(test)]\nmod t { [\"hidden_size\", \"n_embd\"] }"),
        [""; 0]
    );
}

/// Lists of nothing but strings, two of which are spellings of one figure of config.json or two keys of text parts.
fn spellings_listed(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let lists = code.join(" ");
    let lists = lists.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    let words = |list: &str| -> Option<Vec<String>> {
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Some(part.strip_prefix('"')?.strip_suffix('"')?.to_owned())).collect()
    };
    let of_one = |list: &[String]| {
        let twice = |names: &[&str]| list.iter().filter(|word| names.contains(&word.as_str())).count() > 1;
        let parts: Vec<&str> = TEXT_PARTS.iter().map(|part| part.name).collect();
        twice(&parts) || SETTINGS.iter().any(|row| twice(&row.all_names().collect::<Vec<_>>()))
    };
    lists.filter_map(words).filter(|list| of_one(list)).map(|list| format!("\"{}\"", list.join("\", \""))).collect()
}
