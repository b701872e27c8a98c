//! The layer rule: a room of the library uses only rooms that stand before it. The sources are read as text, so a breach is
//! found with its file and line, also where the compiler would accept it.

use std::collections::BTreeSet;

use crate::rust_source::{Token, root, rust_files, tokens};

/// The rooms, lowest first. A room may use itself and the rooms before it.
const ROOMS: &[&str] = &[
    "text",
    "error",
    "choice",
    "units",
    "dtype",
    "source",
    "observe",
    "pins",
    "threads",
    "format",
    "families",
    "checkpoint",
    "stores",
    "stats",
    "scan",
    "project",
    "audit",
    "diff",
    "report",
    "weigh",
];

/// Rooms that do not see each other although one stands before the other.
const STRANGERS: &[(&str, &str)] = &[("scan", "project")];

/// The order inside rooms, lowest first: the files and folders of a room, or a path below it that stands apart from its folder. A file
/// may use itself and what stands before it. The room's own `mod.rs` and `tests.rs` stand above them all: who wants what `mod.rs` re-exports names its file.
const INSIDE: &[(&str, &[&str])] = &[
    (
        "project",
        &[
            "input",
            "plan",
            "stacked",
            "expert_names",
            "bridge",
            "narrowest",
            "row",
            "copies",
            "written",
            "unpack",
            "convert",
            "quantize",
            "prune",
            "training_data",
            "shard",
            "part",
            "projection",
            "defaults",
            "memory",
            "beside_weights",
        ],
    ),
    (
        "project/memory",
        &[
            "terms",
            "resident",
            "kv_type",
            "budget",
            "limits",
            "parallel",
            "training",
            // Options of one engine, which requests carry.
            "engines/llama_cpp/options",
            "request",
            "sharing",
            "engine",
            "torch",
            "engines",
            "partial",
            "contradiction",
            "places",
            "converted",
            "fit",
        ],
    ),
    ("project/memory/parallel", &["convention", "rule", "stages", "sizes", "cache", "slice", "adapters"]),
    ("project/memory/training", &["recipe", "request", "model", "activations", "states", "adapters", "spread", "distillation"]),
    (
        "project/memory/engines/llama_cpp",
        &["options", "sheet", "cells", "weights", "cache", "graph", "build", "bounds", "compute", "resident"],
    ),
    ("project/memory/fit", &["verdict", "demand", "search", "lever", "row", "engine", "training"]),
    (
        "project/convert",
        &[
            "stop",
            "keys",
            "hparams",
            "loaded",
            "types",
            "tokens",
            "special_tokens",
            "class_tokens",
            "sentencepiece",
            "vocab",
            "conversion",
            "common_keys",
            "model_keys",
            "source_names",
            "tensors",
            "family",
            "nvfp4",
            "dequantize",
            "general",
            "candidates",
            "converted",
            "typed",
            "header",
        ],
    ),
    ("project/prune", &["cut", "spec", "forms", "dims", "axes", "magnitude", "row", "structured"]),
    (
        "audit",
        &[
            "finding", "bounds", "raw_json", "archive", "pickle", "pickled", "keras", "template", "subject", "defects", "tensors",
            "check", "checks", "policy", "place",
        ],
    ),
];

/// Files that may be longer, each with its reason. A file that has become short enough must leave the list.
const LONG_FILES: &[(&str, &str)] = &[
    ("src/checkpoint/packed/tests.rs", "one test a packed format"),
    ("src/families/rows.rs", "a table: one row a family"),
    ("src/project/convert/model_keys.rs", "one function a family"),
];

/// Tables made by scripts; nobody reads them from top to bottom.
const GENERATED: &str = "src/families/generated/";
const MAX_LINES: usize = 450;

/// Files that may hold `unsafe`; the tests of hostile files and of full disks bound their child before it runs.
fn may_be_unsafe(file: &str) -> bool {
    matches!(file, "src/source/mapped.rs" | "src/source/fault.rs" | "tests/faults/report.rs" | "tests/hostile.rs")
        || file.starts_with("src/scan/simd/")
}

#[test]
fn rooms_use_only_rooms_before_them() {
    let breaches: Vec<String> = rust_files("src").iter().flat_map(|(file, text)| breaches(file, text)).collect();
    assert!(breaches.is_empty(), "the layer rule is broken:\n{}", breaches.join("\n"));
}

