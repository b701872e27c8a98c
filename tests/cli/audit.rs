//! Every code of the audit: what brings it, what does not, and that it is explained.

use std::collections::BTreeSet;
use std::path::Path;

use crate::build::{Value, gguf, packed, put, raw, safetensors};
use weighbridge::audit::{Audit, AuditRequest, Bounds, CHECKS, Policy, Severity, audit, codes};
use weighbridge::observe::Silent;
use weighbridge::scan::ScanOptions;

const S1: &str = "model-00001-of-00002.safetensors";
const S2: &str = "model-00002-of-00002.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:abababababababababababababababababababababababababababababababab\nsize 9999\n";
const ARCH: (&str, Value<'static>) = ("general.architecture", Value::Text("llama"));

const CONFIG: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8,"num_hidden_layers":1,
"num_attention_heads":2,"num_key_value_heads":1,"intermediate_size":16,"vocab_size":16,"torch_dtype":"float32",
"max_position_embeddings":64,"tie_word_embeddings":false,"bos_token_id":1,"eos_token_id":2,"rms_norm_eps":1e-6}"#;

type Tensors = Vec<(&'static str, &'static str, &'static [u64])>;

fn llama() -> Tensors {
    vec![
        ("model.embed_tokens.weight", "F32", &[16, 8]),
        ("model.layers.0.self_attn.q_proj.weight", "F32", &[8, 8]),
        ("model.layers.0.self_attn.k_proj.weight", "F32", &[4, 8]),
        ("model.layers.0.self_attn.v_proj.weight", "F32", &[4, 8]),
        ("model.layers.0.self_attn.o_proj.weight", "F32", &[8, 8]),
        ("model.layers.0.mlp.up_proj.weight", "F32", &[16, 8]),
        ("model.layers.0.mlp.gate_proj.weight", "F32", &[16, 8]),
        ("model.layers.0.mlp.down_proj.weight", "F32", &[8, 16]),
        ("model.layers.0.input_layernorm.weight", "F32", &[8]),
        ("model.layers.0.post_attention_layernorm.weight", "F32", &[8]),
        ("model.norm.weight", "F32", &[8]),
        ("lm_head.weight", "F32", &[16, 8]),
    ]
}

/// One of two ranks of that model.
fn halves() -> Tensors {
    let half = |(name, dtype, shape): (&'static str, &'static str, &'static [u64])| -> (_, _, &'static [u64]) {
        match shape {
            [16, 8] => (name, dtype, &[8, 8]),
            [8, 16] => (name, dtype, &[8, 8]),
            [8, 8] if name.contains("o_proj") => (name, dtype, &[8, 4]),
            [8, 8] => (name, dtype, &[4, 8]),
            [4, 8] => (name, dtype, &[2, 8]),
            whole => (name, dtype, whole),
        }
    };
    llama().into_iter().map(half).collect()
}

/// A repo at which nothing is wrong.
fn healthy(d: &Path) {
    put(d, "model.safetensors", packed(&llama(), 4));
    put(d, "config.json", CONFIG);
    put(d, "README.md", "---\nlicense: mit\n---\nA model.\n");
    put(d, "tokenizer.json", r#"{"added_tokens":[{"id":15,"content":"<x>"}],"model":{"vocab":{"a":0,"b":14}}}"#);
    put(d, "tokenizer_config.json", r#"{"chat_template":"{% for m in messages %}{{ m['content'] }}{% endfor %}"}"#);
}

fn with_config(d: &Path, from: &str, to: &str) {
    healthy(d);
    assert!(CONFIG.contains(from), "{from}");
    put(d, "config.json", CONFIG.replace(from, to));
}

fn with_params(d: &Path, layers: u64) {
    healthy(d);
    let figures = r#""dim":8,"n_heads":2,"n_kv_heads":1,"hidden_dim":16,"vocab_size":16"#;
    put(d, "params.json", format!("{{{figures},\"n_layers\":{layers}}}"));
}

fn adapter(d: &Path, rank: u64) {
    let tensors: [(&str, &str, &[u64]); 2] =
        [("model.layers.0.q_proj.lora_A.weight", "F32", &[8, 64]), ("model.layers.0.q_proj.lora_B.weight", "F32", &[64, 8])];
    put(d, "adapter_model.safetensors", packed(&tensors, 4));
    put(d, "adapter_config.json", format!("{{\"peft_type\":\"LORA\",\"r\":{rank},\"lora_alpha\":16}}"));
}

fn without(d: &Path, name: &str) {
    healthy(d);
    let tensors: Tensors = llama().into_iter().filter(|(n, ..)| *n != name).collect();
    put(d, "model.safetensors", packed(&tensors, 4));
}

/// The model with one more tensor, or one of another shape.
fn with_tensor(d: &Path, name: &'static str, shape: &'static [u64]) {
    healthy(d);
    let mut tensors: Tensors = llama().into_iter().filter(|(n, ..)| *n != name).collect();
    tensors.push((name, "F32", shape));
    put(d, "model.safetensors", packed(&tensors, 4));
}

/// The model under other names.
fn renamed(d: &Path, name: fn(&str) -> String) {
    healthy(d);
    let tensors = llama();
    let named: Vec<String> = tensors.iter().map(|(n, ..)| name(n)).collect();
    let tensors: Vec<_> = tensors.iter().zip(&named).map(|((_, dtype, shape), name)| (name.as_str(), *dtype, *shape)).collect();
    put(d, "model.safetensors", packed(&tensors, 4));
}

/// Six layers of no known class, one of which may lack a part.
fn stack(d: &Path, lost: Option<(usize, &str)>) {
    let parts = ["mlp.up", "mlp.down", "norm"];
    let places = (0..6).flat_map(|layer| parts.map(|part| (layer, part))).filter(|place| Some(*place) != lost);
    let names: Vec<String> = places.map(|(layer, part)| format!("net.blocks.{layer}.{part}.weight")).collect();
    let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), "F32", &[4u64][..])).collect();
    put(d, "model.safetensors", packed(&tensors, 4));
}

