//! KV caches and states of recurrent layers against those that transformers filled (`scripts/truth/compact_cache_truth.py`).

use serde_json::Value;
use weighbridge::checkpoint::config::from_config_json;
use weighbridge::format::Format;
use weighbridge::project::memory::MemoryRequest;
use weighbridge::project::{Basis, memory};

/// Least and most bytes of the cache after some tokens; `None` where it is refused.
fn cache(config: &Value, tokens: u64) -> Option<(u64, u64)> {
    let model = from_config_json(config);
    let input = crate::published::input(&model, Format::Safetensors);
    let asked = MemoryRequest { engines: vec!["transformers".to_owned()], ctx: Some(tokens), ..MemoryRequest::default() };
    let report = memory(&input, &asked);
    let terms = report.engines[0].devices[0].terms.iter().filter(|term| ["kv_cache", "recurrent_state"].contains(&term.name));
    let terms: Vec<_> = terms.collect();
    if terms.iter().any(|term| term.basis == Basis::Refused) {
        return None;
    }
    Some((terms.iter().filter_map(|term| term.low).sum(), terms.iter().filter_map(|term| term.high).sum()))
}

#[test]
fn caches_that_are_answered_equal_those_of_transformers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/memory/transformers_caches.jsonl");
    let (mut equal, mut within, mut refused, mut wrong) = (0, 0, 0, Vec::new());
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let bytes = row["bytes"].as_u64().unwrap();
        match cache(&row["config"], row["tokens"].as_u64().unwrap()) {
            Some((low, high)) if low == high && low == bytes => equal += 1,
            Some((low, high)) if low < high && (low..=high).contains(&bytes) => within += 1,
            Some((low, high)) => wrong.push(format!("{}: {low} to {high}, not {bytes}", row["model"])),
            None => refused += 1,
        }
    }
    println!("{equal} caches equal, {within} within their range, {refused} refused");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(equal >= 36 && within >= 3, "{equal}, {within}");
}
