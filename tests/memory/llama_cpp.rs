//! What llama.cpp reserves, against its own memory breakdown over 832 settings of 16 models.

use std::path::Path;

use crate::gguf_head::{Model, models, record};
use serde_json::Value;
use weighbridge::checkpoint::{self, Checkpoint, OpenOptions};
use weighbridge::project::memory::{KvType, LlamaCppOptions, LoadMode, MemoryReport, MemoryRequest, Term};
use weighbridge::project::{Basis, ProjectInput, memory};

fn open(path: &Path) -> Checkpoint {
    checkpoint::open(path, &OpenOptions::default()).unwrap()
}

/// The settings of a row of the record.
pub(crate) fn request(cfg: &str, server: bool) -> MemoryRequest {
    let part: Vec<&str> = cfg.split(':').collect();
    let n = |i: usize| part[i].parse::<u64>().unwrap();
    MemoryRequest {
        engines: vec!["llama.cpp".to_owned()],
        ctx: Some(n(0)),
        ubatch: Some(n(1)),
        batch: Some(n(2)),
        seqs: Some(n(3)),
        kv_type: Some((KvType::parse(part[5]).unwrap(), KvType::parse(part[6]).unwrap())),
        flash_attention: Some(n(7) == 1),
        llama_cpp: LlamaCppOptions { kv_unified: n(4) == 1, swa_full: n(8) == 1, server, ..LlamaCppOptions::default() },
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
    assert_eq!((equal, refused), (813, 19));
}

/// Rows, rows that are equal to the byte, and the largest error, by model.
type Errors = std::collections::BTreeMap<String, (u64, u64, f64)>;

fn compare(folder: &Path, record: &Value) -> Errors {
    let files = models(folder);
    let mut opened: Option<(String, Checkpoint)> = None;
    let mut table = Errors::new();
    for (name, cfg, server, case) in rows(record) {
        let Some(measured) = case[2].as_u64() else { continue };
        if opened.as_ref().is_none_or(|(n, _)| *n != name) {
            opened = Some((name.clone(), open(&files[&name])));
        }
        let checkpoint = &opened.as_ref().unwrap().1;
        let report = memory(&ProjectInput::from_checkpoint(checkpoint), &request(&cfg, server));
        let compute = term(&report, "compute_buffer").unwrap();
        let (low, high) = (compute.low.unwrap(), compute.high.unwrap());
        assert!(low <= measured && measured <= high, "{name} {cfg} server {server}: {measured} not in {low} to {high}");
        let error = low as f64 / measured as f64 - 1.0;
        let entry = table.entry(name).or_default();
        entry.0 += 1;
        entry.1 += u64::from(low == measured && high == measured);
        entry.2 = if error.abs() > entry.2.abs() { error } else { entry.2 };
    }
    table
}

fn shown(table: &Errors) -> String {
    let mut out = "| model | settings | equal to the byte | largest error |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, (rows, equal, worst)) in table {
        out.push_str(&format!("| {name} | {rows} | {equal} | {:.2} % |\n", worst * 100.0));
    }
    out
}

