//! The public list of the library: every module, type, function and constant that a program can name. `WEIGH_BLESS=1` writes it anew;
//! growth is a line in a diff. Methods are not in it.

use std::fmt::Write;

use crate::rust_source::{Token, root, rust_files, tokens};

const LIST: &str = "tests/structure/public.txt";

#[test]
fn the_public_list_is_the_one_on_record() {
    let files = rust_files("src");
    let mut found = String::new();
    list("src/lib.rs", "weighbridge", &files, &mut found);
    let path = root().join(LIST);
    if std::env::var_os("WEIGH_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &found).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap();
    let only = |a: &str, b: &str| a.lines().filter(|line| !b.lines().any(|other| other == *line)).collect::<Vec<_>>().join("\n  ");
    assert!(
        found == recorded,
        "the public list has changed; if that is meant: WEIGH_BLESS=1 cargo test --test structure public\nnew:\n  {}\ngone:\n  {}",
        only(&found, &recorded),
        only(&recorded, &found)
    );
}

#[test]
fn items_are_listed_by_what_a_program_can_name() {
    let source = "mod inner; pub use inner::{A, b as c}; pub(crate) fn d() {} #[doc(hidden)] pub fn e() {} pub const F: u8 = 1;\n\
                  pub struct G(pub u8); impl G { pub fn i(&self) {} } pub mod j; #[cfg(test)] mod tests { pub fn k() {} }";
    let files = [("src/lib.rs".to_owned(), source.to_owned()), ("src/j.rs".to_owned(), "pub trait L {}".to_owned())];
    let mut found = String::new();
    list("src/lib.rs", "x", &files, &mut found);
    assert_eq!(found, "x::A\nx::c\nfn x::e (hidden)\nconst x::F\nstruct x::G\nmod x::j\ntrait x::j::L\n");
}

/// Writes the public items of a module and of the public modules in it, in the order of the source.
fn list(file: &str, module: &str, files: &[(String, String)], out: &mut String) {
    let (_, text) = files.iter().find(|(name, _)| name == file).unwrap_or_else(|| panic!("{file} is missing"));
    let tokens = tokens(text);
    let text = |i: usize| tokens.get(i).map_or("", |t: &Token| t.text.as_str());
    let (mut depth, mut hidden) = (0_usize, false);
    let mut i = 0;
    while i < tokens.len() {
        match text(i) {
            "{" | "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                hidden = false;
            }
            ";" => hidden = false,
            "hidden" if text(i - 2) == "doc" => hidden = true,
            "pub" if depth == 0 && text(i + 1) != "(" => {
                let kind = (i + 1..i + 5).find(|&k| KINDS.contains(&text(k)) && !(text(k) == "const" && text(k + 1) == "fn"));
                let Some(kind) = kind else { panic!("{file}:{}: a public item of an unknown kind", tokens[i].line) };
                let name = text(kind + 1);
                let mark = if hidden { " (hidden)" } else { "" };
                if text(kind) == "use" {
                    let end = (kind..tokens.len()).find(|&k| text(k) == ";").unwrap_or(tokens.len());
                    for (k, token) in tokens.iter().enumerate().take(end).skip(kind + 1) {
                        let is_leaf = token.is_word() && token.text != "as" && matches!(text(k + 1), "," | "}" | ";");
                        if is_leaf || token.text == "*" {
                            let _ = writeln!(out, "{module}::{}{mark}", token.text);
                        }
                    }
                    i = end;
                    hidden = false;
                    continue;
                }
                let _ = writeln!(out, "{} {module}::{name}{mark}", text(kind));
                if text(kind) == "mod" && text(kind + 2) == ";" && !hidden {
                    let folder = file.trim_end_matches("lib.rs").trim_end_matches("mod.rs");
                    let folder =
                        if folder.ends_with('/') { folder.to_owned() } else { format!("{}/", folder.trim_end_matches(".rs")) };
                    let candidates = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")];
                    let below = candidates.iter().find(|c| files.iter().any(|(f, _)| f == *c));
                    list(below.unwrap_or(&candidates[0]), &format!("{module}::{name}"), files, out);
                }
                i = kind;
            }
            _ => {}
        }
        i += 1;
    }
}

const KINDS: &[&str] = &["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "use", "union"];
