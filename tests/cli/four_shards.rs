//! A set of four shards in which one thing at a time is wrong: the audit finds that, in the right file, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use weighbridge::audit::{AuditRequest, Severity, audit};
use weighbridge::observe::Silent;

const INDEX: &str = "model.safetensors.index.json";

fn shard(number: usize) -> String {
    format!("model-{number:05}-of-00004.safetensors")
}

/// Name, dtype, shape.
type Tensor = (String, &'static str, Vec<u64>);

/// What stands in the folder, before it is written.
#[derive(Clone)]
struct Set {
    /// Tensors and further bytes of each file.
    files: BTreeMap<String, (Vec<Tensor>, Vec<u8>)>,
    /// Which file holds which tensor, as the index has it.
    map: BTreeMap<String, String>,
    metadata: Value,
    config: Value,
}

/// A Llama of two layers and four shards, at which nothing is wrong.
fn healthy() -> Set {
    let mut tensors: Vec<Tensor> = vec![("model.embed_tokens.weight".to_owned(), "BF16", vec![16, 8])];
    for layer in 0..2 {
        let shapes: [(&str, &[u64]); 9] = [
            ("self_attn.q_proj", &[8, 8]),
            ("self_attn.k_proj", &[4, 8]),
            ("self_attn.v_proj", &[4, 8]),
            ("self_attn.o_proj", &[8, 8]),
            ("mlp.up_proj", &[16, 8]),
            ("mlp.gate_proj", &[16, 8]),
            ("mlp.down_proj", &[8, 16]),
            ("input_layernorm", &[8]),
            ("post_attention_layernorm", &[8]),
        ];
        tensors.extend(shapes.iter().map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), "BF16", shape.to_vec())));
    }
    tensors.push(("model.norm.weight".to_owned(), "BF16", vec![8]));
    tensors.push(("lm_head.weight".to_owned(), "BF16", vec![16, 8]));
    let elements: u64 = tensors.iter().map(|(.., shape)| shape.iter().product::<u64>()).sum();
    let mut set = Set {
        files: BTreeMap::new(),
        map: BTreeMap::new(),
        metadata: json!({"total_size": 2 * elements, "total_parameters": elements}),
        config: json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 1, "intermediate_size": 16, "vocab_size": 16, "torch_dtype": "bfloat16", "max_position_embeddings": 64,
            "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2, "rms_norm_eps": 1e-6
        }),
    };
    let each = tensors.len().div_ceil(4);
    for (i, tensor) in tensors.into_iter().enumerate() {
        let file = shard(i / each + 1);
        set.map.insert(tensor.0.clone(), file.clone());
        set.files.entry(file).or_default().0.push(tensor);
    }
    set
}

impl Set {
    fn write(&self, folder: &Path) {
        for (name, (tensors, more)) in &self.files {
            let (mut at, mut entries) = (0, serde_json::Map::new());
            for (name, dtype, shape) in tensors {
                let size = if *dtype == "F32" { 4 } else { 2 };
                let end = at + size * shape.iter().product::<u64>();
                entries.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [at, end]}));
                at = end;
            }
            let mut header = serde_json::to_vec(&entries).unwrap();
            header.resize(header.len().next_multiple_of(8), b' ');
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header);
            bytes.extend(vec![1; usize::try_from(at).unwrap()]);
            bytes.extend(more);
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        let index = json!({"metadata": self.metadata, "weight_map": self.map});
        std::fs::write(folder.join(INDEX), index.to_string()).unwrap();
        std::fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
        std::fs::write(folder.join("README.md"), "---\nlicense: mit\n---\n").unwrap();
    }

    fn tensors(&mut self, number: usize) -> &mut Vec<Tensor> {
        &mut self.files.get_mut(&shard(number)).unwrap().0
    }

    fn move_tensor(&mut self, from: usize, to: usize) {
        let tensor = self.tensors(from).pop().unwrap();
        self.tensors(to).push(tensor);
    }
}

/// Cuts or changes a written file.
fn edit(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = folder.join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

type Plant = fn(&mut Set);
type Damage = fn(&Path);

/// A fault: its name, how it gets into the set or into the written files, and the findings above a note, as code and file.
struct Fault(&'static str, Plant, Damage, Vec<(&'static str, String)>);

