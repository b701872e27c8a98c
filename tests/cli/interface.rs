//! The JSON of every command: it parses, no object has a key twice, and the fields that others build on are there. A field may
//! be null where a figure is not known; it may not be absent.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::process::Stdio;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

const HEAD: &str = "schema_version tool{name version} command path notes[]";

const SHOW: &str = "format
    totals{files tensors stored_elements logical_params unique_params tensor_bytes file_bytes bits_per_weight}
    dtypes[dtype tensors stored_elements bytes]
    roles[role tensors stored_elements logical_params bytes]
    files[path format file_bytes tensors missing_bytes regions{magic header metadata padding tensors gap overlap trailing}]
    components[name weight_sets[name files[] tensor_bytes selected beside ranks]]
    model{architecture layers hidden_size heads kv_heads head_dim ffn_size vocab_size context_length experts experts_used
        tied_embeddings active_params{all without_input_embedding without_embeddings}}
    quantization{method bits group_size evidence}
    defects[kind file tensor offset stated expected message]";
const SHOW_TENSORS: &str = "tensors[name dtype shape[] stored_elements logical_params bytes file offset role notes[]]";

const STATS: &str = "elements zeros negative_zeros nan pos_inf neg_inf min max abs_max mean std l2 sparsity";

const FULL: &str = "subnormals first_nan first_inf zero_blocks zero_rows zero_columns zero_heads{count zero} zero_channels{count zero} n_m
    block_sparsity quantiles_abs{p01 p05 p10 p25 p50 p75 p90 p95 p99 p999} exponent_entropy_bits exponent_huffman_bits lossless_bytes
    lossless_ratio f32_lossless{values bf16 f16} cast{to values overflow underflow changed max_relative_error rms_relative_error}";

const PROJECT: &str = "actual{tensor_bytes file_bytes bits_per_weight}
    quantized[scheme container basis tensor_bytes file_bytes files bits_per_weight ratio types bridge[label bytes] notes[]]
    pruned[spec target_sparsity measured_sparsity threshold logical_params forms[form bytes ratio loadable_by]]
    sharded[rule limit order shards[name tensors tensor_bytes file_bytes]]";
const DATA: &str = "data{rows columns sparsity dtype naive forms[form bytes]}";

const TERMS: &str = "terms[name low high basis formula]";

/// Stated fields of a scan, with its tensors.
fn scan_fields() -> String {
    format!(
        "scan{{bytes_read seconds bytes_per_second threads io stats complete totals{{{STATS}}} dtypes[dtype {STATS}]
        roles[role {STATS}] tensors[name dtype file scanned {STATS}]}}"
    )
}

fn memory_fields() -> String {
    format!(
        "inputs{{ctx seqs kv_type_k kv_type_v batch ubatch flash_attention kv_unified swa_full server repack load_mode cpu_experts tp pp ep dp
            gpu_utilization reserve ram}}
        engines[engine version devices[name {TERMS} low high] host{{{TERMS} low high}} low high resident{{private{{low high}} page_cache{{low high}} low high peak_while_loading{{low high}} formula}} notes[]]
        kv_layers[kind layers kv_heads head_dim_k head_dim_v window]
        training[recipe devices[]] load{{bytes cached_bytes seconds_low seconds_high}}
        fit[engine? recipe? scheme budget devices usable verdict why needs_low needs_high sum_low sum_high host_low host_high
            max_ctx max_ctx_low max_ctx_high max_seqs first_scheme_that_fits biggest_lever notes[]]"
    )
}

const DIFF: &str = "a{files tensors stored_elements logical_params unique_params tensor_bytes file_bytes bits_per_weight}
    b{files tensors stored_elements logical_params unique_params tensor_bytes file_bytes bits_per_weight}
    bytes{a b bridge[label bytes]}
    tensors{same_header other_header identical changed only_a only_b
        rows[name name_b dtype_a dtype_b bytes_a bytes_b relative_l2 cosine max_abs sqnr_db]}";

