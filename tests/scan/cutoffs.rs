//! Thresholds of magnitude pruning against numpy (`scripts/truth/make_cutoff_truth.py`), and against themselves: threads and ways of reading
//! must not change a digit.

use std::path::Path;

use crate::common::{noise, write_bytes};
use serde_json::Value;
use weighbridge::checkpoint::{OpenOptions, open};
use weighbridge::dtype::Dtype;
use weighbridge::observe::Silent;
use weighbridge::scan::full::{CutoffOutcome, cutoffs};
use weighbridge::scan::{Io, ScanFile, ScanOptions, ScanTensor, Selection};
use weighbridge::stats::magnitude::Cutoff;
use weighbridge::units::Elements;

const SHARES: [f64; 4] = [0.1, 0.5, 0.9, 1.0];

fn agree(truth: &Value, ours: &[Cutoff], what: &str) {
    let truth = truth.as_array().unwrap();
    assert_eq!(truth.len(), ours.len(), "{what}");
    for (truth, ours) in truth.iter().zip(ours) {
        // The decimal digits of an F32: as F64 the parser may miss the last bit.
        assert_eq!(truth["threshold"].as_f64().map(|t| t as f32), Some(ours.threshold as f32), "{what}");
        assert_eq!(truth["dropped"].as_u64(), Some(ours.dropped), "{what}");
    }
}

#[test]
fn thresholds_are_those_of_numpy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/full_stats");
    let truth: Value = serde_json::from_slice(&std::fs::read(root.join("cutoffs.json")).unwrap()).unwrap();
    let checkpoint = open(&root.join("llama"), &OpenOptions::default()).unwrap();
    let selection = Selection::of(&checkpoint, &|_| true);
    let names: Vec<String> = checkpoint.tensors().map(|t| t.name().into_owned()).collect();
    let wanted = [names.iter().map(|name| truth["tensors"].get(name).is_some()).collect()];
    let found = cutoffs(&selection.files, &wanted, &SHARES, &ScanOptions::default(), &Silent).unwrap().unwrap();
    agree(&truth["global"], &found.global.unwrap(), "all");
    let mut compared = 0;
    for (name, found) in names.iter().zip(&found.files[0]) {
        let truth = &truth["tensors"][name];
        let Some(found) = found else {
            assert!(truth.is_null(), "{name}");
            continue;
        };
        assert_eq!(truth["finite"].as_u64(), Some(found.finite), "{name}");
        match &found.own {
            Some(own) => agree(&truth["own"], own, name),
            None => assert!(truth["own"].is_null(), "{name}"),
        }
        assert_eq!(truth["by_global"], serde_json::to_value(&found.by_global).unwrap(), "{name}");
        compared += 1;
    }
    assert_eq!(compared, truth["tensors"].as_object().unwrap().len());
}

/// A tensor of several bands and a small one of each type, NaN and infinities among their values.
fn made(dir: &Path) -> ScanFile {
    let (mut tensors, mut data) = (Vec::new(), vec![0; 3]);
    for (i, dtype) in [Dtype::BF16, Dtype::F32, Dtype::F16, Dtype::F8_E4M3, Dtype::F64, Dtype::F32].into_iter().enumerate() {
        let elements = [3_000_001, 1_500_003, 900, 4_000_000, 1000, 70_000][i];
        let bytes = dtype.bytes_of(Elements(elements)).unwrap().0;
        tensors.push(ScanTensor { dtype, offset: data.len() as u64, bytes, elements, slices: 1 });
        data.extend(noise(bytes, 3 + i as u64));
    }
    let path = dir.join("made.bin");
    write_bytes(&path, &data);
    ScanFile { path, identity: None, tensors }
}

/// The finite magnitudes of a tensor as F32, sorted, one by one.
fn magnitudes(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let mut all: Vec<f32> = match dtype {
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        // OCP E4M3: bias 7, no infinity, all ones is NaN.
        _ => bytes
            .iter()
            .map(|b| match (b >> 3 & 15, b & 7) {
                (15, 7) => f32::NAN,
                (0, m) => f32::from(m) / 512.0,
                (e, m) => (1.0 + f32::from(m) / 8.0) * 2f32.powi(i32::from(e) - 7),
            })
            .collect(),
    };
    all.iter_mut().for_each(|x| *x = x.abs());
    all.retain(|x| x.is_finite());
    all.sort_by(f32::total_cmp);
    all
}

#[test]
fn thresholds_are_those_of_plain_code_for_any_threads() {
    let dir = tempfile::tempdir().unwrap();
    let file = made(dir.path());
    let data = std::fs::read(&file.path).unwrap();
    let files = [file];
    let wanted = [vec![true; 6]];
    let run = |threads, io| -> CutoffOutcome {
        let options = ScanOptions { threads: Some(threads), io, ..ScanOptions::default() };
        cutoffs(&files, &wanted, &SHARES, &options, &Silent).unwrap().unwrap()
    };
    let found = run(1, Io::Read);
    let of: Vec<Vec<f32>> =
        files[0].tensors.iter().map(|t| magnitudes(t.dtype, &data[t.offset as usize..(t.offset + t.bytes) as usize])).collect();
    let mut all: Vec<f32> = of.concat();
    all.sort_by(f32::total_cmp);
    let up_to = |sorted: &[f32], limit: f64| sorted.partition_point(|x| f64::from(*x) <= limit) as u64;
    let check = |sorted: &[f32], found: &[Cutoff]| {
        for (share, found) in SHARES.iter().zip(found) {
            let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1;
            assert_eq!((found.threshold, found.dropped), (f64::from(sorted[place]), up_to(sorted, found.threshold)));
        }
    };
    let global = found.global.clone().unwrap();
    check(&all, &global);
    for (sorted, found) in of.iter().zip(&found.files[0]) {
        let found = found.as_ref().unwrap();
        assert_eq!(found.finite, sorted.len() as u64);
        check(sorted, found.own.as_ref().unwrap());
        let counted: Vec<u64> = global.iter().map(|all| up_to(sorted, all.threshold)).collect();
        assert_eq!(found.by_global, counted);
    }
    for (threads, io) in [(2, Io::Mmap), (5, Io::Auto)] {
        let again = run(threads, io);
        assert!(again.global == found.global && again.files == found.files, "{threads} threads");
    }
}