fn faults() -> Vec<Fault> {
    let no_plant: Plant = |_| {};
    let no_damage: Damage = |_| {};
    let index = || INDEX.to_owned();
    vec![
        Fault("nothing", no_plant, no_damage, vec![]),
        Fault("missing shard", |s| drop(s.files.remove(&shard(3))), no_damage, vec![("missing-shard", shard(3))]),
        Fault("empty shard", no_plant, |d| edit(d, &shard(3), Vec::clear), vec![("empty-file", shard(3))]),
        Fault(
            "pointer in place of a shard",
            no_plant,
            |d| {
                let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9999\n", "ab".repeat(32));
                edit(d, &shard(2), |bytes| *bytes = pointer.into_bytes());
            },
            vec![("lfs-pointer", shard(2))],
        ),
        Fault(
            "unreferenced shard",
            |s| {
                let extra = vec![("extra.weight".to_owned(), "BF16", vec![8])];
                s.files.insert("model-00005-of-00005.safetensors".to_owned(), (extra, vec![]));
            },
            no_damage,
            vec![("unreferenced-shard", "model-00005-of-00005.safetensors".to_owned())],
        ),
        Fault("tensor in another shard", |s| s.move_tensor(2, 3), no_damage, vec![("index-tensor-elsewhere", index())]),
        Fault(
            "tensor in two shards",
            |s| {
                let tensor = s.tensors(1)[0].clone();
                s.tensors(2).push(tensor);
                let (size, count) = (s.metadata["total_size"].as_u64().unwrap(), s.metadata["total_parameters"].as_u64().unwrap());
                s.metadata = json!({"total_size": size + 256, "total_parameters": count + 128});
            },
            no_damage,
            vec![("tensor-in-two-shards", index())],
        ),
        Fault(
            "tensor not in the index",
            |s| drop(s.map.remove("model.norm.weight")),
            no_damage,
            vec![("index-tensor-unnamed", index())],
        ),
        Fault(
            "tensor in no shard",
            |s| drop(s.map.insert("model.layers.0.mlp.more.weight".to_owned(), shard(2))),
            no_damage,
            vec![("index-tensor-missing", index())],
        ),
        Fault(
            "numbering gap",
            |s| {
                // The fourth shard under the name of a fifth of five, in the index as well: nobody named the fourth.
                let content = s.files.remove(&shard(4)).unwrap();
                let other = "model-00005-of-00005.safetensors".to_owned();
                s.map.values_mut().filter(|file| **file == shard(4)).for_each(|file| other.clone_into(file));
                s.files.insert(other, content);
            },
            no_damage,
            vec![("shard-numbering", index())],
        ),
        Fault("wrong total_size", |s| s.metadata["total_size"] = json!(17), no_damage, vec![("index-total", index())]),
        Fault("wrong total_parameters", |s| s.metadata["total_parameters"] = json!(17), no_damage, vec![("index-total", index())]),
        Fault(
            "truncated shard",
            no_plant,
            |d| edit(d, &shard(3), |bytes| bytes.truncate(bytes.len() - 5)),
            vec![("truncated", shard(3))],
        ),
        Fault("trailing bytes", |s| s.files.get_mut(&shard(1)).unwrap().1.push(0), no_damage, vec![("trailing-bytes", shard(1))]),
        Fault(
            "hole",
            no_plant,
            |d| {
                edit(d, &shard(1), |bytes| {
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    let from = text.find("\"data_offsets\":[0,").expect("the first tensor");
                    bytes[from + 16] = b'2'; // begins at 2: two bytes belong to nothing
                });
            },
            // The total no longer holds what the header no longer gives to a tensor.
            vec![("gap", shard(1)), ("size-mismatch", shard(1)), ("index-total", index())],
        ),
        Fault(
            "swapped dtype",
            no_plant,
            |d| {
                edit(d, &shard(2), |bytes| {
                    let at = bytes.windows(4).position(|w| w == b"BF16").unwrap();
                    bytes[at..at + 4].copy_from_slice(b"F32\"");
                    bytes[at + 4] = b' ';
                });
            },
            vec![("size-mismatch", shard(2))],
        ),
        Fault("broken header", no_plant, |d| edit(d, &shard(4), |bytes| bytes[8] = b'['), vec![("header-invalid", shard(4))]),
        Fault(
            "index cut short",
            no_plant,
            |d| edit(d, INDEX, |bytes| bytes.truncate(bytes.len() / 2)),
            vec![("index-invalid", index())],
        ),
        Fault("total that is no number", |s| s.metadata["total_size"] = json!("many"), no_damage, vec![("index-total", index())]),
        Fault(
            "index that leads out of the folder",
            |s| drop(s.map.insert("model.norm.weight".to_owned(), "../x.safetensors".to_owned())),
            no_damage,
            vec![("leads-outside", index())],
        ),
        Fault(
            "a layer too few",
            |s| s.config["num_hidden_layers"] = json!(1),
            no_damage,
            vec![("layer-count", "config.json".into())],
        ),
        Fault("rows beyond the vocabulary", |s| s.config["vocab_size"] = json!(12), no_damage, vec![("vocabulary-size", shard(1))]),
        Fault(
            "heads of another model",
            |s| s.config["num_attention_heads"] = json!(4),
            no_damage,
            vec![("attention-shape", shard(1)), ("attention-shape", shard(2)), ("attention-shape", shard(3))],
        ),
        Fault(
            "pickle beside it",
            no_plant,
            |d| std::fs::write(d.join("training_args.bin"), b"\x80\x02}q\x00.").unwrap(),
            vec![("pickle", "training_args.bin".into())],
        ),
        Fault(
            "unfinished download",
            no_plant,
            |d| std::fs::rename(d.join(shard(2)), d.join(format!("{}.incomplete", shard(2)))).unwrap(),
            vec![("missing-shard", shard(2)), ("partial-download", format!("{}.incomplete", shard(2)))],
        ),
    ]
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    let mut wrong = Vec::new();
    for Fault(name, plant, damage, expected) in faults() {
        let folder = tempfile::tempdir().unwrap();
        let mut set = healthy();
        plant(&mut set);
        set.write(folder.path());
        damage(folder.path());
        let audit = audit(folder.path(), &AuditRequest::default(), &Silent).unwrap();
        let found: BTreeSet<(&str, String)> = audit
            .findings
            .iter()
            .filter(|f| f.severity > Severity::Note)
            .map(|f| (f.code, f.file.clone().unwrap_or_default()))
            .collect();
        if found != expected.into_iter().collect() {
            let messages: Vec<_> = audit.findings.iter().map(|f| format!("  {:?} {}: {}", f.severity, f.code, f.message)).collect();
            wrong.push(format!("{name}: {found:?}\n{}", messages.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
