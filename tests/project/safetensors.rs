//! Safetensors schemes and shard plans against checkpoints that other tools wrote.

use serde_json::Value;
use weighbridge::checkpoint::names::classify;
use weighbridge::checkpoint::packed::{TensorView, interpret};
use weighbridge::checkpoint::{ModelConfig, Part, Role};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::Request;
use weighbridge::project::row::QuantizedRow;
use weighbridge::project::shard::ShardSpec;
use weighbridge::project::{Basis, ProjectInput, ProjectTensor, Provenance, Target, project};

fn record() -> Value {
    fixture("hf.json")
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/hf-project/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn config(base: &Value) -> ModelConfig {
    ModelConfig {
        family: base["family"].as_str().map(str::to_owned),
        tied_embeddings: base["tied"].as_bool(),
        layers: base["layers"].as_u64(),
        ..ModelConfig::default()
    }
}

fn input<'a>(base: &Value, config: &'a ModelConfig, order: Option<&Value>) -> ProjectInput<'a> {
    let mut tensors: Vec<ProjectTensor<'a>> = Vec::new();
    for row in base["tensors"].as_array().unwrap() {
        let name = row[0].as_str().unwrap();
        let shape: Vec<u64> = row[2].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
        let dtype = Dtype::from_safetensors(row[1].as_str().unwrap()).unwrap();
        let naming = classify(name, Format::Safetensors);
        tensors.push(ProjectTensor::weight(name.to_owned(), naming.role, naming.layer, dtype, &shape));
    }
    if let Some(order) = order {
        let at = |t: &ProjectTensor<'_>| order.as_array().unwrap().iter().position(|n| n.as_str() == Some(t.name.as_ref()));
        tensors.sort_by_key(at);
    }
    let file_bytes = base["file_bytes"].as_u64().unwrap();
    ProjectInput {
        format: Some(Format::Safetensors),
        header_bytes: file_bytes - tensors.iter().map(|t| t.bytes).sum::<u64>(),
        tensors,
        file_bytes,
        files: 1,
        model: config,
        quantization: None,
        safetensors_metadata: Some(vec![("format".to_owned(), "pt".to_owned())]),
        gguf: None,
        folder: None,
        provenance: Provenance::default(),
    }
}

/// Compares one projected row with what a tool wrote; true where it is equal to the byte, false within a stated range.
fn compare(got: &QuantizedRow, row: &Value, misses: &mut Vec<String>) -> bool {
    let what = format!("{} {}", row["base"], row["scheme"]);
    if got.basis == Basis::Refused {
        misses.push(format!("{what}: {:?}", got.notes));
        return false;
    }
    let stated = |name: &str| row[name].as_u64().unwrap();
    let ranged = got.tensor_bytes_low.is_some();
    let holds = |low: Option<u64>, high: Option<u64>, value: u64| low.unwrap() <= value && value <= high.unwrap();
    let tensors = stated("tensor_bytes");
    if !(got.tensor_bytes == Some(tensors) || ranged && holds(got.tensor_bytes_low, got.tensor_bytes_high, tensors)) {
        misses.push(format!("{what}: {:?} tensor bytes, stated {tensors}", got.tensor_bytes));
    }
    let file = stated("file_bytes");
    if !(got.file_bytes == Some(file) || ranged && holds(got.file_bytes_low, got.file_bytes_high, file)) {
        misses.push(format!("{what}: {:?} file bytes, stated {file}", got.file_bytes));
    }
    if got.files != row["files"].as_u64() {
        misses.push(format!("{what}: {:?} files", got.files));
    }
    let types = row["types"].as_object().unwrap();
    for (dtype, t) in &got.types {
        let stated = types.get(*dtype).map(|s| (s[0].as_u64().unwrap(), s[1].as_u64().unwrap()));
        // The text of a number, in a U8 tensor, is what varies under double quantization.
        let varies = ranged && *dtype == "U8" && stated.map(|s| s.0) == Some(t.tensors);
        if stated != Some((t.tensors, t.bytes)) && !varies {
            misses.push(format!("{what} {dtype}: {} tensors, {} B, stated {stated:?}", t.tensors, t.bytes));
        }
    }
    if got.types.len() != types.len() {
        misses.push(format!("{what}: {:?}, stated {types:?}", got.types.keys()));
    }
    let sum: i128 = got.bridge.iter().map(|t| t.bytes).sum();
    if Some(sum) != got.file_bytes.map(i128::from) || got.bridge.iter().any(|t| t.label == "unaccounted") {
        misses.push(format!("{what}: the bridge sums to {sum}: {:?}", got.bridge));
    }
    !ranged
}