fn one(name: &str) -> Vec<u8> {
    safetensors(&[(name, "F32", &[4], (0, 16))], &[0; 16])
}

fn two(a: (u64, u64), b: (u64, u64), data: usize) -> Vec<u8> {
    safetensors(&[("a", "F32", &[4], a), ("b", "F32", &[4], b)], &vec![0; data])
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Two experts, the first with values.
fn experts(d: &Path, second: &[f32]) {
    let name = |i: usize| format!("model.layers.0.mlp.experts.{i}.up_proj.weight");
    let mut data = floats(&[0.1, 0.2, 0.3, 0.4]);
    data.extend(floats(second));
    put(d, "m.safetensors", safetensors(&[(&name(0), "F32", &[2, 2], (0, 16)), (&name(1), "F32", &[2, 2], (16, 32))], &data));
}

/// A GGUF of two Q8_0 blocks: the first with values, the second with this scale.
fn q8_0(d: &Path, scale: u16) {
    let mut data = Vec::new();
    for scale in [0x3c00u16, scale] {
        data.extend(scale.to_le_bytes());
        data.extend([3; 32]);
    }
    put(d, "m.gguf", gguf(&[ARCH], &[("blk.0.attn_q.weight", &[32, 2], 8, 0)], 32, &data));
}

/// A linear layer in FP8 with a scale a row, as compressed-tensors writes it.
fn scaled(d: &Path, scales: &[f32]) {
    let mut data = vec![0x38; 4];
    data.extend(floats(scales));
    let weight = "model.layers.0.mlp.up_proj.weight";
    let scale = format!("{weight}_scale");
    put(d, "m.safetensors", safetensors(&[(weight, "F8_E4M3", &[2, 2], (0, 4)), (&scale, "F32", &[2, 1], (4, 12))], &data));
}

/// A healthy set of two shards.
fn sharded(d: &Path) {
    put(d, S1, one("a"));
    put(d, S2, one("b"));
    index(d, "32", &[("a", S1), ("b", S2)]);
}

fn index(d: &Path, total: &str, map: &[(&str, &str)]) {
    let entries: Vec<String> = map.iter().map(|(t, f)| format!("{t:?}:{f:?}")).collect();
    put(d, INDEX, format!("{{\"metadata\":{{\"total_size\":{total}}},\"weight_map\":{{{}}}}}", entries.join(",")));
}

fn gguf_file(d: &Path, keys: &[(&str, Value<'_>)]) {
    put(d, "m.gguf", gguf(keys, &[("a", &[8], 0, 0)], 32, &[0; 32]));
}

fn parts(d: &Path, second_no: u16) {
    for (i, no) in [(1, 0), (2, second_no)] {
        let keys = [ARCH, ("split.no", Value::U16(no)), ("split.count", Value::U16(2)), ("split.tensors.count", Value::I32(2))];
        let name = if i == 1 { "a" } else { "b" };
        put(d, &format!("m-0000{i}-of-00002.gguf"), gguf(&keys, &[(name, &[8], 0, 0)], 32, &[0; 32]));
    }
}

fn zip(d: &Path, file: &str, member: &str, content: &[u8]) {
    zip_named(d, file, member, content, 1);
}

/// An archive of one member, which its directory names so many times.
fn zip_named(d: &Path, file: &str, member: &str, content: &[u8], times: u16) {
    let name = member.as_bytes();
    let (n, len) = ((name.len() as u16).to_le_bytes(), (content.len() as u32).to_le_bytes());
    let mut out = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([len, len].concat());
    out.extend(n);
    out.extend([0, 0]);
    out.extend(name);
    out.extend(content);
    let start = out.len() as u32;
    for _ in 0..times {
        out.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
        out.extend([len, len].concat());
        out.extend(n);
        out.extend([0; 16]);
        out.extend(name);
    }
    let size = out.len() as u32 - start;
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([times.to_le_bytes(), times.to_le_bytes()].concat());
    out.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    out.extend([0, 0]);
    put(d, file, out);
}

#[cfg(unix)]
fn link(d: &Path, name: &str, target: &str) {
    std::os::unix::fs::symlink(target, d.join(name)).unwrap();
}

#[cfg(unix)]
fn cache(d: &Path, stated: &str) {
    let bytes = one("a");
    put(d, &format!("blobs/{stated}"), bytes);
    std::fs::create_dir_all(d.join("snapshots/r")).unwrap();
    link(d, "snapshots/r/model.safetensors", &format!("../../blobs/{stated}"));
}

/// One of the pickles whose imports are known.
fn pickle(d: &Path, name: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pickles");
    put(d, name, std::fs::read(fixtures.join(name)).unwrap());
}

type Make = fn(&Path);

/// A code, a folder that brings it, and one as near as may be that does not.
#[cfg(unix)]
fn cases() -> Vec<(&'static str, Make, Make)> {
    let ok: Make = healthy;
    vec![
        ("unreadable", |d| put(d, "x", b""), ok),
        (
            "not-regular-file",
            |d| {
                healthy(d);
                link(d, "x.safetensors", "/dev/zero")
            },
            ok,
        ),
        ("header-invalid", |d| put(d, "m.safetensors", raw("{\"a\":1,}", b"")), ok),
        (
            "over-limit",
            |d| {
                let deep = "[".repeat(100);
                let header = format!("{{\"a\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":{deep}");
                put(d, "m.safetensors", raw(&header, b""));
            },
            ok,
        ),
        ("unsupported-format", |d| put(d, "m.gguf", b"GGUF\x01\0\0\0aaaaaaaaaaaaaaaa"), |d| gguf_file(d, &[ARCH])),
        ("empty-file", |d| put(d, "m.safetensors", b""), ok),
        (
            "lfs-pointer",
            |d| put(d, "onnx/model.onnx", LFS),
            |d| {
                healthy(d);
                put(d, "notes.txt", LFS)
            },
        ),
        ("html-page", |d| put(d, "m.safetensors", "<!DOCTYPE html><html></html>"), ok),
        ("pickle-content", |d| put(d, "m.safetensors", b"\x80\x02}q\0."), ok),
        ("wrong-content", |d| put(d, "m.safetensors", b"\x1f\x8b\x08\0\0\0\0\0\0\0"), ok),
        (
            "partial-download",
            |d| {
                healthy(d);
                put(d, "m2.safetensors.incomplete", b"xx")
            },
            ok,
        ),
        ("wrong-extension", |d| put(d, "m.gguf", one("a")), |d| put(d, "m.safetensors", one("a"))),
        ("nothing-to-read", |d| put(d, "config.json", CONFIG), ok),
        (
            "missing-shard",
            |d| {
                sharded(d);
                std::fs::remove_file(d.join(S2)).unwrap()
            },
            sharded,
        ),
        (
            "truncated",
            |d| put(d, "m.safetensors", two((0, 16), (16, 32), 31)),
            |d| put(d, "m.safetensors", two((0, 16), (16, 32), 32)),
        ),
        ("trailing-bytes", |d| put(d, "m.safetensors", two((0, 16), (16, 32), 33)), ok),
        ("gap", |d| put(d, "m.safetensors", two((0, 16), (24, 40), 40)), ok),
        (
            "overlap",
            |d| put(d, "m.safetensors", two((0, 16), (8, 24), 24)),
            |d| put(d, "m.safetensors", two((16, 32), (0, 16), 32)),
        ),
        ("size-mismatch", |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[4], (0, 8))], &[0; 8])), ok),
        ("shape-overflow", |d| put(d, "m.safetensors", safetensors(&[("a", "U8", &[1 << 32, 1 << 32, 4], (0, 4))], &[0; 4])), ok),
        (
            "partial-block",
            |d| put(d, "m.safetensors", safetensors(&[("a", "F4", &[31], (0, 16))], &[0; 16])),
            |d| put(d, "m.safetensors", safetensors(&[("a", "F4", &[32], (0, 16))], &[0; 16])),
        ),
        ("unknown-dtype", |d| put(d, "m.safetensors", safetensors(&[("a", "F7", &[16], (0, 16))], &[0; 16])), ok),
        (
            "zero-dimension",
            |d| put(d, "m.gguf", gguf(&[ARCH], &[("a", &[8, 0], 0, 0)], 32, b"")),
            |d| put(d, "m.safetensors", safetensors(&[("z", "F32", &[0, 4], (0, 0)), ("a", "F32", &[4], (0, 16))], &[0; 16])),
        ),
        (
            "misaligned",
            |d| put(d, "m.gguf", gguf(&[ARCH], &[("a", &[8], 0, 0), ("b", &[8], 0, 33)], 32, &[0; 96])),
            |d| gguf_file(d, &[ARCH]),
        ),
        (
            "unaligned-data",
            |d| put(d, "m.safetensors", safetensors(&[("u", "U8", &[1], (0, 1)), ("f", "F32", &[1], (1, 5))], &[0; 5])),
            ok,
        ),
        (
            "unordered",
            |d| put(d, "m.gguf", gguf(&[ARCH], &[("a", &[8], 0, 32), ("b", &[8], 0, 0)], 32, &[0; 64])),
            |d| put(d, "m.gguf", gguf(&[ARCH], &[("a", &[8], 0, 0), ("b", &[8], 0, 32)], 32, &[0; 64])),
        ),
        (
            "alignment-not-32",
            |d| put(d, "m.gguf", gguf(&[ARCH, ("general.alignment", Value::U32(64))], &[("a", &[8], 0, 0)], 64, &[0; 32])),
            |d| put(d, "m.gguf", gguf(&[ARCH, ("general.alignment", Value::U32(32))], &[("a", &[8], 0, 0)], 32, &[0; 32])),
        ),
        (
            "alignment-odd",
            |d| put(d, "m.gguf", gguf(&[ARCH, ("general.alignment", Value::U32(4))], &[("a", &[8], 0, 0)], 4, &[0; 32])),
            |d| gguf_file(d, &[ARCH]),
        ),
        (
            "duplicate-name",
            |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[4], (0, 16)), ("a", "F32", &[4], (16, 32))], &[0; 32])),
            ok,
        ),
        (
            "duplicate-metadata",
            |d| {
                put(
                    d,
                    "m.safetensors",
                    raw(r#"{"__metadata__":{"k":"1","k":"2"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, b"x"),
                )
            },
            |d| {
                put(
                    d,
                    "m.safetensors",
                    raw(r#"{"__metadata__":{"k":"1","l":"1"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, b"x"),
                )
            },
        ),
        (
            "header-padding",
            |d| put(d, "m.safetensors", raw("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}\n", b"x")),
            ok,
        ),
        (
            "unknown-field",
            |d| put(d, "m.safetensors", raw(r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"q":1}}"#, b"x")),
            ok,
        ),
        ("odd-value", |d| gguf_file(d, &[ARCH, ("x.y", Value::Bool(2))]), |d| gguf_file(d, &[ARCH, ("x.y", Value::Bool(1))])),
        (
            "forbidden-value",
            |d| put(d, "m.gguf", gguf(&[ARCH], &[("a", &[8, 1, 1, 1, 1], 0, 0)], 32, &[0; 32])),
            |d| put(d, "m.gguf", gguf(&[ARCH], &[("a", &[8, 1, 1, 1], 0, 0)], 32, &[0; 32])),
        ),
        (
            "not-utf8",
            |d| gguf_file(d, &[ARCH, ("general.name", Value::Bytes(b"caf\xe9"))]),
            |d| gguf_file(d, &[ARCH, ("general.name", Value::Text("café"))]),
        ),
        ("no-tensors", |d| put(d, "m.safetensors", raw("{}", b"")), |d| put(d, "m.gguf", gguf(&[ARCH], &[], 32, b""))),
        ("header-size", |d| put(d, "m.safetensors", raw(&format!("{{}}{}", " ".repeat(33 << 20)), b"")), ok),
        (
            "metadata-size",
            |d| {
                put(
                    d,
                    "m.safetensors",
                    raw(
                        &format!(
                            "{{\"__metadata__\":{{\"k\":\"{}\"}},\"a\":{{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}}}",
                            "y".repeat(9 << 20)
                        ),
                        b"x",
                    ),
                )
            },
            ok,
        ),
        ("hostile-name", |d| put(d, "m.safetensors", one("w\u{202e}gnp")), |d| put(d, "m.safetensors", one("层.0.权重"))),
        (
            "hostile-metadata",
            |d| gguf_file(d, &[ARCH, ("general.name", Value::Text("\u{1b}[2Jx"))]),
            |d| gguf_file(d, &[ARCH, ("general.name", Value::Text("a\nb\tc 漢"))]),
        ),
        (
            "case-collision",
            |d| {
                healthy(d);
                put(d, "Config.json", "{}")
            },
            ok,
        ),
        (
            "index-invalid",
            |d| {
                sharded(d);
                put(d, INDEX, "{\"weight_map\":{\"a\":")
            },
            sharded,
        ),
        (
            "index-tensor-missing",
            |d| {
                sharded(d);
                index(d, "32", &[("a", S1), ("b", S2), ("ghost", S2)])
            },
            sharded,
        ),
        (
            "index-tensor-elsewhere",
            |d| {
                put(d, S1, two((0, 16), (16, 32), 32));
                put(d, S2, one("c"));
                index(d, "48", &[("a", S1), ("b", S2), ("c", S2)])
            },
            sharded,
        ),
        (
            "index-tensor-unnamed",
            |d| {
                sharded(d);
                put(d, S1, two((0, 16), (16, 32), 32));
                put(d, S2, one("c"));
                index(d, "48", &[("a", S1), ("c", S2)])
            },
            sharded,
        ),
        (
            "tensor-in-two-shards",
            |d| {
                sharded(d);
                put(d, S1, two((0, 16), (16, 32), 32))
            },
            sharded,
        ),
        (
            "index-duplicate-key",
            |d| {
                sharded(d);
                index(d, "32", &[("a", S1), ("a", S1), ("b", S2)])
            },
            sharded,
        ),
        (
            "index-total",
            |d| {
                sharded(d);
                index(d, "33", &[("a", S1), ("b", S2)])
            },
            |d| {
                sharded(d);
                index(d, "32.0", &[("a", S1), ("b", S2)])
            },
        ),
        (
            "byte-order-mark",
            |d| {
                sharded(d);
                let text = std::fs::read_to_string(d.join(INDEX)).unwrap();
                put(d, INDEX, format!("\u{feff}{text}"))
            },
            sharded,
        ),
        (
            "unreferenced-shard",
            |d| {
                sharded(d);
                put(d, "model-00003-of-00003.safetensors", one("c"))
            },
            sharded,
        ),
        (
            "index-of-another-save",
            |d| {
                put(d, "output.safetensors", one("a"));
                index(d, "16", &[("a", "model-00001-of-00001.safetensors")])
            },
            sharded,
        ),
        (
            "shard-numbering",
            |d| {
                put(d, S1, one("a"));
                put(d, "model-00002-of-00003.safetensors", one("b"));
                index(d, "32", &[("a", S1), ("b", "model-00002-of-00003.safetensors")])
            },
            sharded,
        ),
        ("split-mismatch", |d| parts(d, 0), |d| parts(d, 1)),
        (
            "split-incomplete",
            |d| gguf_file(d, &[ARCH, ("split.no", Value::U16(0)), ("split.count", Value::U16(3))]),
            |d| gguf_file(d, &[ARCH, ("split.no", Value::U16(0)), ("split.count", Value::U16(1))]),
        ),
        (
            "duplicate-weights",
            |d| {
                sharded(d);
                put(d, "model.safetensors", two((0, 16), (16, 32), 32))
            },
            sharded,
        ),
        (
            "different-weights",
            |d| {
                healthy(d);
                let mut other = packed(&llama(), 4);
                other.iter_mut().rev().take(3000).for_each(|byte| *byte = 2);
                put(d, "other.safetensors", other)
            },
            |d| {
                healthy(d);
                put(d, "other.safetensors", packed(&llama(), 4))
            },
        ),
        (
            "tensor-parallel-slices",
            |d| {
                healthy(d);
                std::fs::remove_file(d.join("model.safetensors")).unwrap();
                for rank in ["rank0.safetensors", "rank1.safetensors"] {
                    put(d, rank, packed(&halves(), 4));
                }
            },
            healthy,
        ),
        (
            "leads-outside",
            |d| {
                healthy(d);
                link(d, "x.safetensors", "/etc/passwd")
            },
            |d| {
                healthy(d);
                link(d, "same.md", "README.md")
            },
        ),
        (
            "link-broken",
            |d| {
                healthy(d);
                link(d, "x.safetensors", "nowhere")
            },
            ok,
        ),
        (
            "link-loop",
            |d| {
                healthy(d);
                link(d, "x.safetensors", "x.safetensors")
            },
            ok,
        ),
        (
            "link-to-folder",
            |d| {
                healthy(d);
                link(d, "up", ".")
            },
            ok,
        ),
        (
            "folder-named-as-file",
            |d| {
                healthy(d);
                put(d, "x.safetensors/readme.txt", b"")
            },
            ok,
        ),
        (
            "folder-too-deep",
            |d| {
                healthy(d);
                put(d, &format!("{}n.txt", "d/".repeat(505)), b"")
            },
            |d| {
                healthy(d);
                put(d, &format!("{}n.txt", "d/".repeat(100)), b"")
            },
        ),
        ("hash-mismatch", |d| cache(d, &"0".repeat(64)), |d| cache(d, "notasha")),
        (
            "config-unreadable",
            |d| {
                healthy(d);
                put(d, "generation_config.json", "{\"a\":Nan}")
            },
            |d| {
                healthy(d);
                put(d, "generation_config.json", "{\"a\":NaN}")
            },
        ),
        (
            "config-not-strict",
            |d| {
                healthy(d);
                put(d, "generation_config.json", "{\"a\":NaN}")
            },
            |d| {
                healthy(d);
                put(d, "generation_config.json", "{\"a\":\"NaN\"}")
            },
        ),
        ("config-value", |d| with_config(d, "\"hidden_size\":8", "\"hidden_size\":-1"), ok),
        ("layer-count", |d| with_config(d, "\"num_hidden_layers\":1", "\"num_hidden_layers\":2"), ok),
        ("attention-shape", |d| with_config(d, "\"num_key_value_heads\":1", "\"num_key_value_heads\":2"), ok),
        ("vocabulary-size", |d| with_config(d, "\"vocab_size\":16", "\"vocab_size\":17"), ok),
        (
            "special-token-id",
            |d| with_config(d, "\"eos_token_id\":2", "\"eos_token_id\":[2,16]"),
            |d| with_config(d, "\"eos_token_id\":2", "\"eos_token_id\":[2,15]"),
        ),
        ("tensor-missing", |d| without(d, "model.layers.0.mlp.up_proj.weight"), ok),
        ("tensor-unexpected", |d| with_tensor(d, "model.layers.0.mlp.side_proj.weight", &[8, 8]), ok),
        (
            "empty-tensor",
            |d| with_tensor(d, "model.layers.0.mlp.up_proj.weight", &[0]),
            |d| with_tensor(d, "model.layers.0.mlp.up_proj.weight", &[16, 8]),
        ),
        ("wrapped-names", |d| renamed(d, |name| format!("_orig_mod.{name}")), |d| renamed(d, str::to_owned)),
        ("uneven-layer", |d| stack(d, Some((2, "mlp.up"))), |d| stack(d, None)),
        ("tied-embeddings", |d| without(d, "lm_head.weight"), ok),
        ("params-differ", |d| with_params(d, 2), |d| with_params(d, 1)),
        ("adapter-conflict", |d| adapter(d, 16), |d| adapter(d, 8)),
        (
            "draft-vocabulary",
            |d| with_config(d, "\"vocab_size\"", "\"draft_vocab_size\":12,\"vocab_size\""),
            |d| with_config(d, "\"vocab_size\"", "\"draft_vocab_size\":16,\"vocab_size\""),
        ),
        ("dtype-claim", |d| with_config(d, "float32", "bfloat16"), ok),
        (
            "quantization-claim",
            |d| with_config(d, "\"vocab_size\"", "\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4},\"vocab_size\""),
            ok,
        ),
        (
            "scale-missing",
            |d| {
                put(
                    d,
                    "model.safetensors",
                    packed(
                        &[("a.weight", "F8_E4M3", &[8, 8]), ("a.weight_scale", "F8_E8M0", &[1]), ("b.weight", "F8_E4M3", &[8, 8])],
                        1,
                    ),
                )
            },
            |d| put(d, "model.safetensors", packed(&[("a.weight", "F8_E4M3", &[8, 8]), ("a.weight_scale", "F8_E8M0", &[1])], 1)),
        ),
        (
            "scale-orphan",
            |d| {
                put(
                    d,
                    "model.safetensors",
                    packed(
                        &[
                            ("a.weight", "F8_E4M3", &[8, 8]),
                            ("a.weight_scale", "F8_E8M0", &[1]),
                            ("b.weight_scale", "F8_E8M0", &[1]),
                        ],
                        1,
                    ),
                )
            },
            |d| put(d, "model.safetensors", packed(&[("a.weight", "F8_E4M3", &[8, 8]), ("a.weight_scale", "F8_E8M0", &[1])], 1)),
        ),
        ("gguf-architecture", |d| gguf_file(d, &[("general.architecture", Value::Text("zorp"))]), |d| gguf_file(d, &[ARCH])),
        (
            "gguf-missing-key",
            |d| {
                put(
                    d,
                    "m.gguf",
                    gguf(&[ARCH], &[("token_embd.weight", &[8], 0, 0), ("blk.0.attn_norm.weight", &[8], 0, 32)], 32, &[0; 64]),
                )
            },
            |d| gguf_file(d, &[ARCH]),
        ),
        (
            "gguf-key-value",
            |d| gguf_file(d, &[ARCH, ("llama.block_count", Value::U32(u32::MAX))]),
            |d| gguf_file(d, &[ARCH, ("llama.block_count", Value::U32(0))]),
        ),
        (
            "gguf-tokenizer",
            |d| {
                gguf_file(
                    d,
                    &[ARCH, ("tokenizer.ggml.tokens", Value::Texts(&["a", "b"])), ("tokenizer.ggml.scores", Value::Floats(1))],
                )
            },
            |d| {
                gguf_file(
                    d,
                    &[ARCH, ("tokenizer.ggml.tokens", Value::Texts(&["a", "<0x0A>"])), ("tokenizer.ggml.scores", Value::Floats(2))],
                )
            },
        ),
        (
            "llama-cpp-refuses",
            |d| put(d, "m.gguf", gguf(&[ARCH], &[(&"n".repeat(64), &[8], 0, 0)], 32, &[0; 32])),
            |d| put(d, "m.gguf", gguf(&[ARCH], &[(&"n".repeat(63), &[8], 0, 0)], 32, &[0; 32])),
        ),
        (
            "safetensors-refuses",
            |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[4], (0, 16)), ("z", "F32", &[0], (8, 8))], &[0; 16])),
            ok,
        ),
        (
            "pickle",
            |d| {
                healthy(d);
                put(d, "training_args.bin", b"\x80\x02}q\0.")
            },
            |d| {
                healthy(d);
                put(d, "notes.bin", b"plain")
            },
        ),
        ("pickle-imports", |d| pickle(d, "state_v2.pkl"), |d| put(d, "one.pkl", b"\x80\x02K\x01.")),
        ("pickle-dangerous-import", |d| pickle(d, "archive_calls.pt"), |d| pickle(d, "archive.pt")),
        (
            "pickle-unknown-import",
            |d| put(d, "one.pkl", b"\x80\x02cmodels.yolo\nModel\n)\x81."),
            |d| put(d, "one.pkl", b"\x80\x02ccollections\nOrderedDict\n)R."),
        ),
        ("pickle-not-followed", |d| pickle(d, "broken_calls.pkl"), |d| pickle(d, "calls_v4.pkl")),
        (
            "archive-entries",
            |d| {
                healthy(d);
                zip(d, "w.pt", "../../x", b"x")
            },
            |d| {
                healthy(d);
                zip(d, "w.zip", "a/x", b"x")
            },
        ),
        (
            "archive-overlap",
            |d| {
                healthy(d);
                zip_named(d, "w.zip", "a", b"x", 2)
            },
            |d| {
                healthy(d);
                zip(d, "w.zip", "a", b"x")
            },
        ),
        (
            "archive-ambiguous",
            |d| {
                healthy(d);
                zip(d, "w.zip", "a", b"x");
                // A comment that is an end record of its own.
                let mut bytes = std::fs::read(d.join("w.zip")).unwrap();
                let comment = bytes.len() - 2;
                bytes[comment] = 22;
                bytes.extend(b"PK\x05\x06");
                bytes.extend([0; 18]);
                put(d, "w.zip", bytes)
            },
            |d| {
                healthy(d);
                zip(d, "w.zip", "a", b"x")
            },
        ),
        (
            "keras-module",
            |d| {
                healthy(d);
                zip(d, "m.keras", "config.json", br#"{"module": "mine", "class_name": "Dense"}"#)
            },
            |d| {
                healthy(d);
                zip(d, "m.keras", "config.json", br#"{"module": "keras.layers", "class_name": "Dense"}"#)
            },
        ),
        (
            "skipped-folder",
            |d| {
                healthy(d);
                put(d, ".git/HEAD", b"x")
            },
            |d| {
                healthy(d);
                put(d, ".github/x.txt", b"x")
            },
        ),
        (
            "keras-lambda",
            |d| {
                healthy(d);
                zip(d, "m.keras", "config.json", br#"{"class_name": "Lambda"}"#)
            },
            |d| {
                healthy(d);
                zip(d, "m.keras", "config.json", br#"{"class_name": "Dense"}"#)
            },
        ),
        (
            "not-inspected",
            |d| {
                healthy(d);
                put(d, "m.onnx", b"xxxxxxxx")
            },
            ok,
        ),
        (
            "remote-code",
            |d| with_config(d, "\"vocab_size\"", "\"auto_map\":{\"AutoModel\":\"other/repo--modeling_x.X\"},\"vocab_size\""),
            ok,
        ),
        (
            "python-files",
            |d| {
                healthy(d);
                put(d, "modeling_x.py", "import os")
            },
            ok,
        ),
        (
            "chat-template",
            |d| {
                healthy(d);
                put(d, "chat_template.jinja", "{{ ''.__class__ }}")
            },
            ok,
        ),
        (
            "chat-template-differs",
            |d| {
                healthy(d);
                put(d, "chat_template.jinja", "{{ messages }}")
            },
            ok,
        ),
        ("licence", ok, |d| put(d, "m.gguf", gguf(&[], &[], 32, b""))),
        (
            "base-model",
            |d| {
                healthy(d);
                put(d, "README.md", "---\nbase_model:\n- org/base\n---\n")
            },
            ok,
        ),
        (
            "nan-values",
            |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[2], (0, 8))], &[0, 0, 0xc0, 0x7f, 0, 0, 0, 0])),
            |d| put(d, "m.safetensors", one("a")),
        ),
        (
            "infinite-values",
            |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[2], (0, 8))], &[0, 0, 0x80, 0x7f, 0, 0, 0, 0])),
            |d| put(d, "m.safetensors", one("a")),
        ),
        (
            "bool-values",
            |d| put(d, "m.safetensors", safetensors(&[("a", "BOOL", &[2], (0, 2))], &[0, 2])),
            |d| put(d, "m.safetensors", safetensors(&[("a", "BOOL", &[2], (0, 2))], &[0, 1])),
        ),
        (
            "all-zero",
            |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[2, 2], (0, 16))], &[0; 16])),
            |d| put(d, "m.safetensors", one("bias")),
        ),
        (
            "constant-matrix",
            |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[2, 2], (0, 16))], &floats(&[0.5; 4]))),
            |d| put(d, "m.safetensors", safetensors(&[("norm", "F32", &[4], (0, 16))], &floats(&[1.0; 4]))),
        ),
        (
            "zero-vector",
            |d| put(d, "m.safetensors", one("bias")),
            |d| put(d, "m.safetensors", safetensors(&[("bias", "F32", &[4], (0, 16))], &floats(&[0.0, 0.0, 0.1, 0.0]))),
        ),
        ("dead-expert", |d| experts(d, &[0.0, 0.0, 0.0, 0.0]), |d| experts(d, &[0.0, 0.0, 0.0, 0.2])),
        ("broken-block-scale", |d| q8_0(d, 0x7e00), |d| q8_0(d, 0x3c00)),
        ("zero-block-scale", |d| q8_0(d, 0), |d| q8_0(d, 0x3c00)),
        ("scale-out-of-range", |d| scaled(d, &[0.5, f32::INFINITY]), |d| scaled(d, &[0.5, 0.0])),
        (
            "f16-overflow",
            |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[2], (0, 8))], &floats(&[1.0, -65520.0]))),
            |d| put(d, "m.safetensors", safetensors(&[("a", "F32", &[2], (0, 8))], &floats(&[1.0, -65519.0]))),
        ),
        ("not-scanned", |d| put(d, "m.safetensors", safetensors(&[("a", "F7", &[2], (0, 2))], &[0; 2])), ok),
        (
            "file-missing",
            |d| listed(d, &[("m.safetensors", 10), ("config.json", 2), ("x-00002-of-00002.safetensors", 1)]),
            |d| listed(d, &[]),
        ),
        ("file-size", |d| listed(d, &[("m.safetensors", 10)]), |d| listed(d, &[])),
        ("files-left-out", |d| listed(d, &[("pytorch_model.bin", 10)]), |d| listed(d, &[])),
        (
            "bad-listing",
            |d| {
                listed(d, &[]);
                put(d, ".cache/huggingface/trees/c.json", r#"{"format_version": 1, "files": {"a": 1}}"#);
            },
            |d| listed(d, &[]),
        ),
        ("over-size", ok, |d| put(d, "m.safetensors", one("a"))),
        ("over-params", ok, |d| put(d, "m.safetensors", one("a"))),
        ("over-ram", ok, |d| put(d, "config.json", "{}")),
        // No weights at all: nothing that a bound could be judged of. What is known of the other is over it already.
        ("ram-unknown", |d| put(d, "config.json", "{}"), ok),
    ]
}

