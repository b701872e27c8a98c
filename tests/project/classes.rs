//! Which classes of transformers each quantizer was seen to treat as its rule says: `classes.txt` against what the tools wrote.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weighbridge::checkpoint::config::from_config_json;
use weighbridge::checkpoint::names::classify;
use weighbridge::checkpoint::packed::{TensorView, interpret};
use weighbridge::checkpoint::{ModelConfig, Part};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::Request;
use weighbridge::project::row::QuantizedRow;
use weighbridge::project::{Basis, ProjectInput, ProjectTensor, Provenance, Target, project};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const LIST: &str = "src/project/quantize/classes.txt";

/// One checkpoint and what tools made of it.
struct Base {
    name: String,
    class: String,
    model: ModelConfig,
    tensors: Vec<ProjectTensor<'static>>,
    file_bytes: u64,
    schemes: BTreeMap<String, Value>,
}

/// The rows of a tensor list of `classes.jsonl`: name, type, shape.
fn expanded(row: &Value) -> Vec<(String, Dtype, Vec<u64>)> {
    let mut out = Vec::new();
    for group in row["tensors"].as_array().unwrap() {
        let part = |i: usize| group[i].as_str().unwrap();
        let (start, numbers) = (part(0), part(1));
        let mut all: Vec<Vec<u64>> = vec![Vec::new()];
        if numbers.contains('-') {
            for axis in numbers.split(' ') {
                let (from, to) = axis.split_once('-').unwrap();
                let range = from.parse::<u64>().unwrap()..=to.parse().unwrap();
                all = all.iter().flat_map(|some| range.clone().map(move |n| [some.as_slice(), &[n]].concat())).collect();
            }
        } else if !numbers.is_empty() {
            all = numbers.split(',').map(|some| some.split(' ').map(|n| n.parse().unwrap()).collect()).collect();
        }
        for numbers in all {
            let mut start = start.to_owned();
            numbers.iter().for_each(|n| start = start.replacen('#', &n.to_string(), 1));
            for word in part(2).split(';') {
                let words: Vec<&str> = word.split(' ').collect();
                let shape = words[1].split('x').filter(|d| !d.is_empty()).map(|d| d.parse().unwrap()).collect();
                let dtype = words.get(2).copied().unwrap_or_else(|| row["dtype"].as_str().unwrap());
                out.push((format!("{start}{}", words[0]), Dtype::from_safetensors(dtype).unwrap(), shape));
            }
        }
    }
    out
}

fn base(name: &str, class: &str, model: ModelConfig, rows: Vec<(String, Dtype, Vec<u64>)>, file_bytes: u64) -> Base {
    let mut tensors: Vec<ProjectTensor<'static>> = rows
        .into_iter()
        .map(|(name, dtype, shape)| {
            let naming = classify(&name, Format::Safetensors);
            ProjectTensor::weight(name, naming.role, naming.layer, dtype, &shape)
        })
        .collect();
    let views: Vec<TensorView<'_>> = tensors
        .iter()
        .map(|t| TensorView {
            name: t.name.as_ref(),
            dtype: t.dtype,
            shape: t.shape.as_slice(),
            elements: t.elements,
            bytes: t.bytes,
            buffer: false,
        })
        .collect();
    let parts = interpret(&views, None, Format::Safetensors).parts;
    for (t, meaning) in tensors.iter_mut().zip(&parts) {
        t.role = meaning.part.role(t.role);
        t.part = meaning.part;
    }
    Base { name: name.to_owned(), class: class.to_owned(), model, tensors, file_bytes, schemes: BTreeMap::new() }
}

/// Every class that was saved and quantized.
fn classes() -> Vec<Base> {
    let text = std::fs::read_to_string(format!("{ROOT}/fixtures/hf-project/classes.jsonl")).unwrap();
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let (name, class) = (row["name"].as_str().unwrap(), row["class"].as_str().unwrap());
        let mut config = row["config"].clone();
        config["architectures"] = serde_json::json!([class]);
        let schemes = row["schemes"].as_object().unwrap().clone().into_iter().collect();
        let base = base(name, class, from_config_json(&config), expanded(&row), row["file_bytes"].as_u64().unwrap());
        Base { schemes, ..base }
    });
    rows.collect()
}