#[test]
fn schemes_equal_what_their_tools_wrote() {
    let record = record();
    let (mut exact, mut ranges) = (0, 0);
    let mut misses = Vec::new();
    for row in record["schemes"].as_array().unwrap() {
        let base = &record["bases"][row["base"].as_str().unwrap()];
        let config = config(base);
        let input = input(base, &config, None);
        let target = Target::parse(&format!("safetensors:{}", row["scheme"].as_str().unwrap()));
        let got = &project(&input, &Request { targets: vec![target], ..Request::default() }).quantized[0];
        *if compare(got, row, &mut misses) { &mut exact } else { &mut ranges } += 1;
    }
    println!("{exact} equal to the byte, {ranges} within the range of a text's length, {} misses", misses.len());
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    // Double quantization alone is a range.
    assert_eq!((exact, ranges), (287, 6));
}

/// Variants that are options here, as their base rows: the name that the record has, the name here.
fn asked(scheme: &str) -> (Request, String) {
    let mut request = Request::default();
    let mut name = scheme.to_owned();
    for (end, embedding) in [("-head", false), ("-embed", true)] {
        // bitsandbytes and torchao have names for them.
        if let (Some(stem), false) = (scheme.strip_suffix(end), scheme.starts_with("bnb") || scheme.starts_with("torchao")) {
            name = stem.to_owned();
            request.options.quantize_head = !embedding;
            request.options.quantize_embedding = embedding;
        }
    }
    (request, name)
}

#[test]
fn nine_families_equal_what_their_tools_wrote() {
    let record = fixture("families.json");
    let (mut exact, mut ranges, mut broken) = (0, 0, 0);
    let mut misses = Vec::new();
    for row in record["schemes"].as_array().unwrap() {
        let base = &record["bases"][row["base"].as_str().unwrap()];
        let config = config(base);
        let input = input(base, &config, None);
        let (mut request, name) = asked(row["scheme"].as_str().unwrap());
        request.targets = vec![Target::parse(&format!("safetensors:{name}"))];
        let got = &project(&input, &request).quantized[0];
        if base["tied"] == true && request.options.quantize_head && (name.starts_with("fp8") || name.starts_with("metal")) {
            // What transformers wrote here has the scales of a head whose weight is not in the file.
            assert!(got.basis == Basis::Refused && got.notes[0].contains("tied head"), "{name}: {:?}", got.notes);
            broken += 1;
            continue;
        }
        *if compare(got, row, &mut misses) { &mut exact } else { &mut ranges } += 1;
    }
    println!("{exact} equal to the byte, {ranges} within the range of a text's length, {} misses", misses.len());
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    // Double quantization of nine bases is a range; eight files could not be loaded.
    assert_eq!((ranges, broken), (9, 8));
}

/// A line of `fixtures/hf/schemes.jsonl`: its configuration over the base's, its tensors.
fn lines() -> Vec<(Value, Value)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hf/schemes.jsonl");
    let mut base = Value::Null;
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        if row["scheme"] == "base" {
            base = row["config"].clone();
        }
        let mut config = base.clone();
        for part in ["changes", "config"] {
            config.as_object_mut().unwrap().extend(row[part].as_object().cloned().unwrap_or_default());
        }
        (row, config)
    });
    rows.collect()
}

fn expanded(row: &Value) -> Vec<(String, Dtype, Vec<u64>)> {
    let mut out = Vec::new();
    for t in row["tensors"].as_array().unwrap() {
        let (name, dtype) = (t[0].as_str().unwrap(), Dtype::from_safetensors(t[1].as_str().unwrap()).unwrap());
        let shape: Vec<u64> = t[2].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
        match t.get(3).and_then(Value::as_array) {
            None => out.push((name.to_owned(), dtype, shape)),
            Some(layers) => {
                out.extend(layers.iter().map(|n| (name.replace(".layers.#.", &format!(".layers.{n}.")), dtype, shape.clone())))
            }
        }
    }
    out
}