#[test]
fn planted_breaches_are_found() {
    let planted = [
        ("src/dtype/plain.rs", "use crate::scan::scan;", 1, "scan"),
        ("src/dtype/plain.rs", "\n\nuse crate::{units::Bytes, format::{Container, Format}};", 3, "format"),
        ("src/dtype/plain.rs", "use {crate::format::Container, std::fmt};", 1, "format"),
        ("src/dtype/plain.rs", "pub use crate::{\n    units::Bytes,\n    report,\n};", 3, "report"),
        ("src/error.rs", "fn f() {\n    crate::units::parse(\"x\");\n}", 2, "units"),
        ("src/error.rs", "fn f() -> crate :: units :: Bytes { todo }", 1, "units"),
        ("src/stats/leaf.rs", "use super::super::scan::Kernel;", 1, "scan"),
        ("src/stats/leaf.rs", "type T = super::super::scan::Kernel;", 1, "scan"),
        ("src/stats/leaf.rs", "use super::{leaf, super::scan};", 1, "scan"),
        ("src/stats/mod.rs", "use super::scan;", 1, "scan"),
        ("src/units.rs", "mod tests {\n    use super::super::dtype::Dtype;\n}", 2, "dtype"),
        ("src/units.rs", "use self::super::dtype::Dtype;", 1, "dtype"),
        ("src/scan/driver.rs", "use crate::project::Request;", 1, "project"),
        ("src/project/input.rs", "use crate::scan::Selection;", 1, "scan"),
        ("src/project/memory/engines/vllm/mod.rs", "use super::super::super::super::scan::Selection;", 1, "scan"),
        ("src/audit/checks/nan.rs", "use crate::report::Renderer;", 1, "report"),
        ("src/units.rs", "use crate::*;", 1, "*"),
        ("src/units.rs", "use crate as everything;", 1, "as"),
        ("src/units.rs", "use crate::{self as everything};", 1, "self"),
        ("src/units.rs", "use super::Anything;", 1, "Anything"),
        ("src/units.rs", "use weighbridge::dtype::Dtype;", 1, "weighbridge"),
        ("src/units.rs", "#[path = \"dtype/mod.rs\"]\nmod other;", 1, "path"),
    ];
    for (file, text, line, named) in planted {
        assert_found(file, text, line, named);
    }
}

fn assert_found(file: &str, text: &str, line: usize, named: &str) {
    let found = breaches(file, text);
    assert_eq!(found.len(), 1, "{file}: {text}\n{found:?}");
    assert!(found[0].starts_with(&format!("{file}:{line}: ")), "{text}\n{found:?}");
    assert!(found[0].contains(&format!("`{named}`")), "{text}\n{found:?}");
}