/// The few families of which every scheme was made, under the classes that they are of.
fn families() -> Vec<Base> {
    let class = |family: &str| match family {
        "bert" => "BertForMaskedLM",
        "gpt2" => "GPT2LMHeadModel",
        "llama" => "LlamaForCausalLM",
        "mixtral" => "MixtralForCausalLM",
        "opt" => "OPTForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        "qwen3" => "Qwen3ForCausalLM",
        "qwen3_moe" => "Qwen3MoeForCausalLM",
        other => panic!("{other}"),
    };
    let mut out = Vec::new();
    for file in ["hf.json", "families.json"] {
        let record: Value = serde_json::from_slice(&std::fs::read(format!("{ROOT}/fixtures/hf-project/{file}")).unwrap()).unwrap();
        for (name, row) in record["bases"].as_object().unwrap() {
            let family = row["family"].as_str().unwrap();
            let model = ModelConfig {
                family: Some(family.to_owned()),
                architecture: Some(class(family).to_owned()),
                tied_embeddings: row["tied"].as_bool(),
                layers: row["layers"].as_u64(),
                ..ModelConfig::default()
            };
            let tensors = row["tensors"].as_array().unwrap().iter().map(|t| {
                let shape = t[2].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
                (t[0].as_str().unwrap().to_owned(), Dtype::from_safetensors(t[1].as_str().unwrap()).unwrap(), shape)
            });
            let mut one = base(name, class(family), model, tensors.collect(), row["file_bytes"].as_u64().unwrap());
            for made in record["schemes"].as_array().unwrap().iter().filter(|r| r["base"] == name.as_str()) {
                let row = serde_json::json!([made["files"], made["file_bytes"], made["tensor_bytes"], made["types"]]);
                one.schemes.insert(made["scheme"].as_str().unwrap().to_owned(), row);
            }
            out.push(one);
        }
    }
    out
}

impl Base {
    fn input(&self) -> ProjectInput<'_> {
        ProjectInput {
            format: Some(Format::Safetensors),
            header_bytes: self.file_bytes - self.tensors.iter().map(|t| t.bytes).sum::<u64>(),
            tensors: self.tensors.clone(),
            file_bytes: self.file_bytes,
            files: 1,
            model: &self.model,
            quantization: None,
            safetensors_metadata: Some(vec![("format".to_owned(), "pt".to_owned())]),
            gguf: None,
            folder: None,
            provenance: Provenance::default(),
        }
    }

    /// The schemes that a tool made a file of, its sizes and the projected row.
    fn rows(&self) -> Vec<(&str, &Value, QuantizedRow)> {
        let input = self.input();
        let mut out = Vec::new();
        // Options here; bitsandbytes and torchao have names for them.
        let option = |scheme: &str| {
            let end = ["-head", "-embed"].into_iter().find(|end| scheme.ends_with(end));
            end.filter(|_| !scheme.starts_with("bnb") && !scheme.starts_with("torchao")).unwrap_or("")
        };
        for asked in ["", "-head", "-embed"] {
            let made = self.schemes.iter().filter(|(scheme, made)| made.is_array() && option(scheme) == asked);
            let made: Vec<(&str, &Value)> = made.map(|(scheme, made)| (scheme.as_str(), made)).collect();
            let mut request = Request::default();
            (request.options.quantize_head, request.options.quantize_embedding) = (asked == "-head", asked == "-embed");
            let name = |scheme: &str| Target::parse(&format!("safetensors:{}", scheme.strip_suffix(asked).unwrap_or(scheme)));
            request.targets = made.iter().map(|(scheme, _)| name(scheme)).collect();
            let rows = project(&input, &request).quantized;
            out.extend(made.into_iter().zip(rows).map(|((scheme, made), row)| (scheme, made, row)));
        }
        out
    }
}

/// The tool of a scheme as `classes.txt` spells it.
fn tool(scheme: &str) -> &'static str {
    const TOOLS: [(&str, &str); 11] = [
        ("awq-", "gptqmodel"),
        ("bnb-", "bnb"),
        ("ct-", "ct"),
        ("fp8-", "fp8"),
        ("gptq-", "gptqmodel"),
        ("hqq-", "hqq"),
        ("lc-", "lc"),
        ("metal-", "metal"),
        ("mlx-", "mlx"),
        ("quanto-", "quanto"),
        ("torchao-", "torchao"),
    ];
    TOOLS.iter().find(|(start, _)| scheme.starts_with(start)).map_or("cast", |(_, tool)| *tool)
}

/// Whether the sizes, type by type, are those that the tool wrote.
fn equal(got: &QuantizedRow, made: &Value) -> bool {
    let types: BTreeMap<&str, (u64, u64)> = got.types.iter().map(|(d, t)| (*d, (t.tensors, t.bytes))).collect();
    let stated = made[3].as_object().unwrap().iter().map(|(d, t)| (d.as_str(), (t[0].as_u64().unwrap(), t[1].as_u64().unwrap())));
    let sizes = [got.files, got.file_bytes, got.tensor_bytes];
    (0..3).all(|i| sizes[i] == made[i].as_u64()) && types == stated.collect()
}

fn folded(name: &str) -> String {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty();
    name.split('.').map(|part| if digits(part) { "#" } else { part }).collect::<Vec<_>>().join(".")
}

/// A base with its projected rows.
type Projected<'b> = (&'b Base, Vec<(&'b str, &'b Value, QuantizedRow)>);

/// What the fixtures tell of one class.
#[derive(Default)]
struct Told<'b> {
    right: BTreeSet<&'b str>,
    wrong: BTreeSet<&'b str>,
    /// Tensor names, and how many files have them.
    names: BTreeMap<String, usize>,
    files: usize,
}