#[test]
fn a_checkpoint_projected_to_its_own_scheme_has_its_actual_size() {
    let record = record();
    let (mut equal, mut ranges, mut refused, mut misses) = (0, 0, 0, Vec::new());
    for (row, config_json) in lines() {
        let (base, scheme) = (row["base"].as_str().unwrap(), row["scheme"].as_str().unwrap());
        let Some(truth) = record["schemes"].as_array().unwrap().iter().find(|r| r["base"] == base && r["scheme"] == scheme) else {
            continue;
        };
        let model = weighbridge::checkpoint::config::from_config_json(&config_json);
        let owned = expanded(&row);
        let rows: Vec<ProjectTensor<'_>> = owned
            .iter()
            .map(|(name, dtype, shape)| {
                let naming = classify(name, Format::Safetensors);
                ProjectTensor::weight(name.as_str(), naming.role, naming.layer, *dtype, shape)
            })
            .collect();
        let views: Vec<TensorView<'_>> = rows
            .iter()
            .map(|t| {
                let (name, shape) = (t.name.as_ref(), t.shape.as_slice());
                TensorView { name, dtype: t.dtype, shape, elements: t.elements, bytes: t.bytes, buffer: false }
            })
            .collect();
        let read = interpret(&views, Some(&config_json), Format::Safetensors);
        let mut tensors = rows.clone();
        for (t, meaning) in tensors.iter_mut().zip(&read.parts) {
            t.role = meaning.part.role(t.role);
            t.part = meaning.part;
            t.logical_params = meaning.logical_params;
            t.packed = meaning.packed;
            t.logical_shape = meaning.logical_shape.clone().filter(|_| meaning.packed);
        }
        let file_bytes = truth["file_bytes"].as_u64().unwrap();
        let input = ProjectInput {
            format: Some(Format::Safetensors),
            header_bytes: file_bytes - tensors.iter().map(|t| t.bytes).sum::<u64>(),
            tensors,
            file_bytes,
            files: 1,
            model: &model,
            quantization: read.quantization.as_ref(),
            safetensors_metadata: Some(vec![("format".to_owned(), "pt".to_owned())]),
            gguf: None,
            folder: None,
            provenance: Provenance::default(),
        };
        let target = |name: &str| Target::parse(&format!("safetensors:{name}"));
        let request = Request { targets: vec![target(scheme), target("f32")], ..Request::default() };
        let got = project(&input, &request);
        let own = &got.quantized[0];
        if own.basis == Basis::Refused {
            refused += 1;
            misses.push(format!("{base}/{scheme}: {:?}", own.notes));
            continue;
        }
        *if compare(own, truth, &mut misses) { &mut equal } else { &mut ranges } += 1;
        if own.tensor_bytes_low.is_none() && own.ratio != Some(1.0) {
            misses.push(format!("{base}/{scheme}: ratio {:?}", own.ratio));
        }
        // Every method gives back the floats it was made of.
        let floats: u64 = record["bases"][base]["tensors"].as_array().unwrap().iter().map(elements).sum();
        if got.quantized[1].tensor_bytes != Some(floats * 4) || got.quantized[1].basis != Basis::Exact {
            misses.push(format!("{base}/{scheme}: {:?} as f32, {floats} weights", got.quantized[1].tensor_bytes));
        }
    }
    println!("{equal} equal to the byte, {ranges} within a range, {refused} refused");
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    assert_eq!((equal, ranges), (287, 6));
}

fn elements(row: &Value) -> u64 {
    row[2].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).product()
}

#[test]
fn shapes_that_a_tool_refuses_are_refused() {
    let record = record();
    let mut refused = 0;
    for row in record["refused"].as_array().unwrap().iter().filter(|r| r["cause"] == "shape") {
        let base = &record["bases"][row["base"].as_str().unwrap()];
        let config = config(base);
        let input = input(base, &config, None);
        let target = Target::parse(row["scheme"].as_str().unwrap());
        if target.resolve(input.format).is_none() {
            continue;
        }
        let got = &project(&input, &Request { targets: vec![target], ..Request::default() }).quantized[0];
        assert_eq!(got.basis, Basis::Refused, "{} {}", row["base"], row["scheme"]);
        assert!(got.notes[0].contains("not divisible"), "{:?}", got.notes);
        refused += 1;
    }
    println!("{refused} refused");
    assert!(refused >= 30);
}