#[test]
fn what_is_no_breach_is_not_reported() {
    let fine = [
        ("src/text.rs", "//! See [`crate::error::Error`].\n/// [`crate::scan`]\n// use crate::scan;\nfn f() {}"),
        ("src/text.rs", "/* use crate::scan; /* nested */ crate::report */ pub(crate) fn f() {}"),
        ("src/text.rs", "const A: &str = \"crate::scan\"; const B: &str = r#\"crate::\"scan\"#; const C: char = '\"';"),
        ("src/text.rs", "fn f<'a>(x: &'a str) -> &'a str { let _quote = '\\''; x } // crate::scan"),
        ("src/units.rs", "use crate::{error::{Error, Result}, text};\nmod tests { use super::*; use crate::units::Bytes; }"),
        ("src/stats/leaf.rs", "use super::{fold, super::dtype::Dtype};\nmod tests { use super::super::tree; }"),
        ("src/scan/kernel/mod.rs", "use super::super::stats; use super::super::scan::Simd; pub(in crate::scan) fn f() {}"),
        ("src/scan/driver.rs", "use crate::checkpoint::Checkpoint;"),
        (
            "src/project/mod.rs",
            "pub use quantize::Target; use self::memory::memory; fn f() { crate::project::projection::project() }",
        ),
        ("src/project/prune/cut.rs", "use super::super::plan::Basis; use crate::project::{input::ProjectInput, quantize::Target};"),
        ("src/project/memory/fit/mod.rs", "use crate::project::projection::Request; use super::super::input::ProjectInput;"),
        ("src/report/mod.rs", "use crate::{scan, project, audit};"),
        ("src/audit/mod.rs", "use policy::Policy; use super::audit::checks; pub use crate::audit::finding::Finding;"),
        ("src/audit/policy.rs", "use super::checks::{self, find}; pub(in crate::audit) fn f() { super::bounds::none() }"),
        (
            "src/audit/checks/extent.rs",
            "use super::values; use super::super::finding::{Code, Finding}; mod tests { use super::*; }",
        ),
        ("src/project/memory/request.rs", "use super::engines::llama_cpp::options::LlamaCppOptions;"),
        ("src/project/memory/fit/engine.rs", "use super::row::FitRow; use crate::project::memory::engines;"),
        ("src/lib.rs", "pub mod text;\npub use report::Renderer;"),
        ("src/bin/weigh/commands/show.rs", "use crate::args::ShowArgs; use weighbridge::report;"),
    ];
    for (file, text) in fine {
        assert_eq!(breaches(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

#[test]
fn planted_breaches_inside_rooms_are_found() {
    let planted = [
        ("src/project/plan.rs", "use crate::project::row::QuantizedRow;", 1, "row"),
        ("src/project/plan.rs", "use super::{input::ProjectInput, quantize::{Target, options::Options}};", 1, "quantize"),
        ("src/project/convert/mod.rs", "\nfn f() { super::quantize::row() }", 2, "quantize"),
        ("src/project/convert/tests.rs", "use super::super::prune::PruneSpec;", 1, "prune"),
        ("src/project/prune/mod.rs", "use crate::project::Projection;", 1, "Projection"),
        ("src/project/prune/cut.rs", "mod tests {\n    use super::super::super::memory::memory;\n}", 2, "memory"),
        ("src/audit/finding.rs", "use super::policy::Policy;", 1, "policy"),
        ("src/audit/checks/extent.rs", "use crate::audit::{\n    finding::Finding,\n    policy::Policy,\n};", 3, "policy"),
        ("src/audit/checks/mod.rs", "use super::policy::{self, Policy};", 1, "policy"),
        ("src/audit/pickle/opcode.rs", "fn f() {\n    super::super::subject::parse()\n}", 2, "subject"),
        ("src/audit/subject.rs", "mod tests { use super::super::{finding, check::Check}; }", 1, "check"),
        // What `mod.rs` re-exports.
        ("src/audit/checks/extent.rs", "use super::super::Severity;", 1, "Severity"),
        ("src/project/memory/terms.rs", "use crate::project::memory::EngineRow;", 1, "EngineRow"),
        ("src/project/memory/fit/row.rs", "use crate::project::memory::{self, terms::Term};", 1, "mod.rs"),
        // One file of a folder stands lower than the folder.
        ("src/project/memory/request.rs", "use super::engines::llama_cpp::weights::Weights;", 1, "engines"),
        ("src/project/memory/engines/llama_cpp/options.rs", "use crate::project::memory::request::Settings;", 1, "request"),
        ("src/project/memory/parallel/rule.rs", "use super::slice::Slice;", 1, "slice"),
        // A file that was added without a place.
        ("src/audit/verdicts.rs", "use super::finding::Finding;", 1, "verdicts"),
    ];
    for (file, text, line, named) in planted {
        assert_found(file, text, line, named);
    }
}

#[test]
fn the_order_inside_rooms_names_every_file() {
    let files = rust_files("src");
    for (room, order) in INSIDE {
        let below = format!("src/{room}/");
        let inside: Vec<&str> = files
            .iter()
            .filter_map(|(file, _)| file.strip_prefix(&below))
            .filter(|f| !matches!(*f, "mod.rs" | "tests.rs"))
            .collect();
        for file in &inside {
            let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
            assert!(place_in(order, &module.split('/').collect::<Vec<_>>()).is_some(), "{below}{file} has no place in INSIDE");
        }
        for entry in *order {
            let is_there = |f: &&str| f.trim_end_matches(".rs") == *entry || f.starts_with(&format!("{entry}/"));
            assert!(inside.iter().any(is_there), "{below}{entry} is in INSIDE and nowhere else");
        }
    }
}

#[test]
fn every_room_has_its_place_in_the_order() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rooms: Vec<String> = modules(&tokens(&lib)).into_iter().map(|(_, name)| name).collect();
    for room in &rooms {
        assert!(ROOMS.contains(&room.as_str()), "src/lib.rs has a room `{room}` that tests/structure/layers.rs does not know");
    }
}

#[test]
fn every_file_is_a_module_of_the_crate() {
    let files = rust_files("src");
    let mut reached = BTreeSet::new();
    for (file, _) in files.iter().filter(|(f, _)| f == "src/lib.rs" || (f.starts_with("src/bin/") && f.ends_with("/main.rs"))) {
        reach(file, &files, &mut reached);
    }
    let lost: Vec<_> = files.iter().map(|(f, _)| f).filter(|f| !reached.contains(*f)).collect();
    assert!(lost.is_empty(), "no `mod` declaration leads to these files, so they are not compiled: {lost:?}");
}

#[test]
fn files_keep_to_their_length() {
    let mut wrong = Vec::new();
    for (file, text) in rust_files("src") {
        let lines = text.lines().count();
        if file.starts_with(GENERATED) {
            continue;
        }
        let excepted = LONG_FILES.iter().any(|(f, _)| *f == file);
        if lines > MAX_LINES && !excepted {
            wrong.push(format!("{file}: {lines} lines, more than {MAX_LINES}: split it where it holds two ideas"));
        }
        if lines <= MAX_LINES && excepted {
            wrong.push(format!("{file}: {lines} lines: it needs its exception in tests/structure/layers.rs no longer"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stays_in_its_rooms_and_nothing_is_a_stub() {
    let mut wrong = Vec::new();
    let files: Vec<_> = ["src", "tests"].into_iter().flat_map(rust_files).collect();
    for (file, text) in &files {
        let tokens = tokens(text);
        for (i, token) in tokens.iter().enumerate() {
            let next = |n: usize| tokens.get(i + n).map_or("", |t| t.text.as_str());
            let stub = matches!(token.text.as_str(), "todo" | "unimplemented") && next(1) == "!";
            let ignored = token.text == "#" && next(1) == "[" && next(2) == "ignore";
            if stub || ignored {
                wrong.push(format!("{file}:{}: a stub or an ignored test", token.line));
            }
            if token.text == "unsafe" && !may_be_unsafe(file) {
                wrong.push(format!("{file}:{}: `unsafe` outside its files", token.line));
            }
        }
        let marker = concat!("FIX", "ME");
        wrong.extend(text.lines().zip(1..).filter(|(l, _)| l.contains(marker)).map(|(_, n)| format!("{file}:{n}: {marker}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_stand_alone_and_decide_no_basis() {
    let wrong: Vec<String> = rust_files("src/bin").iter().flat_map(|(file, text)| command_breaches(file, text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let planted = [
        ("src/bin/weigh/commands/report.rs", "use super::scan::body;"),
        ("src/bin/weigh/commands/report.rs", "use crate::commands::scan::body;"),
        ("src/bin/weigh/load.rs", "use weighbridge::project::Basis;"),
        ("src/bin/weigh/load.rs", "row.basis = weighbridge::project::Basis::Estimate;"),
    ];
    for (file, text) in planted {
        assert_eq!(command_breaches(file, text).len(), 1, "{file}: {text}");
    }
    assert!(command_breaches("src/bin/weigh/commands/mod.rs", "mod scan; scan::run()").is_empty());
}

/// A command that imports another, and a basis that is not the library's to give.
fn command_breaches(file: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let is_command = file.contains("/commands/") && !file.ends_with("/mod.rs");
    let mut out = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let next = tokens.get(i + 1).map_or("", |t| t.text.as_str());
        if is_command && matches!(token.text.as_str(), "super" | "commands") && next == "::" {
            out.push(format!("{file}:{}: a command uses another: what both need stands beside `commands`", token.line));
        }
        if token.text == "Basis" {
            out.push(format!("{file}:{}: the basis of a figure is given where the figure is made", token.line));
        }
    }
    out
}

/// Marks `file` and every file that its `mod` declarations lead to.
fn reach(file: &str, files: &[(String, String)], reached: &mut BTreeSet<String>) {
    let Some((_, text)) = files.iter().find(|(f, _)| f == file) else { return };
    reached.insert(file.to_owned());
    let (folder, name) = file.rsplit_once('/').unwrap();
    let own = matches!(name, "mod.rs" | "lib.rs" | "main.rs");
    let base = if own { folder.to_owned() } else { format!("{folder}/{}", name.trim_end_matches(".rs")) };
    for (inside, module) in modules(&tokens(text)) {
        let path = inside.iter().chain([&module]).fold(base.clone(), |path, part| format!("{path}/{part}"));
        reach(&format!("{path}.rs"), files, reached);
        reach(&format!("{path}/mod.rs"), files, reached);
    }
}

/// Every `mod x;`, with the inline modules around it.
fn modules(tokens: &[Token]) -> Vec<(Vec<String>, String)> {
    let mut out = Vec::new();
    for (i, inside) in inline_modules(tokens).into_iter().enumerate() {
        if let [keyword, name, end] = &tokens[i..(i + 3).min(tokens.len())]
            && keyword.text == "mod"
            && name.is_word()
            && end.text == ";"
        {
            out.push((inside, name.text.clone()));
        }
    }
    out
}

/// For each token, the inline modules (`mod x { ... }`) that it stands in.
fn inline_modules(tokens: &[Token]) -> Vec<Vec<String>> {
    let mut open: Vec<(usize, String)> = Vec::new();
    let (mut depth, mut out) = (0, Vec::with_capacity(tokens.len()));
    for (i, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                if i >= 2 && tokens[i - 2].text == "mod" {
                    open.push((depth, tokens[i - 1].text.clone()));
                }
            }
            "}" => {
                open.retain(|(at, _)| *at < depth);
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        out.push(open.iter().map(|(_, name)| name.clone()).collect());
    }
    out
}

/// A path from the crate's root: each name with its line.
type Path = Vec<(usize, String)>;

/// What a file uses against the rule, as `file:line: reason`.
fn breaches(file: &str, text: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap().trim_end_matches(".rs").trim_end_matches("/mod");
    let module: Vec<&str> = inside.split('/').collect();
    // The crate's root declares the rooms; the command is a crate of its own, above all of them.
    if module == ["lib"] || module[0] == "bin" {
        return Vec::new();
    }
    let tokens = tokens(text);
    let inline = inline_modules(&tokens);
    let mut out = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let before = |n: usize| i.checked_sub(n).map_or("", |p| tokens[p].text.as_str());
        let next = tokens.get(i + 1).map_or("", |t| t.text.as_str());
        // `pub(in path)` says who may see an item, and uses nothing.
        let visibility = before(1) == "in" && before(2) == "(" && before(3) == "pub";
        let mut used: Vec<Path> = Vec::new();
        match token.text.as_str() {
            "crate" if next == "as" => used.push(vec![(token.line, "as".to_owned())]),
            "crate" | "super" | "self" if next == "::" && before(1) != "::" && !visibility && !within_group(&tokens, i) => {
                let own = module.iter().copied().chain(inline[i].iter().map(String::as_str));
                walk_path(&tokens, i, own.map(|name| (token.line, name.to_owned())).collect(), &mut used);
            }
            "weighbridge" if next == "::" => used.push(vec![(token.line, "weighbridge".to_owned())]),
            "path" if next == "=" && before(2) == "#" => used.push(vec![(token.line, "path".to_owned())]),
            _ => {}
        }
        for path in used {
            let found = match refusal(module[0], &path[0].1) {
                Some(reason) => Some((path[0].0, reason)),
                None => INSIDE.iter().find_map(|(room, order)| refusal_inside(room, order, &module, &path)),
            };
            let told = found.map(|(line, reason)| format!("{file}:{line}: {reason}"));
            out.extend(told.filter(|told| !out.contains(told)).into_iter().collect::<Vec<_>>());
        }
    }
    out
}

/// Whether a `super` or `self` at `i` is an element of a group whose path was walked already: `super::{a, super::b}`.
fn within_group(tokens: &[Token], i: usize) -> bool {
    let mut depth = 0;
    for j in (0..i).rev() {
        match tokens[j].text.as_str() {
            "}" => depth += 1,
            "{" if depth == 0 => return j > 0 && tokens[j - 1].text == "::",
            "{" => depth -= 1,
            ";" | "(" | ")" => return false,
            _ => {}
        }
    }
    false
}

/// Follows a path from `crate`, `self` or `super`, which starts in the module `at`, and notes where it leads. Returns where it ends.
fn walk_path(tokens: &[Token], mut i: usize, mut at: Path, used: &mut Vec<Path>) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut stepped = false;
    loop {
        match text(i) {
            "crate" => at.clear(),
            "super" => drop(at.pop()),
            // At the root this is the root itself, under a name of its own.
            "self" if !at.is_empty() || !stepped => {}
            "{" => return walk_group(tokens, i, &at, used),
            "" => return i,
            name => at.push((tokens[i].line, name.to_owned())),
        }
        stepped = true;
        if text(i + 1) != "::" {
            if !at.is_empty() {
                used.push(at);
            }
            return end_of_branch(tokens, i);
        }
        i += 2;
    }
}

fn walk_group(tokens: &[Token], open: usize, at: &Path, used: &mut Vec<Path>) -> usize {
    let mut i = open + 1;
    while let Some(token) = tokens.get(i) {
        match token.text.as_str() {
            "}" => return i + 1,
            "," => i += 1,
            "self" if at.is_empty() => {
                used.push(vec![(token.line, "self".to_owned())]);
                i = end_of_branch(tokens, i);
            }
            _ => i = walk_path(tokens, i, at.clone(), used),
        }
    }
    i
}

/// Where this element of a group ends: at the comma or bracket that closes it.
fn end_of_branch(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" | "," if depth == 0 => return i,
            "}" => depth -= 1,
            ";" => return i,
            _ => {}
        }
    }
    tokens.len()
}

/// Why `room` may not use `name` of the crate's root; `None` where it may.
fn refusal(room: &str, name: &str) -> Option<String> {
    let place = |r: &str| ROOMS.iter().position(|known| *known == r);
    let Some(own) = place(room) else { return Some(format!("`{room}` is a room without a place in the order")) };
    match place(name) {
        None => Some(format!("room `{room}` names `{name}`, which is no room: write the path of what is meant")),
        Some(other) if other > own => Some(format!("room `{room}` uses `{name}`, which stands after it")),
        Some(_) if STRANGERS.iter().any(|s| *s == (room, name) || *s == (name, room)) => {
            Some(format!("room `{room}` uses `{name}`: these two do not see each other"))
        }
        Some(_) => None,
    }
}

/// The line and the reason why a file of `room` may not use a path in it; `None` where it may.
fn refusal_inside(room: &str, order: &[&str], module: &[&str], path: &Path) -> Option<(usize, String)> {
    let room_path: Vec<&str> = room.split('/').collect();
    let names: Vec<&str> = path.iter().map(|(_, name)| name.as_str()).collect();
    let own = module.strip_prefix(room_path.as_slice())?;
    let used = names.strip_prefix(room_path.as_slice())?;
    let (first, line) = (own.first().filter(|first| **first != "tests")?, path[room_path.len().min(path.len() - 1)].0);
    let Some(own) = place_in(order, own) else {
        return Some((line, format!("`{first}` is in `{room}` without a place in INSIDE")));
    };
    match (used.first(), place_in(order, used)) {
        (None, _) => Some((line, format!("`{}` uses the `mod.rs` of `{room}`, which stands after it", order[own]))),
        (Some(name), None) => {
            Some((line, format!("`{}` uses `{name}` of the mod.rs of `{room}`: name the file that it is in", order[own])))
        }
        (Some(name), Some(other)) if other > own => {
            Some((line, format!("in `{room}`, `{}` uses `{name}`, which stands after it", order[own])))
        }
        _ => None,
    }
}

/// The place in an order of what a path leads to: the longest entry that begins it.
fn place_in(order: &[&str], path: &[&str]) -> Option<usize> {
    let begins = |entry: &str| path.starts_with(&entry.split('/').collect::<Vec<_>>());
    let places = order.iter().enumerate().filter(|(_, entry)| begins(entry));
    places.max_by_key(|(_, entry)| entry.len()).map(|(place, _)| place)
}
