//! Counterparts between a Hugging Face folder and its GGUF are those that the converter made (fixtures/convert), and the figures of
//! a comparison add up.

use std::path::Path;

use serde_json::Value;
use weighbridge::checkpoint::{ModelConfig, OpenOptions, Role, open};
use weighbridge::diff::{Status, diff, match_tensors};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::project::{ProjectInput, ProjectTensor, Provenance};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn input(format: Format, names: &[String], model: &'static ModelConfig) -> ProjectInput<'static> {
    let tensor = |name: &String| ProjectTensor::weight(name.clone(), Role::Other, None, Dtype::F32, &[4, 4]);
    ProjectInput {
        format: Some(format),
        tensors: names.iter().map(tensor).collect(),
        file_bytes: 0,
        header_bytes: 0,
        files: 1,
        model,
        quantization: None,
        safetensors_metadata: None,
        gguf: None,
        folder: None,
        provenance: Provenance::default(),
    }
}

/// `experts.{0..7}.x` stands for eight names.
fn experts(name: &str) -> Vec<String> {
    let Some((before, rest)) = name.split_once('{') else { return vec![name.to_owned()] };
    let (range, after) = rest.split_once('}').unwrap();
    let last: u32 = range.strip_prefix("0..").unwrap().parse().unwrap();
    (0..=last).map(|n| format!("{before}{n}{after}")).collect()
}

#[test]
fn names_meet_as_the_converter_maps_them() {
    let mut folders = 0;
    for entry in std::fs::read_dir(root().join("fixtures/convert")).unwrap() {
        let Ok(text) = std::fs::read(entry.unwrap().path().join("truth.json")) else { continue };
        let truth: Value = serde_json::from_slice(&text).unwrap();
        let family = truth["model"].as_str().unwrap_or("?").to_owned();
        let rows: Vec<(String, Vec<String>)> = truth["tensors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let name = row[0].as_str().unwrap().to_owned();
                let from = row[2].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned());
                // The converter yields a computed tensor under its own name.
                (name.clone(), from.filter(|n| *n != name).flat_map(|n| experts(&n)).collect())
            })
            .collect();
        let gguf: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
        let hugging_face: Vec<String> = rows.iter().flat_map(|(_, from)| from.clone()).collect();
        let model: &'static ModelConfig = Box::leak(Box::default());
        let (a, b) = (input(Format::Safetensors, &hugging_face, model), input(Format::Gguf, &gguf, model));
        for (left, right, turned) in [(&a, &b, false), (&b, &a, true)] {
            for one in match_tensors(left, right) {
                let (of_hf, of_gguf) = if turned { (one.b, one.a) } else { (one.a, one.b) };
                let mut from: Vec<&str> = of_hf.iter().map(|&i| a.tensors[i].name.as_ref()).collect();
                from.sort_unstable();
                // A tensor split in two, or computed, has its names in several rows or in none.
                let mut expected: Vec<&str> = of_gguf.iter().flat_map(|&i| rows[i].1.iter().map(String::as_str)).collect();
                expected.sort_unstable();
                expected.dedup();
                from.dedup();
                assert_eq!(from, expected, "{family}: {:?}", of_gguf.iter().map(|&i| &rows[i].0).collect::<Vec<_>>());
            }
        }
        folders += 1;
    }
    assert!(folders >= 5);
}

#[test]
fn a_float_checkpoint_and_its_int8_form() {
    let open = |file: &str| open(&root().join("fixtures/fracast").join(file), &OpenOptions::default()).unwrap();
    let (a, b) = (open("model.safetensors"), open("model.int8.safetensors"));
    let got = diff(&a, &b, true);
    let tensors = &got.tensors;
    // Counted with python safetensors: 47 and 67 tensors, of which 20 are scales and 20 weights are I8.
    assert_eq!((tensors.same_header, tensors.other_header, tensors.only_a, tensors.only_b), (27, 20, 0, 20));
    assert!(tensors.rows.iter().filter(|r| r.status == Status::OtherHeader).all(|r| r.dtype_b == Some("I8") && !r.reshaped()));
    let sums = |of: fn(&weighbridge::diff::DiffRow) -> u64| tensors.rows.iter().map(of).sum::<u64>();
    assert_eq!((sums(|r| r.bytes_a), sums(|r| r.bytes_b)), (340_004, 106_828));
    assert_eq!((got.bytes.a, got.bytes.b), (344_412, 113_228));
    assert_eq!(got.bytes.bridge.iter().map(|t| t.bytes).sum::<i128>(), 113_228);
    assert!(got.bytes.bridge.iter().all(|t| t.label != "unaccounted"));
    let back = diff(&b, &a, false);
    assert_eq!((back.tensors.only_a, back.tensors.only_b, back.tensors.rows.len()), (20, 0, 40));
    let same = diff(&a, &a, false);
    assert_eq!((same.tensors.same_header, same.tensors.rows.len()), (47, 0));
}
