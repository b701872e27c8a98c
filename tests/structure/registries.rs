//! What gets added is one file and one registration line. A file that nobody registered compiles in silence; here it fails.

use std::collections::HashSet;
use std::hash::Hash;

use crate::rust_source::{Token, root, rust_files, tokens};
use weighbridge::audit::CHECKS;
use weighbridge::dtype::Dtype;
use weighbridge::format::FORMATS;
use weighbridge::project::memory::ENGINES;
use weighbridge::project::quantize::SCHEMES;
use weighbridge::project::shard;
use weighbridge::report::RENDERERS;
use weighbridge::scan::{KERNELS, has_kernel};

/// A folder whose files are registered.
struct Registry {
    /// The folder; the registry stands in its `mod.rs`.
    folder: &'static str,
    /// The slice or function whose body names every file.
    list: &'static str,
    /// Files of the folder that are something else: what they all share.
    helpers: &'static [&'static str],
}

const REGISTRIES: &[Registry] = &[
    Registry { folder: "src/format/formats", list: "FORMATS", helpers: &[] },
    Registry { folder: "src/checkpoint/packed/methods", list: "METHODS", helpers: &[] },
    Registry { folder: "src/project/quantize/tools", list: "SCHEMES", helpers: &[] },
    Registry { folder: "src/project/memory/engines", list: "ENGINES", helpers: &[] },
    Registry { folder: "src/audit/checks", list: "CHECKS", helpers: &[] },
    Registry { folder: "src/scan/kernel", list: "KERNELS", helpers: &["codes", "raw_bits", "scalar", "tests"] },
    // `document` makes JSON of the bodies themselves; the others are what all outputs are made of.
    Registry {
        folder: "src/report",
        list: "RENDERERS",
        helpers: &["audit", "cell", "document", "foreign_text", "page", "project", "sarif", "scan", "sections", "show", "whole"],
    },
    Registry {
        folder: "src/stores",
        list: "STORES",
        helpers: &["environment", "folders", "inventory", "manifest", "names", "resolve", "stated"],
    },
    Registry { folder: "src/bin/weigh/commands", list: "run", helpers: &[] },
];

#[test]
fn every_file_is_registered() {
    let mut wrong = Vec::new();
    for registry in REGISTRIES {
        let path = format!("{}/mod.rs", registry.folder);
        let source = tokens(&std::fs::read_to_string(root().join(&path)).unwrap());
        let listed = listed(&source, registry.list);
        assert!(!listed.is_empty(), "{path}: no `{}` found", registry.list);
        let files: Vec<String> = rust_files(registry.folder).into_iter().filter_map(|(f, _)| module(registry.folder, &f)).collect();
        wrong.extend(unregistered(registry, &files, &listed));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_that_nobody_registered_is_found() {
    let registry = Registry { folder: "src/format", list: "FORMATS", helpers: &["sniff"] };
    let source = tokens("mod gguf; mod onnx; mod sniff; // onnx::READER\npub const FORMATS: &[R] = &[gguf::READER];\nuse onnx::A;");
    let files = ["gguf", "onnx", "sniff"].map(str::to_owned);
    let found = unregistered(&registry, &files, &listed(&source, "FORMATS"));
    assert!(found.len() == 1 && found[0].contains("src/format/onnx.rs"), "{found:?}");
    // A helper that is gone, and one that is registered after all.
    let registry = Registry { helpers: &["sniff", "gone", "gguf", "onnx"], ..registry };
    assert_eq!(unregistered(&registry, &files, &listed(&source, "FORMATS")).len(), 2);
}

#[test]
fn names_are_unique() {
    unique(FORMATS.iter().flat_map(|f| f.extensions.iter().copied()));
    unique(SCHEMES.iter().flat_map(|tool| {
        let aliases = tool.aliases.iter().map(|(alias, _)| alias);
        tool.names.iter().chain(aliases).map(move |name| (tool.container, name))
    }));
    unique(ENGINES.iter().map(|e| e.name()));
    unique(CHECKS.iter().map(|check| check.name));
    unique(RENDERERS.iter().map(|r| r.name));
    unique(shard::RULES.iter().map(|r| r.name));
    unique(Dtype::ALL.iter().map(|d| d.name()));
    unique(KERNELS.iter().map(|k| k.dtype));
}

#[test]
fn a_check_bears_the_name_of_its_file() {
    let folder = root().join("src/audit/checks");
    for check in CHECKS {
        assert!(folder.join(check.name).with_extension("rs").is_file(), "{} is no file of src/audit/checks", check.name);
    }
}

/// Ends of the paths of files outside the engines' folder that spell an engine's name as a string, each with its reason.
const NAMES_AN_ENGINE: &[(&str, &str)] = &[
    ("/shard/mod.rs", "the rule by which the library transformers cuts files"),
    ("/stores/llama_cpp.rs", "the folder in which llama.cpp kept models"),
    ("/seen.rs", "the library transformers as a tool that casts"),
    ("/remote_code.rs", "the library transformers as a package whose classes are imported"),
];

#[test]
fn no_engine_is_named_outside_its_folder() {
    let files = rust_files("src");
    let outside = files.iter().filter(|(file, _)| !file.starts_with("src/project/memory/engines/"));
    let named: Vec<&str> = outside.filter(|(_, text)| names_an_engine(text)).map(|(file, _)| file.as_str()).collect();
    let excepted = |file: &&&str| NAMES_AN_ENGINE.iter().any(|(end, _)| file.ends_with(end));
    assert_eq!(named.iter().filter(|file| !excepted(file)).collect::<Vec<_>>(), [&""; 0], "an engine says it of itself");
    assert!(
        NAMES_AN_ENGINE.iter().all(|(end, _)| named.iter().any(|file| file.ends_with(end))),
        "an exception too many: {named:?}"
    );
    assert!(names_an_engine("fn f() { if engine.name() == \"vllm\" {} }"));
    assert!(!names_an_engine("/// As \"vllm\" has it.\nfn f() {} // \"vllm\""));
}

/// Whether a string of a source is an engine's name; comments and tests do not count.
fn names_an_engine(text: &str) -> bool {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.any(|line| ENGINES.iter().any(|engine| line.contains(&format!("\"{}\"", engine.name()))))
}

#[test]
fn every_dtype_has_a_kernel() {
    let without: Vec<_> = Dtype::ALL.iter().filter(|d| !has_kernel(**d)).map(|d| d.name()).collect();
    assert!(without.is_empty(), "these are reported as not scanned: {without:?}");
}

#[test]
fn every_format_has_its_fixtures() {
    for format in FORMATS {
        for extension in format.extensions {
            let found = std::fs::read_dir(root().join("fixtures/dtypes")).unwrap();
            let found = found.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == *extension)).count();
            assert!(found > 0, "fixtures/dtypes has no .{extension} file");
        }
    }
}