#[test]
fn diff() {
    let pair = ["diff", "fixtures/fracast/model.safetensors", "fixtures/fracast/model.int8.safetensors"];
    let document = json("diff", &pair);
    has(&document, DIFF);
    let tensors = &document["tensors"];
    // Counted with python safetensors; whether values are equal is not known of headers.
    assert_eq!((&tensors["same_header"], &tensors["other_header"]), (&27.into(), &20.into()));
    assert!(tensors["identical"].is_null() && tensors["changed"].is_null(), "{tensors}");
    let shown = crate::program::program().args(pair).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("27 of the same type and shape (values not compared)") && !shown.contains("as they were"), "{shown}");
}

#[test]
fn show() {
    let pair = json("show", &["show", "fixtures/fracast", "--tensors"]);
    has(&pair, SHOW);
    has(&pair, SHOW_TENSORS);
    let model = "fixtures/fracast/model.safetensors";
    has(&json("show", &["show", model]), SHOW);
    has(&json("show", &["show", "fixtures/odd/version2.gguf"]), SHOW);
    let cut = json("show", &["show", "fixtures/odd/truncated/model.safetensors"]);
    has(&cut, SHOW);
    assert_eq!(cut["files"][0]["missing_bytes"], 88);
    assert!(cut["defects"].as_array().is_some_and(|d| !d.is_empty()), "a cut file has a defect");
}