/// The list as it follows from the fixtures.
fn list(bases: &[Projected<'_>]) -> String {
    let mut rows: BTreeMap<(String, String), Told<'_>> = BTreeMap::new();
    for (base, made) in bases {
        let family = base.model.family.clone().unwrap_or_default();
        let told = rows.entry((family, base.class.clone())).or_default();
        let here: BTreeSet<String> =
            base.tensors.iter().filter(|t| t.shape.len() > 1 || t.part != Part::Weight).map(|t| folded(&t.name)).collect();
        here.into_iter().for_each(|name| *told.names.entry(name).or_default() += 1);
        told.files += 1;
        for (scheme, made, row) in made {
            let tool = tool(scheme);
            // The text of a float inside double quantization varies by a few bytes, and a file of scales alone cannot be loaded.
            let ok = scheme.ends_with("-dq") || row.basis == Basis::Refused || equal(row, made);
            if ok {
                told.right.insert(tool)
            } else {
                told.wrong.insert(tool)
            };
        }
    }
    let mut text =
        String::from("# What seen.rs reads; made by tests/project/classes.rs from fixtures/hf-project: edit neither by hand.\n");
    // A model's causal class stands before its others: it is the one taken where a configuration names none.
    let mut order: Vec<_> = rows.keys().cloned().collect();
    let rank = |class: &str| ["ForCausalLM", "LMHeadModel", "ForMaskedLM"].iter().position(|end| class.ends_with(end)).unwrap_or(3);
    order.sort_by(|(a, x), (b, y)| (a, rank(x), x).cmp(&(b, rank(y), y)));
    for key in order {
        let told = &rows[&key];
        let tools: Vec<&str> = told.right.difference(&told.wrong).copied().collect();
        if tools.is_empty() {
            continue;
        }
        text += &format!("{} {} {}\n", key.1, key.0, tools.join(" "));
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, count) in &told.names {
            let (bare, mark) = name.strip_suffix(".weight").map_or((name.as_str(), "="), |bare| (bare, ""));
            let at = bare.rfind('.').map_or(0, |dot| dot + 1);
            let sometimes = if *count < told.files { "?" } else { "" };
            lines.entry(&bare[..at]).or_default().push(format!("{}{mark}{sometimes}", &bare[at..]));
        }
        for (start, words) in lines {
            text += &format!("\t{} {}\n", if start.is_empty() { "." } else { start }, words.join(" "));
        }
    }
    text
}

#[test]
fn exact_is_equal_to_the_byte_and_estimates_hold() {
    let (classes, families) = (classes(), families());
    let of_classes: Vec<Projected<'_>> = classes.iter().map(|base| (base, base.rows())).collect();
    let of_families = families.iter().map(|base| (base, base.rows()));
    let all: Vec<Projected<'_>> = of_classes.iter().map(|(base, rows)| (*base, rows.clone())).chain(of_families).collect();
    let text = list(&all);
    let path = format!("{ROOT}/{LIST}");
    if std::env::var_os("WEIGH_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == text, "{LIST} is not what follows from the fixtures: run with WEIGH_BLESS=1");
    assert!(text.lines().filter(|line| !line.starts_with(['\t', '#'])).count() > 350);
    bounds(&of_classes);
}

/// Holds every row against what its tool wrote.
fn bounds(classes: &[Projected<'_>]) {
    let mut count: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
    let (mut misses, mut open) = (Vec::new(), Vec::new());
    for (base, rows) in classes {
        for (scheme, made, got) in rows {
            let holds = |low: Option<u64>, likely: Option<u64>, high: Option<u64>, stated: u64| {
                low.or(likely).unwrap() <= stated && stated <= high.or(likely).unwrap()
            };
            let kind = match got.basis {
                Basis::Exact if equal(got, made) => 0,
                Basis::Estimate | Basis::Range
                    if holds(got.file_bytes_low, got.file_bytes, got.file_bytes_high, made[1].as_u64().unwrap())
                        && holds(got.tensor_bytes_low, got.tensor_bytes, got.tensor_bytes_high, made[2].as_u64().unwrap()) =>
                {
                    1
                }
                Basis::Refused => 2,
                // An estimate that claims no bounds.
                Basis::Estimate if got.tensor_bytes_low.is_none() && got.file_bytes_low.is_none() => 4,
                _ => 3,
            };
            count.entry(tool(scheme)).or_default()[kind] += 1;
            if kind == 4 {
                open.push(format!("{} {scheme}", base.name));
            }
            if kind == 3 {
                misses.push(format!(
                    "{} {scheme} {:?}: {:?} ({:?} to {:?}), file {:?} ({:?} to {:?}); the tool wrote {} and {}",
                    base.name,
                    got.basis,
                    got.tensor_bytes,
                    got.tensor_bytes_low,
                    got.tensor_bytes_high,
                    got.file_bytes,
                    got.file_bytes_low,
                    got.file_bytes_high,
                    made[2],
                    made[1]
                ));
            }
        }
    }
    println!("exact, estimates that hold, refused, misses, without bounds: {count:?}");
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    // A class that adds tensors when it is loaded and saved.
    assert_eq!(open, ["Inkling2ForConditionalGeneration f16"]);
    let exact: u64 = count.values().map(|kinds| kinds[0]).sum();
    assert!(exact > 2_000, "{exact}");
}