#[test]
fn a_cast_to_the_stored_type_gives_the_actual_size() {
    let record = record();
    for (name, base) in record["bases"].as_object().unwrap() {
        let config = config(base);
        let input = input(base, &config, None);
        let stored = input.tensors[0].dtype.name().unwrap().to_lowercase();
        let request = Request { targets: Target::parse_list(&format!("{stored},f32,f16"), input.format), ..Request::default() };
        let got = project(&input, &request);
        assert_eq!(got.quantized[0].file_bytes, base["file_bytes"].as_u64(), "{name}");
        assert_eq!(got.quantized[0].ratio, Some(1.0));
        assert_eq!(got.quantized[1].tensor_bytes, Some(got.actual.tensor_bytes * 2), "{name}");
    }
}

#[test]
fn shard_plans_equal_real_saves() {
    let record = record();
    let mut files = 0;
    for row in record["real"].as_array().unwrap() {
        let name = row["base"].as_str().unwrap();
        let base = &record["bases"][name];
        let config = config(base);
        let hub = row["how"] == "huggingface_hub";
        let mut input = input(base, &config, Some(&record["state_dict_order"][name]));
        if hub && base["tied"] == true {
            // Of tied names huggingface_hub keeps the alphabetically first, where the state dict has it.
            let embedding = input.tensors.iter_mut().find(|t| t.role == Role::Embedding).unwrap();
            embedding.name = "lm_head.weight".into();
            embedding.name_bytes = embedding.name.len() as u64;
            let order = record["state_dict_order"][name].as_array().unwrap();
            input.tensors.sort_by_key(|t| order.iter().position(|n| n.as_str() == Some(t.name.as_ref())));
        }
        let rule = if hub { "huggingface" } else { "transformers" };
        let spec = ShardSpec::parse(&format!("{rule}:{}", row["limit"].as_str().unwrap())).unwrap();
        let got = &project(&input, &Request { shards: vec![spec], ..Request::default() }).sharded[0];
        let what = format!("{name} {} {rule}", row["limit"]);
        let stated = row["files"].as_array().unwrap();
        assert_eq!(got.shards.len(), stated.len(), "{what}");
        for (shard, file) in got.shards.iter().zip(stated) {
            assert_eq!(shard.name, file[0].as_str().unwrap(), "{what}");
            assert_eq!(shard.tensors, file[2].as_u64().unwrap(), "{what} {}", shard.name);
            assert_eq!(shard.tensor_bytes, file[3].as_u64().unwrap(), "{what} {}", shard.name);
            // Tied names stand in __metadata__ of the file that huggingface_hub writes.
            if !(hub && base["tied"] == true) {
                assert_eq!(shard.file_bytes, file[1].as_u64().unwrap(), "{what} {}", shard.name);
                files += 1;
            }
        }
        if !(hub && base["tied"] == true) {
            assert_eq!(got.index_bytes, row["index_bytes"].as_u64().unwrap_or(0), "{what}");
        }
    }
    println!("{files} shard files equal to the byte");
}