/// The table between two marks of the page; written anew with WEIGH_BLESS=1.
fn table_of_the_page(mark: &str, table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/memory-model.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (start, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let (before, rest) = page.split_once(&start).unwrap();
    let (old, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("WEIGH_BLESS").is_some() {
        std::fs::write(path, format!("{before}{start}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(old, table, "docs/memory-model.md: {mark}; WEIGH_BLESS=1 writes it anew");
    }
}

#[test]
fn compute_buffers_equal_the_breakdown() {
    let folder = tempfile::tempdir().unwrap();
    let table = compare(folder.path(), &record("llama_memory.json"));
    table_of_the_page("compute buffers", &shown(&table));
    let (rows, equal) = table.values().fold((0, 0), |(r, e), row| (r + row.0, e + row.1));
    println!("{equal} of {rows} compute buffers equal to the byte");
    assert_eq!((rows, equal), (813, 813));
}

#[test]
fn families_beside_those_of_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let record = record("families.json");
    let mut table = Errors::new();
    for (name, row) in record["models"].as_object().unwrap() {
        let path = folder.path().join("model.gguf");
        Model::of(row).write(&path);
        let checkpoint = open(&path);
        for case in row["rows"].as_array().unwrap() {
            let cfg = case[0].as_str().unwrap();
            let report = memory(&ProjectInput::from_checkpoint(&checkpoint), &request(cfg, cfg.ends_with(":server")));
            let state = term(&report, "recurrent_state").map_or(0, |t| t.low.unwrap());
            let kv = term(&report, "kv_cache").unwrap();
            assert_eq!(kv.low.map(|kv| kv + state), case[1].as_u64(), "{name} {cfg}: {}", kv.formula);
            let compute = term(&report, "compute_buffer").unwrap();
            let measured = case[2].as_u64().unwrap();
            let (low, high) = (compute.low.unwrap(), compute.high.unwrap());
            assert!(low <= measured && measured <= high, "{name} {cfg}: {measured} not in {low} to {high}: {}", compute.formula);
            let entry = table.entry(name.clone()).or_default();
            entry.0 += 1;
            entry.1 += u64::from(low == measured && high == measured);
            entry.2 = entry.2.max((high as f64 / low as f64) - 1.0);
        }
    }
    let mut page = "| model | settings | equal to the byte | highest / lowest |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, (rows, equal, wide)) in &table {
        page.push_str(&format!("| {name} | {rows} | {equal} | {:.2} |\n", wide + 1.0));
    }
    table_of_the_page("families", &page);
    assert!(table.len() >= 30, "{}", table.len());
}

#[test]
fn weights_equal_the_breakdown() {
    let folder = tempfile::tempdir().unwrap();
    let record = record("llama_memory.json");
    for (name, path) in models(folder.path()) {
        let Some(measured) = record["models"][&name]["model_bytes"].as_u64() else { continue };
        let checkpoint = open(&path);
        let report = memory(&ProjectInput::from_checkpoint(&checkpoint), &request("512:512:2048:1:0:f16:f16:1:0", false));
        let weights = term(&report, "weights").unwrap();
        assert_eq!((weights.low, weights.high), (Some(measured), Some(measured)), "{name}");
    }
}

#[test]
fn resident_memory_of_real_runs_lies_in_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let files = models(folder.path());
    let record = record("llama_memory.json");
    let runs = record["rss"].as_array().unwrap();
    for run in runs {
        let args: Vec<&str> = run["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        let after = |flag: &str| args.iter().position(|a| *a == flag).map(|i| args[i + 1]);
        let kv = KvType::parse(after("-ctk").unwrap_or("f16")).unwrap();
        let asked = MemoryRequest {
            engines: vec!["llama.cpp".to_owned()],
            ctx: after("-c").map(|n| n.parse().unwrap()),
            ubatch: after("-ub").map(|n| n.parse().unwrap()),
            kv_type: Some((kv, kv)),
            flash_attention: Some(after("-fa") == Some("on")),
            llama_cpp: LlamaCppOptions {
                repack: !args.contains(&"--no-repack"),
                load_mode: if after("-lm") == Some("none") { LoadMode::None } else { LoadMode::Mmap },
                ..LlamaCppOptions::default()
            },
            ..MemoryRequest::default()
        };
        let checkpoint = open(&files[run["model"].as_str().unwrap()]);
        let report = memory(&ProjectInput::from_checkpoint(&checkpoint), &asked);
        let resident = report.engines[0].resident.as_ref().unwrap();
        let at = |key: &str| run[key].as_u64().unwrap() * 1024;
        let what = format!("{} {}: {resident:?}", run["model"], run["tag"]);
        let within = |bytes: u64, low: u64, high: u64| assert!(low <= bytes && bytes <= high, "{bytes}: {what}");
        within(at("VmHWM_kib"), resident.low, resident.high);
        within(at("peak_RssAnon_kib"), resident.private.low, resident.private.high);
        within(at("peak_RssFile_kib"), resident.page_cache.low, resident.page_cache.high);
        // What is reserved is told apart: buffers as the run printed them, to a hundredth of a MiB.
        let printed = |name: &str| run["buffers_mib"][name].as_f64();
        let close = |bytes: u64, mib: f64| assert!((bytes as f64 / (1 << 20) as f64 - mib).abs() < 0.006, "{bytes} {mib}: {what}");
        close(term(&report, "compute_buffer").unwrap().low.unwrap(), printed("compute").unwrap());
        close(term(&report, "output_buffer").unwrap().low.unwrap(), printed("output").unwrap());
        match (printed("AMX model"), printed("CPU model")) {
            (Some(amx), None) => close(term(&report, "repacked_weights").unwrap().high.unwrap(), amx),
            (Some(amx), Some(kept)) => {
                let weights = term(&report, "weights").unwrap();
                let both = amx + kept;
                assert!(
                    weights.low.unwrap() as f64 <= (both + 0.02) * 1048576.0
                        && weights.high.unwrap() as f64 >= (both - 0.02) * 1048576.0,
                    "{what}"
                );
            }
            _ => {
                close(term(&report, "weights").unwrap().low.unwrap(), printed("CPU_Mapped model").or(printed("CPU model")).unwrap())
            }
        }
    }
    assert_eq!(runs.len(), 13);
}

/// A llama-shaped model of the record with keys changed.
fn changed(folder: &Path, of: &str, changes: &[(&str, Value)]) -> MemoryReport {
    let record = record("models.json");
    let mut model = Model::of(&record[of]);
    changes.iter().for_each(|(key, value)| model.set(key, value.clone()));
    let path = folder.join("changed.gguf");
    model.write(&path);
    memory(&ProjectInput::from_checkpoint(&open(&path)), &request("4096:512:2048:1:0:f16:f16:1:0", false))
}

#[test]
fn missing_unknown_and_contradictory_keys() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |of: &str, changes: &[(&str, Value)], reason: &str| {
        let report = changed(folder.path(), of, changes);
        let kv = term(&report, "kv_cache").unwrap();
        assert_eq!((kv.basis, kv.low), (Basis::Refused, None), "{changes:?}");
        assert!(kv.formula.contains(reason), "{changes:?}: {}", kv.formula);
        let weights = term(&report, "weights").unwrap();
        assert_eq!(weights.basis, Basis::Exact, "the weights are known all the same");
        assert_eq!(report.engines[0].high, None);
    };
    let llama = "shape-llama-3.2-1b";
    refused(llama, &[("general.architecture", "zorblax".into())], "`zorblax`");
    refused(llama, &[("llama.attention.head_count", Value::Null)], "`llama.attention.head_count` is missing");
    refused(llama, &[("llama.block_count", Value::Null)], "`llama.block_count` is missing");
    refused(llama, &[("llama.attention.head_count_kv", serde_json::json!([8, 8]))], "2 entries for 16 layers");
    refused(llama, &[("llama.attention.head_count_kv", 7.into())], "do not divide");
    refused("shape-mamba-130m", &[("mamba.ssm.state_size", Value::Null)], "`mamba.ssm.state_size` is missing");
    refused(
        "shape-deepseek-v3",
        &[("deepseek2.attention.kv_lora_rank", Value::Null)],
        "`deepseek2.attention.kv_lora_rank` is missing",
    );
    refused(
        "shape-gpt-oss-20b",
        &[("gpt-oss.attention.sliding_window", Value::Null)],
        "`gpt-oss.attention.sliding_window` is missing",
    );

    // What only the graph needs refuses the compute buffer, or bounds it, and leaves the cache.
    let report = changed(folder.path(), "shape-mixtral-8x7b", &[("llama.expert_used_count", 9.into())]);
    let compute = term(&report, "compute_buffer").unwrap();
    assert!(compute.formula.contains("9 experts are used of 8"), "{}", compute.formula);
    assert_eq!(term(&report, "kv_cache").unwrap().basis, Basis::Exact);
    // Figures that no model has are refused, not multiplied.
    let report = changed(folder.path(), "shape-mamba-130m", &[("mamba.ssm.inner_size", (1u64 << 40).into())]);
    assert!(term(&report, "compute_buffer").unwrap().formula.contains("`mamba.ssm.inner_size` is out of range"));
}

#[test]
fn settings_that_llama_cpp_rejects() {
    let folder = tempfile::tempdir().unwrap();
    let record = record("models.json");
    let reason = |of: &str, asked: MemoryRequest| {
        let path = folder.path().join("model.gguf");
        Model::of(&record[of]).write(&path);
        let report = memory(&ProjectInput::from_checkpoint(&open(&path)), &asked);
        let kv = term(&report, "kv_cache").unwrap();
        assert_eq!(kv.basis, Basis::Refused);
        kv.formula.clone()
    };
    let asked = request("4096:512:2048:1:0:f16:q8_0:0:0", false);
    assert_eq!(reason("shape-mamba-130m", asked.clone()), "quantized V cache requires flash_attn to be enabled");
    assert_eq!(reason("shape-deepseek-v3", asked), "model does not support different K (f16) and V (q8_0) cache types");
    let asked = request("4096:512:2048:257:0:f16:f16:1:0", false);
    assert_eq!(reason("shape-llama-3.2-1b", asked), "n_seq_max must be <= 256");
    let asked = MemoryRequest {
        kv_type: Some((KvType::parse("fp8").unwrap(), KvType::parse("fp8").unwrap())),
        ..request("512:512:512:1:0:f16:f16:1:0", false)
    };
    assert_eq!(reason("shape-llama-3.2-1b", asked), "llama.cpp has no cache type fp8");
}

#[test]
fn what_lies_beside_the_model_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let record = record("models.json");
    let main = Model::of(&record["shape-llama-3.2-1b"]);
    main.write(&folder.path().join("model.gguf"));
    let part = |arch: &str, kind: &str, tensor: &str| Model {
        keys: vec![("general.architecture".into(), arch.into()), ("general.type".into(), kind.into())],
        tensors: vec![(tensor.into(), 0, vec![64, 10])],
    };
    part("clip", "mmproj", "v.blk.0.attn_q.weight").write(&folder.path().join("mmproj-model.gguf"));
    part("llama", "adapter", "blk.0.attn_q.weight.lora_a").write(&folder.path().join("lora.gguf"));
    let mut draft = Model::of(&record["shape-llama-3.2-1b"]);
    draft.set("llama.block_count", 2.into());
    draft.tensors.retain(|(name, ..)| !name.starts_with("blk.") || name.starts_with("blk.0.") || name.starts_with("blk.1."));
    // Another width under the same names must not change the model's graph.
    draft.tensors.iter_mut().filter(|(name, ..)| name.ends_with("ffn_up.weight")).for_each(|t| t.2[1] = 64);
    draft.write(&folder.path().join("draft.gguf"));

    let alone = tempfile::tempdir().unwrap();
    main.write(&alone.path().join("model.gguf"));
    let asked = request("4096:512:2048:1:0:f16:f16:1:0", false);
    let report = |path: &Path| memory(&ProjectInput::from_checkpoint(&open(path)), &asked);
    let (whole, single) = (report(folder.path()), report(&alone.path().join("model.gguf")));
    for name in ["weights", "kv_cache", "compute_buffer"] {
        assert_eq!(term(&whole, name).unwrap().low, term(&single, name).unwrap().low, "{name}");
    }
    assert_eq!(term(&whole, "mmproj").unwrap().low, Some(2560));
    assert_eq!(term(&whole, "adapter").unwrap().low, Some(2560));
    assert!(term(&whole, "draft_model").unwrap().low > Some(2048 * 128_256 * 2));
    assert!(term(&single, "mmproj").is_none());
}

#[test]
fn experts_in_host_memory() {
    let folder = tempfile::tempdir().unwrap();
    let record = record("models.json");
    let path = folder.path().join("model.gguf");
    Model::of(&record["shape-mixtral-8x7b"]).write(&path);
    let checkpoint = open(&path);
    let llama_cpp = LlamaCppOptions { cpu_experts: 4, ..LlamaCppOptions::default() };
    let asked = MemoryRequest { llama_cpp, ..request("4096:512:2048:1:0:f16:f16:1:0", false) };
    let report = memory(&ProjectInput::from_checkpoint(&checkpoint), &asked);
    // 4 layers x 3 matrices x 8 experts x 4096 x 14336 in 16 bits.
    let experts = 4 * 3 * 8 * 4096 * 14336 * 2;
    assert_eq!(term(&report, "expert_weights").unwrap().low, Some(experts));
    assert_eq!(term(&report, "weights").unwrap().low, Some(93_408_215_040 - experts));
}
