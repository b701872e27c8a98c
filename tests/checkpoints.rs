//! Real checkpoints: what `weigh show` and `weigh scan` count equals what other tools counted (fixtures/truth/checkpoints.json).
//!
//! The two small ones lie in the repository. The others are compared where they were fetched (scripts/fetch_checkpoints.py, into
//! target/checkpoints or $WEIGH_CHECKPOINTS); those that were not are skipped, and the skips are counted out loud.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "common/program.rs"]
mod program;
#[path = "common/skipped.rs"]
mod skipped;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

type Facts = BTreeMap<String, Option<u64>>;

#[test]
fn figures_equal_those_of_other_tools() {
    let text = std::fs::read_to_string(root().join("fixtures/truth/checkpoints.json")).unwrap();
    let truth: Value = serde_json::from_str(&text).unwrap();
    let (mut checked, mut skipped, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for row in truth["checkpoints"].as_array().unwrap() {
        let id = row["id"].as_str().unwrap();
        let Some(path) = place(id, row["file"].as_str().unwrap()) else {
            skipped.push(id);
            continue;
        };
        checked.push(id);
        let (expected, found) = (expected(row), found(&path, row["truncated"] == true));
        for key in expected.keys().chain(found.keys().filter(|k| !expected.contains_key(*k))) {
            let (want, got) = (expected.get(key).copied().flatten(), found.get(key).copied().flatten());
            if want != got {
                wrong.push(format!("{id}: {key}: {got:?}, expected {want:?}"));
            }
        }
    }
    println!("{} checkpoints compared: {}", checked.len(), checked.join(", "));
    if !skipped.is_empty() {
        skipped::skipped(skipped.len(), "checkpoints", &format!("not fetched: {}", skipped.join(", ")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked.contains(&"fracast-f32") && checked.contains(&"fracast-int8"), "the pair of the repository is checked always");
}

#[test]
fn a_folder_selects_one_weight_set_and_names_the_other() {
    let shown = weigh(&["show", "fixtures/fracast"], 0);
    assert_eq!(shown["totals"]["stored_elements"], 85_001);
    let sets = shown["components"][0]["weight_sets"].as_array().unwrap();
    let selected: Vec<_> =
        sets.iter().map(|s| (s["name"].as_str().unwrap(), s["selected"] == true, s["tensor_bytes"].as_u64())).collect();
    assert_eq!(selected, [("model", true, Some(340_004)), ("model.int8", false, Some(106_828))]);
}

/// Projected to the mixture that it has, a GGUF takes the bytes that it has.
#[test]
fn the_own_mixture_has_the_own_size() {
    let text = std::fs::read_to_string(root().join("fixtures/truth/checkpoints.json")).unwrap();
    let truth: Value = serde_json::from_str(&text).unwrap();
    let (mut compared, mut skipped) = (0, 0);
    for row in truth["checkpoints"].as_array().unwrap() {
        // The mixture is the last word of the name that the checkpoint was published under.
        let id = row["id"].as_str().unwrap();
        let Some(target) = ["q4_1", "q4_k_m"].into_iter().find(|target| id.ends_with(&format!("-{target}"))) else { continue };
        let Some(path) = place(id, row["file"].as_str().unwrap()) else {
            skipped += 1;
            continue;
        };
        compared += 1;
        let projected = weigh(&["project", path.to_str().unwrap(), "--to", target], 0);
        let figures = &projected["quantized"][0];
        assert_eq!((figures["scheme"].as_str(), figures["basis"].as_str()), (Some(target), Some("exact")), "{id}");
        for key in ["tensor_bytes", "file_bytes"] {
            assert_eq!(figures[key].as_u64(), row[key].as_u64(), "{id}: {key}");
        }
    }
    if skipped > 0 {
        skipped::skipped(skipped, "own mixtures of checkpoints", "not fetched");
    }
    assert_eq!(compared + skipped, 3);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where a checkpoint lies, if it does.
fn place(id: &str, file: &str) -> Option<PathBuf> {
    let fetched = std::env::var_os("WEIGH_CHECKPOINTS").map_or_else(|| root().join("target/checkpoints"), PathBuf::from);
    let places = [root().join("fixtures/fracast").join(file), fetched.join(id).join(file)];
    let own = usize::from(!id.starts_with("fracast-"));
    places.into_iter().skip(own).find(|p| p.is_file())
}

fn weigh(words: &[&str], exit: i32) -> Value {
    let mut command = crate::program::program();
    command.args(words).args(["--format", "json", "--no-progress"]).current_dir(root()).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(exit), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the truth file says, keyed by what it is about.
fn expected(row: &Value) -> Facts {
    let cut = row["truncated"] == true;
    let mut facts = Facts::new();
    for key in ["tensors", "total_params", "tensor_bytes", "file_bytes"] {
        facts.insert(key.to_owned(), row[key].as_u64());
    }
    facts.insert("regions".to_owned(), row["file_bytes"].as_u64());
    let whole = row["expected_file_bytes"].as_u64().filter(|_| cut);
    facts.insert("missing".to_owned(), Some(whole.map_or(0, |whole| whole - row["file_bytes"].as_u64().unwrap())));
    let per_dtype = if cut { &row["per_dtype_header_only"] } else { &row["per_dtype"] };
    for (dtype, figures) in per_dtype.as_object().into_iter().flatten() {
        for key in ["tensors", "params", "bytes"] {
            facts.insert(format!("{dtype} {key}"), figures[key].as_u64());
        }
        for key in ["params", "zeros", "nan", "inf"].into_iter().filter(|_| !cut) {
            facts.insert(format!("{dtype} scanned {key}"), figures[key].as_u64());
        }
    }
    for key in ["zeros", "nan", "inf"].into_iter().filter(|_| !cut) {
        facts.insert(format!("scanned {key}"), Some(row[key].as_u64().unwrap_or(0)));
    }
    facts
}

/// The same from `weigh`.
fn found(path: &Path, cut: bool) -> Facts {
    let path = path.to_str().unwrap();
    let shown = weigh(&["show", path], if cut { 2 } else { 0 });
    let mut facts = Facts::new();
    let totals = &shown["totals"];
    for (key, field) in [
        ("tensors", "tensors"),
        ("total_params", "stored_elements"),
        ("tensor_bytes", "tensor_bytes"),
        ("file_bytes", "file_bytes"),
    ] {
        facts.insert(key.to_owned(), totals[field].as_u64());
    }
    let file = &shown["files"][0];
    facts.insert("regions".to_owned(), file["regions"].as_object().map(|r| r.values().filter_map(Value::as_u64).sum()));
    facts.insert("missing".to_owned(), file["missing_bytes"].as_u64());
    for row in shown["dtypes"].as_array().unwrap() {
        let dtype = row["dtype"].as_str().unwrap();
        for (key, field) in [("tensors", "tensors"), ("params", "stored_elements"), ("bytes", "bytes")] {
            facts.insert(format!("{dtype} {key}"), row[field].as_u64());
        }
    }
    if cut {
        return facts;
    }
    let scan = &weigh(&["scan", path], 0)["scan"];
    assert_eq!(scan["complete"], true, "{path}");
    let counts = |row: &Value| {
        let infinite = row["pos_inf"].as_u64().zip(row["neg_inf"].as_u64()).map(|(a, b)| a + b);
        [("params", row["elements"].as_u64()), ("zeros", row["zeros"].as_u64()), ("nan", row["nan"].as_u64()), ("inf", infinite)]
    };
    for row in scan["dtypes"].as_array().unwrap() {
        let dtype = row["dtype"].as_str().unwrap();
        facts.extend(counts(row).map(|(key, count)| (format!("{dtype} scanned {key}"), count)));
    }
    facts.extend(counts(&scan["totals"]).into_iter().skip(1).map(|(key, count)| (format!("scanned {key}"), count)));
    facts
}
