//! The layer rule: a room of the library uses only rooms that stand before it. The sources are read as text, so a breach is
//! found with its file and line, also where the compiler would accept it.

use std::collections::BTreeSet;

use crate::rust_source::{Token, root, rust_files, tokens};

/// The rooms, lowest first. A room may use itself and the rooms before it.
const ROOMS: &[&str] = &[
    "text",
    "error",
    "units",
    "dtype",
    "source",
    "observe",
    "pins",
    "threads",
    "format",
    "families",
    "checkpoint",
    "stats",
    "scan",
    "project",
    "audit",
    "diff",
    "report",
];

/// Rooms that do not see each other although one stands before the other.
const STRANGERS: &[(&str, &str)] = &[("scan", "project")];

/// Files that may be longer, each with its reason. A file that has become short enough must leave the list.
const LONG_FILES: &[(&str, &str)] =
    &[("src/checkpoint/quantization/tests.rs", "one test a packed format"), ("src/families/rows.rs", "a table: one row a family")];

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
        ("src/project/memory/engine/vllm.rs", "use super::super::super::super::scan::Selection;", 1, "scan"),
        ("src/audit/checks/nan.rs", "use crate::report::Renderer;", 1, "report"),
        ("src/units.rs", "use crate::*;", 1, "*"),
        ("src/units.rs", "use crate as everything;", 1, "as"),
        ("src/units.rs", "use crate::{self as everything};", 1, "self"),
        ("src/units.rs", "use super::Anything;", 1, "Anything"),
        ("src/units.rs", "use weighbridge::dtype::Dtype;", 1, "weighbridge"),
        ("src/units.rs", "#[path = \"dtype/mod.rs\"]\nmod other;", 1, "path"),
    ];
    for (file, text, line, named) in planted {
        let found = breaches(file, text);
        assert_eq!(found.len(), 1, "{file}: {text}\n{found:?}");
        assert!(found[0].starts_with(&format!("{file}:{line}: ")), "{text}\n{found:?}");
        assert!(found[0].contains(&format!("`{named}`")), "{text}\n{found:?}");
    }
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
        ("src/report/mod.rs", "use crate::{scan, project, audit};"),
        ("src/lib.rs", "pub mod text;\npub use report::Renderer;"),
        ("src/bin/weigh/commands/show.rs", "use crate::args::ShowArgs; use weighbridge::report;"),
    ];
    for (file, text) in fine {
        assert_eq!(breaches(file, text), Vec::<String>::new(), "{file}: {text}");
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

/// What a file uses against the rule, as `file:line: reason`.
fn breaches(file: &str, text: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap().trim_end_matches(".rs").trim_end_matches("/mod");
    let module: Vec<&str> = inside.split('/').collect();
    // The crate's root declares the rooms; the command is a crate of its own, above all of them.
    if module == ["lib"] || module[0] == "bin" {
        return Vec::new();
    }
    let tokens = tokens(text);
    let depths = inline_modules(&tokens);
    let mut out = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let previous = i.checked_sub(1).map_or("", |p| tokens[p].text.as_str());
        let next = tokens.get(i + 1).map_or("", |t| t.text.as_str());
        let mut used = Vec::new();
        match token.text.as_str() {
            "crate" if next == "as" => used.push((token.line, "as".to_owned())),
            "crate" | "super" | "self" if next == "::" && previous != "::" && !within_group(&tokens, i) => {
                walk_path(&tokens, i, module.len() + depths[i].len(), &mut used);
            }
            "weighbridge" if next == "::" => used.push((token.line, "weighbridge".to_owned())),
            "path" if next == "=" && i >= 2 && tokens[i - 2].text == "#" => used.push((token.line, "path".to_owned())),
            _ => {}
        }
        out.extend(used.into_iter().filter_map(|(line, name)| Some(format!("{file}:{line}: {}", refusal(module[0], &name)?))));
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

/// Follows a path from `crate`, `self` or `super` and notes each name that it takes from the crate's root. Returns where it ends.
fn walk_path(tokens: &[Token], mut i: usize, mut depth: usize, used: &mut Vec<(usize, String)>) -> usize {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut stepped = false;
    loop {
        match text(i) {
            "crate" => depth = 0,
            "super" => depth = depth.saturating_sub(1),
            // At the root this is the root itself, under a name of its own.
            "self" if depth > 0 || !stepped => {}
            "{" => return walk_group(tokens, i, depth, used),
            name => {
                if depth == 0 && !name.is_empty() {
                    used.push((tokens[i].line, name.to_owned()));
                }
                return end_of_branch(tokens, i);
            }
        }
        stepped = true;
        if text(i + 1) != "::" {
            return end_of_branch(tokens, i);
        }
        i += 2;
    }
}

fn walk_group(tokens: &[Token], open: usize, depth: usize, used: &mut Vec<(usize, String)>) -> usize {
    let mut i = open + 1;
    while let Some(token) = tokens.get(i) {
        match token.text.as_str() {
            "}" => return i + 1,
            "," => i += 1,
            "self" if depth == 0 => {
                used.push((token.line, "self".to_owned()));
                i = end_of_branch(tokens, i);
            }
            _ => i = walk_path(tokens, i, depth, used),
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