#[test]
fn greedy_splits_equal_the_tools() {
    let record = record();
    let config = ModelConfig::default();
    for (rule, key) in [("huggingface", "huggingface"), ("mlx", "mlx")] {
        let rows = record[key].as_array().unwrap();
        for row in rows {
            let sizes: Vec<u64> = row["sizes"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
            let tensors: Vec<ProjectTensor<'_>> = sizes
                .iter()
                .enumerate()
                .map(|(i, &n)| ProjectTensor::weight(format!("t{i}"), Role::Other, None, Dtype::U8, &[n]))
                .collect();
            let input = ProjectInput {
                format: Some(Format::Safetensors),
                tensors,
                file_bytes: 0,
                header_bytes: 0,
                files: 1,
                model: &config,
                quantization: None,
                safetensors_metadata: None,
                gguf: None,
                folder: None,
                provenance: Provenance::default(),
            };
            let spec = ShardSpec { rule, limit: row["limit"].as_u64() };
            let got = &project(&input, &Request { shards: vec![spec], ..Request::default() }).sharded[0];
            let stated: Vec<(u64, u64)> = row["shards"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| {
                    let members = s.as_array().unwrap();
                    (members.len() as u64, members.iter().map(|i| sizes[i.as_u64().unwrap() as usize]).sum())
                })
                .collect();
            let got: Vec<(u64, u64)> = got.shards.iter().map(|s| (s.tensors, s.tensor_bytes)).collect();
            assert_eq!(got, stated, "{rule} {}", row["label"]);
        }
        println!("{rule}: {} splits equal", rows.len());
    }
}

type Row = (String, Dtype, Vec<u64>);

/// Header of a small safetensors file, read in the plainest way: tensors, metadata, header bytes, file bytes.
fn read(file: &str) -> (Vec<Row>, Vec<(String, String)>, u64, u64) {
    let path = format!("{}/fixtures/fracast/{file}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let header: Value = serde_json::from_slice(&bytes[8..8 + length as usize]).unwrap();
    let mut metadata = Vec::new();
    let mut tensors = Vec::new();
    for (name, row) in header.as_object().unwrap() {
        if name == "__metadata__" {
            metadata = row.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
            continue;
        }
        let shape = row["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
        tensors.push((name.clone(), Dtype::from_safetensors(row["dtype"].as_str().unwrap()).unwrap(), shape));
    }
    (tensors, metadata, 8 + length, bytes.len() as u64)
}

#[test]
fn the_fracast_pair_is_bridged_byte_by_byte() {
    let config = ModelConfig::default();
    let load = |file: &str| {
        let (tensors, metadata, header_bytes, file_bytes) = read(file);
        let tensors = tensors
            .into_iter()
            .map(|(name, dtype, shape): Row| {
                let aux = name.ends_with("scale") || name.ends_with("scales");
                let role = if shape.len() > 1 { Role::Mlp } else { Role::Norm };
                let mut t = ProjectTensor::weight(name, role, None, dtype, &shape);
                if aux {
                    t.part = Part::Auxiliary;
                    t.logical_params = 0;
                }
                t
            })
            .collect();
        ProjectInput {
            format: Some(Format::Safetensors),
            tensors,
            file_bytes,
            header_bytes,
            files: 1,
            model: &config,
            quantization: None,
            safetensors_metadata: Some(metadata),
            gguf: None,
            folder: None,
            provenance: Provenance::default(),
        }
    };
    let (float, int8) = (load("model.safetensors"), load("model.int8.safetensors"));
    assert_eq!((float.tensor_bytes(), float.file_bytes), (340_004, 344_412));
    assert_eq!((int8.tensor_bytes(), int8.file_bytes), (106_828, 113_228));
    let terms = weighbridge::diff::bridge(&float, &int8);
    let lines: Vec<(i128, &str)> = terms.iter().map(|t| (t.bytes, t.label.as_str())).collect();
    assert_eq!(
        lines,
        [
            (344_412, "actual"),
            (-239_424, "linears F32 to I8"),
            (0, "linears kept (12,288 B)"),
            (-192, "norms and biases F32 to I8"),
            (0, "norms and biases kept (8,228 B)"),
            (6_440, "scales and zero points added in F32"),
            (1_992, "header"),
        ]
    );
    assert_eq!(terms.iter().map(|t| t.bytes).sum::<i128>(), 113_228);
    assert!(terms.iter().all(|t| t.label != "unaccounted"));
    let header = terms.iter().find(|t| t.label == "header").unwrap();
    assert_eq!(header.bytes, (113_228 - 106_828) - (344_412 - 340_004));
    // What the weights lost: three of four bytes each.
    let retyped: i128 = terms.iter().filter(|t| t.label.ends_with("F32 to I8")).map(|t| t.bytes).sum();
    let i8_weights: u64 = int8.tensors.iter().filter(|t| t.dtype == Dtype::I8).map(|t| t.elements).sum();
    assert_eq!(retyped, -3 * i128::from(i8_weights));
    let request = Request { targets: vec![Target::parse("f32")], ..Request::default() };
    // The file's own header is made again to the byte; a quantized source is refused, not guessed at.
    assert_eq!(project(&float, &request).quantized[0].file_bytes, Some(344_412));
    // The other way only the tensors are known; to another quantization it is refused, not guessed at.
    let back = &project(&int8, &request).quantized[0];
    assert_eq!((back.basis, back.tensor_bytes, back.file_bytes), (Basis::Estimate, Some(340_004), None));
    let request = Request { targets: vec![Target::parse("nf4")], ..Request::default() };
    let refused = &project(&int8, &request).quantized[0];
    assert_eq!((refused.basis, refused.tensor_bytes), (Basis::Refused, None));
    assert!(refused.notes[0].contains("already quantized"), "{:?}", refused.notes);
}
