//! Hub caches as the client lays them out: `fixtures/hub_cache`, made again.
#![allow(unreachable_pub)]

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::build::put;

/// What was recorded of a cache of the client.
pub(crate) fn recorded(cache: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hub_cache/caches.json");
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    all["caches"][cache].clone()
}

/// A cache, made again: folders, files, links.
pub(crate) fn laid_out(cache: &str) -> (TempDir, Value) {
    let (dir, cache) = (tempdir().unwrap(), recorded(cache));
    for folder in cache["folders"].as_array().unwrap() {
        std::fs::create_dir_all(dir.path().join(folder.as_str().unwrap())).unwrap();
    }
    for (name, content) in cache["files"].as_object().unwrap() {
        put(dir.path(), name, base64(content.as_str().unwrap()));
    }
    for (name, target) in cache["links"].as_object().unwrap() {
        symlink(target.as_str().unwrap(), dir.path().join(name)).unwrap();
    }
    (dir, cache)
}

fn base64(text: &str) -> Vec<u8> {
    let digits = text.bytes().filter(|b| *b != b'=').map(|b| match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        _ => 63,
    });
    let (mut out, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xFF) as u8);
        }
    }
    out
}
