//! What llama.cpp reserves, against its own memory breakdown over 832 settings of 16 models.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "common/gguf_head.rs"]
mod gguf_head;

use std::path::Path;

use gguf_head::{models, record};
use serde_json::Value;
use weighbridge::checkpoint::{self, Checkpoint, OpenOptions};
use weighbridge::project::memory::{KvType, MemoryReport, MemoryRequest, Term};
use weighbridge::project::{Basis, ProjectInput, memory};

fn open(path: &Path) -> Checkpoint {
    checkpoint::open(path, &OpenOptions::default()).unwrap()
}

/// The settings of a row of the record.
fn request(cfg: &str, server: bool) -> MemoryRequest {
    let part: Vec<&str> = cfg.split(':').collect();
    let n = |i: usize| part[i].parse::<u64>().unwrap();
    MemoryRequest {
        engines: vec!["llama.cpp".to_owned()],
        ctx: Some(n(0)),
        ubatch: Some(n(1)),
        batch: Some(n(2)),
        seqs: Some(n(3)),
        kv_unified: n(4) == 1,
        kv_type: Some((KvType::parse(part[5]).unwrap(), KvType::parse(part[6]).unwrap())),
        flash_attention: Some(n(7) == 1),
        swa_full: n(8) == 1,
        server,
        ..MemoryRequest::default()
    }
}

fn term<'r>(report: &'r MemoryReport, name: &str) -> Option<&'r Term> {
    let engine = &report.engines[0];
    engine.devices.iter().chain([&engine.host]).flat_map(|p| &p.terms).find(|t| t.name == name)
}

/// Every row of the record: model, settings, whether it is the server's, what was measured.
fn rows(record: &Value) -> Vec<(String, String, bool, Value)> {
    let mut out = Vec::new();
    for (name, row) in record["models"].as_object().unwrap() {
        for (key, server) in [("rows", false), ("server_rows", true)] {
            for case in row[key].as_array().unwrap() {
                out.push((name.clone(), case[0].as_str().unwrap().to_owned(), server, case.clone()));
            }
        }
    }
    out
}

#[test]
fn caches_and_states_equal_the_breakdown() {
    let folder = tempfile::tempdir().unwrap();
    let files = models(folder.path());
    let record = record("llama_memory.json");
    let (mut equal, mut refused) = (0, 0);
    let mut opened: Option<(String, Checkpoint)> = None;
    for (name, cfg, server, case) in rows(&record) {
        if opened.as_ref().is_none_or(|(n, _)| *n != name) {
            opened = Some((name.clone(), open(&files[&name])));
        }
        let checkpoint = &opened.as_ref().unwrap().1;
        let report = memory(&ProjectInput::from_checkpoint(checkpoint), &request(&cfg, server));
        let kv = term(&report, "kv_cache").unwrap();
        match case[1].as_str() {
            Some(reason) => {
                assert_eq!((kv.basis, kv.formula.as_str()), (Basis::Refused, reason), "{name} {cfg}");
                refused += 1;
            }
            None => {
                let state = term(&report, "recurrent_state").map_or(0, |t| t.low.unwrap());
                assert_eq!(kv.low.map(|kv| kv + state), case[1].as_u64(), "{name} {cfg}: {}", kv.formula);
                assert_eq!((kv.high, kv.basis), (kv.low, Basis::Exact), "{name} {cfg}");
                equal += 1;
            }
        }
    }
    println!("{equal} caches equal, {refused} refusals with llama.cpp's reason");
    assert_eq!((equal, refused), (814, 18));
}

#[test]
fn compute_buffers_equal_the_breakdown() {
    let folder = tempfile::tempdir().unwrap();
    let files = models(folder.path());
    let record = record("llama_memory.json");
    let mut opened: Option<(String, Checkpoint)> = None;
    let mut table: std::collections::BTreeMap<String, (u64, u64, f64)> = Default::default();
    for (name, cfg, server, case) in rows(&record) {
        let Some(measured) = case[2].as_u64() else { continue };
        if opened.as_ref().is_none_or(|(n, _)| *n != name) {
            opened = Some((name.clone(), open(&files[&name])));
        }
        let checkpoint = &opened.as_ref().unwrap().1;
        let report = memory(&ProjectInput::from_checkpoint(checkpoint), &request(&cfg, server));
        let compute = term(&report, "compute_buffer").unwrap();
        let got = compute.low.unwrap_or(0);
        let error = got as f64 / measured as f64 - 1.0;
        if got != measured && std::env::var("SHOW").is_ok() {
            println!("{name} {cfg} server={server}: {got} != {measured} ({:+.2} %) {}", error * 100.0, compute.formula);
        }
        let entry = table.entry(name).or_default();
        entry.0 += 1;
        entry.1 += u64::from(got == measured);
        entry.2 = if error.abs() > entry.2.abs() { error } else { entry.2 };
    }
    for (name, (rows, equal, worst)) in &table {
        println!("{name}: {equal} of {rows} equal, worst {:+.2} %", worst * 100.0);
    }
}