#[test]
fn the_regions_of_a_file_sum_to_its_bytes() {
    for path in ["fixtures/fracast", "fixtures/odd", "fixtures/dtypes"] {
        let shown = json("show", &["show", path]);
        let files = shown["files"].as_array().unwrap();
        assert!(!files.is_empty());
        for file in files {
            let sum: u64 = file["regions"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
            assert_eq!(Some(sum), file["file_bytes"].as_u64(), "{file}");
        }
    }
}

#[test]
fn scan() {
    has(&json("scan", &["scan", "fixtures/odd/unaligned_header.safetensors", "--tensors"]), &scan_fields());
    has(&json("scan", &["scan", "fixtures/dtypes/q4_k.gguf", "--tensors"]), &scan_fields());
}

#[test]
fn full_scan() {
    let stats = format!("{STATS} {FULL}");
    let wanted = scan_fields().replace(STATS, &stats);
    for path in ["fixtures/full_stats/llama", "fixtures/full_stats/blocks.gguf"] {
        let document = json("scan", &["scan", path, "--stats", "full", "--cast", "bf16", "--tensors"]);
        has(
            &document,
            &format!("{wanted} scan{{patterns[pattern tensors elements] duplicates[sha256 dtype bytes tensors[name file]]}}"),
        );
        assert_eq!(document["scan"]["stats"], "full");
        let linear = document["scan"]["tensors"].as_array().unwrap().iter().find(|t| !t["n_m"].is_null()).unwrap();
        for pattern in ["2:4", "1:4", "4:8"] {
            has(&linear["n_m"][pattern], "groups groups_ok groups_exact chance");
            assert!(linear["n_m"][pattern]["groups"].is_u64());
        }
        for size in ["1x4", "4x1", "16x16", "32x32"] {
            assert!(linear["block_sparsity"][size]["blocks"].is_u64());
        }
    }
    // In a base scan, what was not measured is not there.
    assert!(json("scan", &["scan", "fixtures/full_stats/llama"])["scan"]["totals"].get("n_m").is_none());
}

#[test]
fn merge_gives_the_document_of_one_scan() {
    merges(&["scan", "fixtures/fracast", "--tensors"]);
}

#[test]
fn merge_gives_the_document_of_one_full_scan() {
    merges(&["scan", "fixtures/full_stats/llama", "--tensors", "--stats", "full", "--cast", "f8_e4m3"]);
}

fn merges(scan: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut words = vec!["merge".to_owned()];
    for part in ["1/3", "2/3", "3/3"] {
        let file = folder.path().join(part.replace('/', "-")).to_str().unwrap().to_owned();
        json_file(&[scan, &["--part", part]].concat(), &file);
        words.push(file);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let timeless = |mut value: Value| {
        for timing in ["seconds", "bytes_per_second", "threads", "io"] {
            value["scan"][timing] = Value::Null;
        }
        value
    };
    let merged = json("scan", &words);
    has(&merged, &scan_fields());
    assert_eq!(timeless(merged), timeless(json("scan", scan)));
}

#[test]
fn project() {
    let model = "fixtures/fracast/model.safetensors";
    let shards = "huggingface:100KB,gguf-split:100KB";
    let projected = json("project", &["project", model, "--to", "all", "--prune", "0.5,2:4", "--shard", shards]);
    has(&projected, PROJECT);
    for row in projected["quantized"].as_array().unwrap() {
        let basis = row["basis"].as_str().unwrap();
        assert!(["exact", "estimate", "refused"].contains(&basis), "{row}");
        assert_eq!(basis == "refused", row["tensor_bytes"].is_null(), "{row}");
        let bridge = row["bridge"].as_array().unwrap();
        if let (Some(first), Some(wanted)) = (bridge.first(), row["file_bytes"].as_i64()) {
            assert_eq!(first["bytes"], projected["actual"]["file_bytes"], "a bridge starts at the actual bytes: {row}");
            let sum: i64 = bridge.iter().map(|step| step["bytes"].as_i64().unwrap()).sum();
            assert_eq!(sum, wanted, "a bridge sums to the projected bytes: {row}");
        }
    }
    has(&json("project", &["project", "fixtures/dtypes/f16.gguf", "--to", "q4_k_m,nonsense"]), PROJECT);
}

#[test]
fn project_a_training_set() {
    let data = json("project", &["project", "--data", "1000000x10000", "--sparsity", "0.9", "--dtype", "F32"]);
    has(&data, DATA);
    assert!(data["path"].is_null());
    let bytes = |form: &str| data["data"]["forms"].as_array().unwrap().iter().find(|f| f["form"] == form).unwrap()["bytes"].clone();
    assert_eq!(bytes("csr32"), 8_008_000_008_u64);
}

#[test]
fn memory() {
    has(&json("memory", &["memory", "fixtures/odd/version2.gguf", "--fit", "1GiB,2x24GiB"]), &memory_fields());
    has(&json("memory", &["memory", "fixtures/fracast/model.safetensors", "--engine", "vllm,transformers"]), &memory_fields());
    let no = ["memory", "fixtures/declared/llama-3.1-8b", "--engine", "vllm", "--fit", "12GiB"];
    has(&json("memory", &no), "fit[engine first_scheme_that_fits{scheme bytes}]");
    let train = ["memory", "fixtures/declared/llama-3.1-8b", "--train", "lora", "--fit", "24GiB"];
    has(&json("memory", &train), &memory_fields());
    assert_eq!(json("memory", &train)["fit"][0]["recipe"], "lora-16");
}

#[test]
fn the_whole_report() {
    for path in ["fixtures/fracast", "fixtures/dtypes/q8_0.gguf"] {
        let scan = scan_fields().replace("tensors[name", "tensors?[name");
        has(&json("report", &[path]), &format!("show{{{SHOW}}} {scan} project{{{PROJECT}}} memory{{{}}}", memory_fields()));
        assert!(json("report", &[path, "--no-scan"])["scan"].is_null());
    }
}

#[test]
fn the_checker_finds_what_is_missing() {
    let value: Value = serde_json::from_str(r#"{"a": {"b": 1}, "rows": [{"x": 1}, {"y": null}], "none": null}"#).unwrap();
    assert_eq!(missing(&value, "a{b} rows[x?] none{c}"), Vec::<String>::new());
    assert_eq!(missing(&value, "a{c} rows[x] gone"), ["a.c", "rows[1].x", "gone"]);
    assert_eq!(missing(&value, "a[]"), ["a (is no array)"]);
    assert!(serde_json::from_str::<NoKeyTwice>(r#"{"a": [{"b": 1, "b": 2}]}"#).is_err());
}

/// Runs a command with `--format json` and checks the head of its document.
fn json(command: &str, words: &[&str]) -> Value {
    let text = String::from_utf8(run(words).0).expect("UTF-8");
    let document = parse(&text, words);
    has(&document, HEAD);
    assert_eq!(document["command"], command, "{words:?}");
    assert_eq!(document["tool"]["name"], "weigh");
    assert!(document["schema_version"].is_string());
    document
}

fn json_file(words: &[&str], file: &str) -> Value {
    let (stdout, _) = run(&[words, &["-o", file]].concat());
    assert!(stdout.is_empty(), "with -o nothing goes to stdout");
    parse(&std::fs::read_to_string(Path::new(file)).unwrap(), words)
}

fn run(words: &[&str]) -> (Vec<u8>, Option<i32>) {
    let mut command = crate::program::program();
    command.args(words).args(["--format", "json"]).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    let output = command.output().unwrap();
    (output.stdout, output.status.code())
}

fn parse(text: &str, words: &[&str]) -> Value {
    if let Err(error) = serde_json::from_str::<NoKeyTwice>(text) {
        panic!("weigh {}: {error}\n{}", words.join(" "), text.chars().take(400).collect::<String>());
    }
    serde_json::from_str(text).unwrap()
}

fn has(value: &Value, fields: &str) {
    let missing = missing(value, fields);
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

/// The fields of a list such as `a b{c} rows[x y] maybe?[z]` that a value lacks.
fn missing(value: &Value, fields: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = fields.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        assert!(end > 0, "not understood: {rest}");
        let (optional, after) = after.strip_prefix('?').map_or((false, after), |after| (true, after));
        let (inner, array, after) = match after.chars().next() {
            Some('{') => (Some(&after[1..closing(after)]), false, &after[closing(after) + 1..]),
            Some('[') => (Some(&after[1..closing(after)]), true, &after[closing(after) + 1..]),
            _ => (None, false, after),
        };
        match value.get(name) {
            None if optional => {}
            None => out.push(name.to_owned()),
            Some(Value::Null) => {}
            Some(found) => out.extend(inner.into_iter().flat_map(|inner| below(found, name, inner, array))),
        }
        rest = after.trim_start();
    }
    out
}

fn below(found: &Value, name: &str, inner: &str, array: bool) -> Vec<String> {
    if !array {
        return missing(found, inner).into_iter().map(|m| format!("{name}.{m}")).collect();
    }
    let Some(items) = found.as_array() else { return vec![format!("{name} (is no array)")] };
    let each =
        items.iter().zip(0..).flat_map(|(item, i)| missing(item, inner).into_iter().map(move |m| format!("{name}[{i}].{m}")));
    each.collect()
}

/// Where the bracket that opens a text is closed.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    panic!("not closed: {text}")
}

/// Any JSON in which no object has a key twice.
struct NoKeyTwice;

impl<'de> Deserialize<'de> for NoKeyTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoKeyTwice {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key `{key}` stands twice")));
            }
            entries.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// A part comes from elsewhere: what it counts and what it names is not taken on trust.
#[test]
fn merge_does_not_trust_what_a_part_says() {
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| crate::program::program().args(words).output().unwrap();
    let part = run(&["scan", "fixtures/full_stats/llama", "--stats", "full", "--part", "1/1"]);
    let part: Value = serde_json::from_slice(&part.stdout).unwrap();
    let write = |name: &str, part: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, part.to_string()).unwrap();
        path.to_string_lossy().into_owned()
    };
    let error = |words: &[&str]| {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let mut counted = part.clone();
    counted["full"]["pooled"][0]["counts"][0][1] = u64::MAX.into();
    assert!(error(&["merge", &write("counts.json", &counted)]).contains("count more values than"));
    let mut elsewhere = part.clone();
    elsewhere["scanned"] = "/etc/hostname".into();
    let elsewhere = write("elsewhere.json", &elsewhere);
    let told = error(&["merge", &elsewhere]);
    assert!(told.contains("it is not opened") && told.contains("--checkpoint"), "{told}");
    // The one that is given is taken.
    let output = run(&["merge", &elsewhere, "--checkpoint", "fixtures/full_stats/llama"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(error(&["memory", "fixtures/full_stats/llama", "--fit", ""]).contains("no budget"));
}
