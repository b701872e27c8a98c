//! A type's name stands for one thing in the whole library.

use std::collections::BTreeMap;

use crate::rust_source::{rust_files, tokens};

/// Names of several types that other modules see. The list may only become shorter.
const HOMONYMS: &[&str] = &[
    "Axis",
    "Block",
    "Budget",
    "Conversion",
    "Counts",
    "Cut",
    "Dims",
    "Entry",
    "F32s",
    "F64s",
    "Found",
    "Gather",
    "Graph",
    "Group",
    "Halves",
    "Keys",
    "Kind",
    "Layout",
    "Module",
    "Order",
    "Outcome",
    "Part",
    "Piece",
    "Place",
    "Plan",
    "Projection",
    "Reader",
    "Resolved",
    "Schemes",
    "Structure",
    "Style",
    "Subject",
    "Sums",
    "Table",
    "Tally",
    "Tool",
    "Totals",
    "Verdict",
    "Vocabulary",
    "Words",
];

#[test]
fn types_do_not_share_names() {
    let files = rust_files("src");
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (file, text) in files.iter().filter(|(file, _)| !file.starts_with("src/bin/")) {
        for name in visible_types(text) {
            places.entry(name).or_default().push(file);
        }
    }
    places.retain(|_, files| files.len() > 1);
    let shared: Vec<&str> = places.keys().map(String::as_str).collect();
    let fresh: Vec<String> =
        shared.iter().filter(|name| !HOMONYMS.contains(name)).map(|name| format!("{name}: {:?}", places[*name])).collect();
    assert!(fresh.is_empty(), "one name for several types:\n{}", fresh.join("\n"));
    let settled: Vec<_> = HOMONYMS.iter().filter(|name| !shared.contains(name)).collect();
    assert!(settled.is_empty(), "no longer shared, take them off the list: {settled:?}");
}

#[test]
fn types_that_other_modules_see_are_found() {
    let text = "pub struct A; pub(super) enum B {} struct C; pub(in crate::x) trait D {} pub type E<'a> = &'a u8; impl F for A { type G = u8; }";
    assert_eq!(visible_types(text), ["A", "B", "D", "E"]);
}

/// Names of the types that a source declares with `pub` of any reach.
fn visible_types(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let mut out = Vec::new();
    for i in (0..tokens.len()).filter(|&i| text(i) == "pub") {
        let mut next = i + 1;
        if text(next) == "(" {
            next = (next..tokens.len()).find(|&k| text(k) == ")").unwrap_or(next) + 1;
        }
        if matches!(text(next), "struct" | "enum" | "trait" | "type") {
            out.push(text(next + 1).to_owned());
        }
    }
    out
}