/// The module of a file that stands directly in the folder, or of a folder in it; none for the registry itself.
fn module(folder: &str, file: &str) -> Option<String> {
    let inside = file.strip_prefix(folder)?.strip_prefix('/')?;
    match inside.split_once('/') {
        Some((below, "mod.rs")) => Some(below.to_owned()),
        Some(_) => None,
        None => inside.strip_suffix(".rs").filter(|name| *name != "mod").map(str::to_owned),
    }
}

/// The modules named in the body of a `const LIST` or `fn list`: words before `::`.
fn listed(tokens: &[Token], list: &str) -> HashSet<String> {
    let start = tokens.windows(2).position(|w| matches!(w[0].text.as_str(), "const" | "fn") && w[1].text == list);
    let Some(start) = start else { return HashSet::new() };
    let is_function = tokens[start].text == "fn";
    let mut depth = 0;
    let mut out = HashSet::new();
    for pair in tokens[start..].windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if is_function && depth == 0 {
                    break;
                }
            }
            ";" if depth == 0 => break,
            word if pair[1].text == "::" => drop(out.insert(word.to_owned())),
            _ => {}
        }
    }
    out
}

fn unregistered(registry: &Registry, files: &[String], listed: &HashSet<String>) -> Vec<String> {
    let Registry { folder, list, helpers } = registry;
    let mut wrong = Vec::new();
    for file in files {
        let helper = helpers.contains(&file.as_str());
        match (helper, listed.contains(file)) {
            (false, false) => wrong.push(format!(
                "{folder}/{file}.rs is not in {list} of {folder}/mod.rs: register it (or name it among the helpers of \
                 tests/structure/registries.rs)"
            )),
            (true, true) => {
                wrong.push(format!("{folder}/{file}.rs is in {list}: it is no helper in tests/structure/registries.rs"))
            }
            _ => {}
        }
    }
    wrong.extend(helpers.iter().filter(|h| !files.iter().any(|f| f == *h)).map(|h| format!("{folder}/{h}.rs is gone")));
    wrong
}

fn unique<T: Hash + Eq + std::fmt::Debug>(names: impl Iterator<Item = T>) {
    let mut seen = HashSet::new();
    for name in names {
        let shown = format!("{name:?}");
        assert!(seen.insert(name), "{shown} stands twice");
    }
}