/// A folder as the hub client downloads into it, with a listing of its files; a shard of two below the model.
fn listed(d: &Path, files: &[(&str, u64)]) {
    put(d, "m.safetensors", one("a"));
    put(d, "vision/x-00001-of-00002.safetensors", one("b"));
    put(d, ".cache/huggingface/download/m.safetensors.metadata", "c\netag\n1.0\n");
    let rows: Vec<String> = files.iter().map(|(name, bytes)| format!(r#""{name}": {{"size": {bytes}, "blob_id": "x"}}"#)).collect();
    put(d, ".cache/huggingface/trees/c.json", format!(r#"{{"format_version": 1, "files": {{{}}}}}"#, rows.join(",")));
}

/// Audits with every value read and budgets that a model of 16 bytes keeps.
fn run(path: &Path) -> Audit {
    let bounds = Bounds { max_size: Some(200), max_params: Some(4), max_ram: Some(1 << 20), ctx: None };
    let policy = Policy { bounds, ..Policy::default() };
    let request = AuditRequest { scan: Some(ScanOptions::default()), verify_hashes: true, policy, ..AuditRequest::default() };
    audit(path, &request, &Silent).unwrap()
}

fn found(audit: &Audit) -> BTreeSet<&'static str> {
    audit.findings.iter().map(|f| f.code).collect()
}

#[cfg(unix)]
#[test]
fn every_code_has_what_brings_it_and_what_does_not() {
    let mut told = BTreeSet::new();
    let mut wrong = Vec::new();
    for (code, positive, negative) in cases() {
        assert!(told.insert(code), "{code} twice");
        let (yes, no) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        positive(yes.path());
        negative(no.path());
        // A file that cannot be opened: root opens everything, so it is named and gone.
        let with = if code == "unreadable" { unreadable(yes.path()) } else { found(&run(yes.path())) };
        if !with.contains(code) {
            wrong.push(format!("{code}: not found among {with:?}"));
        }
        // A folder always has its note on licences; a file by itself has none.
        let without = if code == "licence" { found(&run(&no.path().join("m.gguf"))) } else { found(&run(no.path())) };
        if without.contains(code) {
            wrong.push(format!("{code}: found where it is not"));
        }
    }
    let all: BTreeSet<&str> = codes().map(|c| c.code).collect();
    assert_eq!(told, all, "codes without a case, or cases without a code");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[cfg(unix)]
fn unreadable(d: &Path) -> BTreeSet<&'static str> {
    sharded(d);
    std::fs::remove_file(d.join(S2)).unwrap();
    // A name longer than the system takes: the shard can be neither there nor absent.
    index(d, "32", &[("a", S1), ("b", &format!("{}.safetensors", "x".repeat(300)))]);
    found(&run(&d.join(INDEX)))
}

#[test]
fn a_healthy_repo_has_no_error_and_no_warning() {
    for make in [healthy as Make, sharded] {
        let d = tempfile::tempdir().unwrap();
        make(d.path());
        let audit = audit(d.path(), &AuditRequest::default(), &Silent).unwrap();
        let bad: Vec<_> = audit.findings.iter().filter(|f| f.severity > Severity::Note).collect();
        assert!(bad.is_empty() && !audit.failed && !audit.unreadable, "{bad:?}");
        assert_eq!(audit.coverage.files_understood, audit.coverage.files_seen);
    }
}

#[test]
fn every_check_is_a_file_and_every_code_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audit/checks");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, CHECKS.len() + 1, "a file in checks/ without its row in CHECKS");
    let mut seen = BTreeSet::new();
    for code in codes() {
        assert!(seen.insert(code.code), "{} twice", code.code);
        assert!(code.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", code.code);
        assert!(code.explanation.len() > 60 && code.explanation.ends_with('.'), "{}", code.code);
        assert!(!code.explanation.contains(" safe "), "{}", code.code);
        let out = weigh(&["audit", "--explain", code.code]);
        assert_eq!(out.0, 0);
        assert!(out.1.starts_with(code.code), "{}", out.1);
    }
    assert_eq!(weigh(&["audit", "--explain", "nonsense"]).0, 2);
}

fn weigh(args: &[&str]) -> (i32, String) {
    let output = crate::program::program().args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// A tensor of 8 PiB in a file of 200 bytes is not walked through, unit by unit.
#[test]
fn a_scan_ends_whatever_a_header_claims() {
    let d = tempfile::tempdir().unwrap();
    put(d.path(), "m.gguf", gguf(&[ARCH], &[("a", &[1 << 40, 1 << 11], 0, 0), ("b", &[8], 0, 1 << 53)], 32, &[0; 32]));
    let begun = std::time::Instant::now();
    let audit = run(&d.path().join("m.gguf"));
    // An instant, or days: a busy machine is none of either.
    assert!(begun.elapsed().as_secs() < 60);
    assert!(audit.failed && found(&audit).contains("not-scanned"), "{:?}", audit.findings);
}

#[test]
fn exit_codes_and_the_policy() {
    let d = tempfile::tempdir().unwrap();
    sharded(d.path());
    index(d.path(), "33", &[("a", S1), ("b", S2)]);
    let path = d.path().to_str().unwrap();
    assert_eq!(weigh(&["audit", path]).0, 0);
    assert_eq!(weigh(&["audit", path, "--deny", "warning"]).0, 1);
    assert_eq!(weigh(&["audit", path, "--deny", "index-total"]).0, 1);
    assert_eq!(weigh(&["audit", path, "--deny", "warning", "--allow", "index-total"]).0, 0);
    assert_eq!(weigh(&["audit", path, "--max-size", "10"]).0, 1);
    assert_eq!(weigh(&["audit", path, "--max-size", "1GiB", "--max-params", "8"]).0, 0);
    let policy = d.path().join("policy.json");
    std::fs::write(&policy, r#"{"deny": ["warning"]}"#).unwrap();
    assert_eq!(weigh(&["audit", path, "--policy", policy.to_str().unwrap()]).0, 1);
    std::fs::remove_file(d.path().join(S2)).unwrap();
    assert_eq!(weigh(&["audit", path]).0, 1);
    std::fs::write(d.path().join(S2), LFS).unwrap();
    assert_eq!(weigh(&["audit", path]).0, 2);
    assert_eq!(weigh(&["audit", d.path().join("nothing").to_str().unwrap()]).0, 2);
    let half = d.path().join("none/report.json");
    assert_eq!(weigh(&["audit", path, "-o", half.to_str().unwrap()]).0, 2);
}
