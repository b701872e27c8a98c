//! GGUF repositories: quants in folders of their own, split quants, parts of a split under other names, importance matrices.

use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use super::weight_sets::{opened, refused, show, totals, weigh};
use crate::build::{Value as Key, gguf, put};
use weighbridge::units::grouped;

/// Parameters of the model of these tests: two blocks.
const ALL: u64 = 2 * 64 * 32 + 2 * 64 + 64 * 32;
const F32: u32 = 0;
const F16: u32 = 1;

/// The tensors: a head, and of each block a matrix and a norm.
fn tensors(kind: u32) -> Vec<(String, Vec<u64>, u32)> {
    let mut out = vec![("token_embd.weight".to_owned(), vec![64, 32], kind)];
    for i in 0..2 {
        out.push((format!("blk.{i}.ffn_up.weight"), vec![64, 32], kind));
        out.push((format!("blk.{i}.attn_norm.weight"), vec![64], F32));
    }
    out
}

/// Writes some of the tensors; the first part of a split says what the model is, and all say which part they are.
fn file(
    dir: &Path,
    name: &str,
    kind: u32,
    part: Option<(u16, u16)>,
    range: std::ops::Range<usize>,
    says: &[(&'static str, &'static str)],
) {
    let (mut keys, all) = (Vec::new(), tensors(kind));
    if part.is_none_or(|(number, _)| number == 0) {
        keys.push(("general.architecture", Key::Text("llama")));
        keys.push(("llama.block_count", Key::U32(2)));
        keys.push(("llama.embedding_length", Key::U32(64)));
        keys.extend(says.iter().map(|(key, value)| (*key, Key::Text(value))));
    }
    if let Some((number, count)) = part {
        keys.extend([("split.no", Key::U16(number)), ("split.count", Key::U16(count))]);
        keys.push(("split.tensors.count", Key::I32(i32::try_from(all.len()).unwrap())));
    }
    let (mut data, mut rows) = (Vec::new(), Vec::new());
    for (name, shape, kind) in &all[range] {
        let width = if *kind == F32 { 4 } else { 2 };
        rows.push((name.as_str(), shape.as_slice(), *kind, data.len() as u64));
        // Norms are the same in every quant.
        data.resize(data.len() + shape.iter().product::<u64>() as usize * width, 1);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    put(dir, name, gguf(&keys, &rows, 32, &data));
}

fn split(dir: &Path, name: &str, kind: u32) {
    file(dir, &format!("{name}-00001-of-00002.gguf"), kind, Some((0, 2)), 0..3, &[]);
    file(dir, &format!("{name}-00002-of-00002.gguf"), kind, Some((1, 2)), 3..5, &[]);
}

fn codes(dir: &Path) -> Vec<String> {
    let audit: Value = serde_json::from_str(&weigh(&["audit", "--format", "json", dir.to_str().unwrap()])).unwrap();
    let codes = audit["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap().to_owned());
    codes.filter(|code| code != "licence" && code != "chat-template").collect()
}

#[test]
fn quants_in_folders_of_any_name_are_one_model() {
    for folders in [["F16", "F32"], ["UD-Q2_K_XL", "BF16"], ["4bit", "q8"], ["small", "large/split"]] {
        let dir = tempdir().unwrap();
        for (folder, kind) in folders.iter().zip([F16, F32]) {
            split(&dir.path().join(folder), &format!("toy-{kind}"), kind);
        }
        file(dir.path(), "toy-Q6_K.gguf", F16, None, 0..5, &[]);
        assert_eq!(totals(dir.path()).1, ALL, "{folders:?}");
        let checkpoint = opened(dir.path());
        assert_eq!((checkpoint.components.len(), checkpoint.components[0].weight_sets.len()), (1, 3), "{folders:?}");
        assert!(codes(dir.path()).iter().filter(|code| *code == "duplicate-weights").count() >= 1, "{folders:?}");
        let memory: Value = serde_json::from_str(&weigh(&["memory", "--format", "json", dir.path().to_str().unwrap()])).unwrap();
        let terms = memory["engines"][0]["devices"][0]["terms"].as_array().unwrap();
        let weights = terms.iter().find(|term| term["name"] == "weights").unwrap();
        assert_eq!(weights["low"], checkpoint.components[0].weight_sets.iter().find(|s| s.selected).unwrap().tensor_bytes);
    }
}

#[test]
fn an_importance_matrix_is_no_weights() {
    let sums: [(&str, &[u64], u32, u64); 2] =
        [("blk.0.attn_q.weight.in_sum2", &[64, 1], F32, 0), ("blk.0.attn_q.weight.counts", &[1, 1], F32, 256)];
    for keys in [vec![("general.type", Key::Text("imatrix"))], vec![("imatrix.chunk_count", Key::U32(1))], Vec::new()] {
        let dir = tempdir().unwrap();
        put(dir.path(), "imatrix_toy.gguf", gguf(&keys, &sums, 32, &[0; 288]));
        file(dir.path(), "toy-F16.gguf", F16, None, 0..5, &[]);
        assert_eq!(totals(dir.path()).1, ALL);
        let unread = opened(dir.path()).unread;
        assert!(unread.len() == 1 && unread[0].reason.contains("importance matrix"), "{unread:?}");
        assert!(!codes(dir.path()).contains(&"gguf-architecture".to_owned()), "{:?}", codes(dir.path()));
    }
}

#[test]
fn models_that_name_themselves_are_told_apart() {
    let dir = tempdir().unwrap();
    let named = |path: &str, kind, name: &'static str| {
        let path = dir.path().join(path);
        file(path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap(), kind, None, 0..5, &[("general.name", name)]);
    };
    named("x/alpha-F16.gguf", F16, "Alpha");
    named("x/alpha-F32.gguf", F32, "Alpha");
    named("y/beta-F16.gguf", F16, "Beta");
    assert_eq!(refused(dir.path()), ["Alpha x", "Beta y"]);
}

#[test]
fn a_part_of_a_split_says_which_of_how_many_it_is() {
    let whole = tempdir().unwrap();
    split(whole.path(), "toy", F32);
    assert_eq!(totals(whole.path()).1, ALL);
    let bytes = |name: &str| std::fs::read(whole.path().join(name)).unwrap();
    let (one, two) = (bytes("toy-00001-of-00002.gguf"), bytes("toy-00002-of-00002.gguf"));
    for joined in [false, true] {
        let dir = tempdir().unwrap();
        put(dir.path(), "my-model.gguf", if joined { [one.clone(), two.clone()].concat() } else { one.clone() });
        for path in [dir.path().to_owned(), dir.path().join("my-model.gguf")] {
            let notes = show(&path)["notes"].to_string();
            assert!(notes.contains("part 1 of 2 of a split GGUF (split.count 2): 3 of 5 tensors are here"), "{notes}");
            assert_eq!(
                notes.contains(&format!("a second GGUF begins at byte {}", grouped(one.len() as u64))) && notes.contains("--merge"),
                joined
            );
            let path = path.to_str().unwrap();
            let memory = weigh(&["memory", "--fit", "24GiB", path]);
            assert!(memory.contains("part 1 of 2") && memory.contains("unknown") && !memory.contains("fits "), "{memory}");
            assert!(!memory.contains("output head is the input embedding"), "{memory}");
            assert!(weigh(&["project", path]).contains("part 1 of 2"));
        }
        assert!(!codes(dir.path()).contains(&"layer-count".to_owned()));
    }
    // Both parts under other names say of themselves that they belong together.
    let dir = tempdir().unwrap();
    put(dir.path(), "a.gguf", one.clone());
    put(dir.path(), "b.gguf", two);
    assert_eq!((totals(dir.path()).1, opened(dir.path()).components.len()), (ALL, 1));
    // The same part twice is no whole.
    put(dir.path(), "b.gguf", one);
    assert!(totals(dir.path()).1 < ALL);
}
