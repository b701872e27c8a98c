//! Toy folders of many families against what the converter wrote of them: every type, tensor bytes and file bytes under every
//! outtype, and every refusal. The keys are compared one by one beside the code that makes them.

use serde_json::Value;
use weighbridge::checkpoint::{HfFolder, OpenOptions, open};
use weighbridge::project::Request;
use weighbridge::project::quantize;
use weighbridge::project::quantize::Context;
use weighbridge::project::quantize::Options;
use weighbridge::project::{Basis, ProjectInput, Target, project};

/// Name, shape with the fastest dimension first, type.
type Row = (String, Vec<u64>, String);

fn stated(record: &Value, outtype: usize) -> Vec<Row> {
    let rows = record["tensors"].as_array().unwrap().iter();
    rows.map(|row| {
        let shape = row[1].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
        let dtype = row[2].as_str().or_else(|| row[2][outtype].as_str()).unwrap();
        (row[0].as_str().unwrap().to_owned(), shape, dtype.to_owned())
    })
    .collect()
}

/// What is wrong with a target of a record.
fn miss(input: &ProjectInput<'_>, record: &Value, (i, outtype): (usize, &str)) -> Option<String> {
    let target = Target::parse(&format!("gguf:{outtype}"));
    let request = Request { targets: vec![target.clone()], ..Request::default() };
    let got = &project(input, &request).quantized[0];
    if !record["refused"].is_null() {
        return (got.basis != Basis::Refused).then(|| format!("{:?}, refused: {}", got.basis, record["refused"]));
    }
    let sizes = &record["outputs"][outtype];
    let stated_sizes = (sizes["tensor_bytes"].as_u64(), sizes["file_bytes"].as_u64());
    if (got.tensor_bytes, got.file_bytes) != stated_sizes || got.basis != Basis::Exact {
        return Some(format!(
            "{:?} {:?} {:?}, stated {stated_sizes:?} {:?}",
            got.basis, got.tensor_bytes, got.file_bytes, got.notes
        ));
    }
    let sum: i128 = got.bridge.iter().map(|t| t.bytes).sum();
    if Some(sum) != got.file_bytes.map(i128::from) || got.bridge.iter().any(|t| t.label == "unaccounted") {
        return Some(format!("the bridge does not hold: {:?}", got.bridge));
    }
    let context = Context::new(input, Options::default());
    let plan = quantize::plan(&context, &target).unwrap().unwrap();
    let rows: Vec<Row> = plan
        .tensors
        .iter()
        .map(|t| (t.name.to_string(), t.shape.iter().rev().copied().collect(), t.dtype.name().unwrap().to_owned()))
        .collect();
    let stated = stated(record, i);
    let at = rows.iter().zip(&stated).position(|(a, b)| a != b);
    (rows != stated).then(|| format!("{} of {} tensors; {:?}", rows.len(), stated.len(), at.map(|i| (&rows[i], &stated[i]))))
}

#[test]
fn every_folder_on_record_is_reproduced() {
    let temp = tempfile::tempdir().unwrap();
    let (mut rows, mut refused) = (0, 0);
    let mut misses = Vec::new();
    let mut architectures = std::collections::BTreeSet::new();
    for (name, record) in crate::families::records() {
        let path = crate::families::recreate(&name, &record, temp.path());
        let checkpoint = open(&path, &OpenOptions::default()).unwrap();
        let mut folder = HfFolder::of(&checkpoint).unwrap();
        folder.pre = record["pre"].as_str().map(str::to_owned);
        let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
        architectures.insert(record["architecture"].as_str().unwrap().to_owned());
        for (i, outtype) in record["outtypes"].as_array().unwrap().iter().enumerate() {
            let outtype = outtype.as_str().unwrap();
            rows += 1;
            refused += usize::from(!record["refused"].is_null());
            misses.extend(miss(&input, &record, (i, outtype)).map(|m| format!("{name} {outtype}: {m}")));
        }
    }
    println!("{rows} rows of {} architectures, {refused} of them refused, {} misses", architectures.len(), misses.len());
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    assert!(rows >= 1600 && architectures.len() >= 50 && refused >= 150, "{rows} {} {refused}", architectures.len());
}
