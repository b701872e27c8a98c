//! The full pass against numpy and scipy (`fixtures/full_stats`), against plain code on large tensors, and against itself: threads,
//! parts and ways of reading must not change a digit.

use std::path::Path;

use crate::common::{noise, write_bytes};
use serde_json::{Value, json};
use weighbridge::checkpoint::{Checkpoint, OpenOptions, Role, open};
use weighbridge::dtype::Dtype;
use weighbridge::observe::Silent;
use weighbridge::report::scan::full::FullRow;
use weighbridge::scan::full::{Axis, CastTarget, FullOutcome, FullPart, Geometry, duplicates, merge_full, scan_full};
use weighbridge::scan::{Io, Part, ScanFile, ScanOptions, ScanTensor, Selection, scan};
use weighbridge::stats::full::FullStats;
use weighbridge::units::Elements;

fn fixture(name: &str) -> (Checkpoint, Selection, Vec<Vec<Option<Geometry>>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/full_stats").join(name);
    let checkpoint = open(&path, &OpenOptions::default()).unwrap();
    let selection = Selection::of(&checkpoint, &|_| true);
    let tensors: Vec<_> = checkpoint.tensors().collect();
    let geometry =
        selection.order.iter().map(|order| order.iter().map(|&i| Geometry::of(&checkpoint, &tensors[i])).collect()).collect();
    (checkpoint, selection, geometry)
}

/// Numbers agree to 12 digits, everything else exactly. Null where the truth says nothing of it.
fn agree(truth: &Value, ours: &Value, at: &str) -> usize {
    match (truth, ours) {
        (Value::Object(truth), Value::Object(ours)) => {
            truth.iter().map(|(key, value)| agree(value, ours.get(key).unwrap_or(&Value::Null), &format!("{at}.{key}"))).sum()
        }
        (Value::Number(a), Value::Number(b)) => {
            if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
                assert_eq!(a, b, "{at}");
            } else {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                assert!((a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1e-300), "{at}: {a} against {b}");
            }
            1
        }
        _ => {
            assert_eq!(truth, ours, "{at}");
            1
        }
    }
}

#[test]
fn figures_are_those_of_numpy_and_scipy() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/full_stats/truth.json")).unwrap();
    let truth: Value = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    for (key, folder) in [("llama/model.safetensors", "llama"), ("gpt2/model.safetensors", "gpt2"), ("blocks.gguf", "blocks.gguf")]
    {
        let (checkpoint, selection, geometry) = fixture(folder);
        for (round, cast) in CastTarget::ALL.into_iter().enumerate() {
            let outcome = scan_full(&selection.files, &geometry, &[], &ScanOptions::default(), Some(cast), &Silent).unwrap();
            for (tensor, stats) in checkpoint.tensors().zip(&outcome.files[0].tensors) {
                let (name, stats) = (tensor.name(), stats.as_ref().unwrap());
                let mut ours = serde_json::to_value(FullRow::of(stats, Some(cast))).unwrap();
                ours["elements"] = json!(stats.elements);
                ours["zeros"] = json!(stats.zeros);
                let mut truth = truth[key][&*name].clone();
                assert!(truth.is_object(), "{name} is not in the truth");
                let casts = truth.as_object_mut().unwrap().remove("cast").unwrap();
                let at = format!("{folder} {name}");
                if round == 0 {
                    compared += agree(&truth, &ours, &at);
                }
                if let Some(loss) = casts.get(cast.name()) {
                    compared += agree(loss, &ours["cast"], &format!("{at} cast to {}", cast.name()));
                }
            }
        }
    }
    assert!(compared > 2000, "{compared} figures");
}

#[test]
fn tensors_together_have_the_quantiles_of_numpy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/full_stats/cutoffs.json");
    let truth: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (_, selection, geometry) = fixture("llama");
    let outcome = scan_full(&selection.files, &geometry, &[], &ScanOptions::default(), None, &Silent).unwrap();
    let pooled = outcome.pooled.unwrap();
    let mut compared = 0;
    for (dtype, truth) in truth["pooled"].as_object().unwrap() {
        let found = pooled.figures(&|role, d| role == Role::Other && d.name() == Some(dtype));
        let within = match dtype.as_str() {
            "F64" => 0.5f64.powi(6),
            "F32" => 0.5f64.powi(9),
            _ => 0.0,
        };
        assert_eq!(found.relative_error, within, "{dtype}");
        let names = ["p01", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999"];
        for (name, ours) in names.into_iter().zip(found.quantiles.unwrap().0) {
            let wanted = truth["quantiles"][name].as_f64().unwrap();
            assert!((ours - wanted).abs() <= within.max(1e-15) * wanted, "{dtype} {name}: {ours} against {wanted}");
            compared += 1;
        }
        let entropy = truth["exponent_entropy_bits"].as_f64().unwrap();
        assert!((found.exponent_entropy_bits.unwrap() - entropy).abs() < 1e-12, "{dtype}");
    }
    assert!(compared >= 80, "{compared} quantiles");
    // Exponents of 8 and of 5 bits have no code together.
    let mixed = pooled.figures(&|_, d| matches!(d, Dtype::BF16 | Dtype::F16));
    assert!(mixed.exponent_entropy_bits.is_none() && mixed.relative_error == 0.0 && mixed.quantiles.is_some());
    assert!(pooled.figures(&|_, d| matches!(d, Dtype::BF16 | Dtype::F32)).exponent_entropy_bits.is_some());
    assert!(pooled.figures(&|_, _| false).quantiles.is_none());
}

#[test]
fn chance_alone_is_no_pattern_and_a_pattern_is_claimed() {
    let (checkpoint, selection, geometry) = fixture("llama");
    let outcome = scan_full(&selection.files, &geometry, &[], &ScanOptions::default(), None, &Silent).unwrap();
    let groups = |name: &str| {
        let index = checkpoint.tensors().position(|t| t.name() == name).unwrap();
        outcome.files[0].tensors[index].clone().unwrap().structure.unwrap().groups.unwrap()
    };
    let [two_of_four, one_of_four, four_of_eight] = groups("random_half.weight");
    let share = two_of_four.ok as f64 / two_of_four.groups as f64;
    assert!((share - 0.6875).abs() < 0.02, "11 of the 16 ways of zeros in 4 values: {share}");
    assert_eq!(two_of_four.chance(), Some(0.6875));
    assert!(!two_of_four.is_pattern() && !one_of_four.is_pattern() && !four_of_eight.is_pattern());
    let [two_of_four, one_of_four, four_of_eight] = groups("model.layers.0.self_attn.k_proj.weight");
    assert!(two_of_four.is_pattern() && !one_of_four.is_pattern() && four_of_eight.is_pattern());
    assert_eq!(two_of_four.exact, two_of_four.groups);
    let [.., eights] = groups("eights.weight");
    assert!(eights.is_pattern());
    // 70 columns: kernels refuse a short last group.
    let [short, ..] = groups("short.weight");
    assert!(short.ok == short.groups && !short.fills && !short.is_pattern());
}

#[test]
fn equal_tensors_are_found_across_files() {
    let (_, selection, _) = fixture("llama");
    let files = [selection.files[0].clone(), selection.files[0].clone()];
    let outcome = scan(&files, &ScanOptions::default(), &Silent).unwrap();
    let groups = duplicates(&files, &outcome, &Silent).unwrap();
    let tensors = selection.files[0].tensors.len();
    // Every tensor is there twice; of one value throughout is one, and nothing finite has one more.
    let twins = groups.iter().filter(|group| group.members.len() == 4).count();
    assert_eq!(twins, 1, "{groups:?}");
    assert_eq!(groups.iter().map(|group| group.members.len()).sum::<usize>(), 2 * (tensors - 1));
    let one = scan(&files[..1], &ScanOptions::default(), &Silent).unwrap();
    let groups = duplicates(&files[..1], &one, &Silent).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].members.len(), groups[0].bytes), (2, 1200));
}

/// Tensors of several bands, of long rows, of many planes, at odd offsets; every other value zero in places.
fn large(dir: &Path) -> (ScanFile, Vec<Option<Geometry>>) {
    let shapes = [
        (Dtype::BF16, 1, 3000, 500, Some(Axis::Columns)),
        (Dtype::BF16, 1, 24, 110_000, Some(Axis::Rows)),
        (Dtype::F32, 1, 70, 20_001, Some(Axis::Columns)),
        (Dtype::F16, 9, 100, 1024, Some(Axis::Columns)),
        (Dtype::I32, 1, 1000, 700, None),
        (Dtype::F64, 1, 333, 1200, Some(Axis::Rows)),
        (Dtype::F8_E4M3, 1, 2100, 1200, Some(Axis::Columns)),
        (Dtype::F4, 1, 2000, 2600, Some(Axis::Columns)),
    ];
    let (mut tensors, mut geometry, mut data, mut seed) = (Vec::new(), Vec::new(), vec![0; 5], 5);
    for (dtype, planes, rows, columns, reduction) in shapes {
        let elements = planes * rows * columns;
        let bytes = dtype.bytes_of(Elements(elements)).unwrap().0;
        seed += 1;
        let mut content = noise(bytes, seed);
        let size = content.len() / elements.min(bytes) as usize;
        for (i, element) in content.chunks_exact_mut(size.max(1)).enumerate() {
            // A half of the values at random, a block, and a row.
            if element[0] & 1 == 0 || (400_000..460_000).contains(&i) || (i / 37).is_multiple_of(50) {
                element.fill(0);
            }
        }
        tensors.push(ScanTensor { dtype, offset: data.len() as u64, bytes, elements, slices: 1 });
        geometry.push(Some(Geometry { planes, rows, columns, reduction, heads: None, channels: None }));
        data.extend(content);
        data.push(0);
    }
    let path = dir.join("large.bin");
    write_bytes(&path, &data);
    (ScanFile { path, identity: None, tensors }, geometry)
}

fn figures(outcome: &FullOutcome) -> Vec<Option<FullStats>> {
    outcome.files.iter().flat_map(|file| &file.tensors).map(|stats| stats.as_deref().cloned()).collect()
}

#[test]
fn threads_parts_and_io_change_no_digit() {
    let dir = tempfile::tempdir().unwrap();
    let (file, geometry) = large(dir.path());
    let (files, geometry) = ([file], [geometry]);
    let run = |options: ScanOptions| scan_full(&files, &geometry, &[], &options, Some(CastTarget::F8E5m2), &Silent).unwrap();
    let whole = run(ScanOptions { threads: Some(1), ..ScanOptions::default() });
    let (reference, pooled) = (figures(&whole), whole.pooled.unwrap());
    assert!(reference.iter().all(Option::is_some));
    for (threads, io) in [(2, Io::Read), (5, Io::Mmap), (3, Io::Auto)] {
        let outcome = run(ScanOptions { threads: Some(threads), io, ..ScanOptions::default() });
        assert!(figures(&outcome) == reference && outcome.pooled.as_ref() == Some(&pooled), "{threads} threads, {io:?}");
    }
    for count in [1, 3, 20] {
        let parts: Vec<FullPart> = (1..=count)
            .map(|index| {
                let part = Some(Part::new(index, count).unwrap());
                let text = serde_json::to_string(&run(ScanOptions { part, ..ScanOptions::default() }).to_part()).unwrap();
                serde_json::from_str(&text).unwrap()
            })
            .collect();
        let all: Vec<&FullPart> = parts.iter().collect();
        let merged = merge_full(&all).unwrap();
        assert!(figures(&merged) == reference && merged.pooled.as_ref() == Some(&pooled), "{count} parts");
        if count > 1 {
            assert!(merge_full(&[all.clone(), all].concat()).is_err());
        }
    }
}

/// The magnitudes of a tensor, one by one.
fn magnitudes(bytes: &[u8], dtype: Dtype) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f64().abs()).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f64().abs()).collect(),
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b).abs())).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b).abs()).collect(),
        Dtype::I32 => bytes.as_chunks().0.iter().map(|b| f64::from(i32::from_le_bytes(*b)).abs()).collect(),
        _ => return None,
    })
}

#[test]
fn large_tensors_have_the_figures_of_plain_code() {
    let dir = tempfile::tempdir().unwrap();
    let (file, geometry) = large(dir.path());
    let data = std::fs::read(&file.path).unwrap();
    let outcome =
        scan_full(std::slice::from_ref(&file), std::slice::from_ref(&geometry), &[], &ScanOptions::default(), None, &Silent)
            .unwrap();
    for ((tensor, geometry), stats) in file.tensors.iter().zip(geometry).zip(&outcome.files[0].tensors) {
        let (g, stats) = (geometry.unwrap(), stats.as_ref().unwrap());
        let bytes = &data[tensor.offset as usize..(tensor.offset + tensor.bytes) as usize];
        let Some(values) = magnitudes(bytes, tensor.dtype) else { continue };
        let what = format!("{:?}", tensor.dtype);
        let mut finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        finite.sort_by(f64::total_cmp);
        let wanted = weighbridge::stats::full::QUANTILES
            .map(|share| finite[((finite.len() as u64 * u64::from(share)).div_ceil(1000) - 1) as usize]);
        assert_eq!(stats.quantiles.unwrap().0, wanted, "{what}");
        assert_eq!(stats.first_nan, values.iter().position(|x| x.is_nan()).map(|i| i as u64), "{what}");
        assert_eq!(stats.first_inf, values.iter().position(|x| x.is_infinite()).map(|i| i as u64), "{what}");
        assert_eq!(stats.zeros, values.iter().filter(|x| **x == 0.0).count() as u64, "{what}");
        let structure = stats.structure.as_ref().unwrap();
        let (rows, columns) = (g.rows as usize, g.columns as usize);
        let zero = |plane: usize, row: usize, column: usize| values[(plane * rows + row) * columns + column] == 0.0;
        let planes = 0..g.planes as usize;
        let empty_rows = planes.clone().flat_map(|p| (0..rows).map(move |r| (p, r)));
        let empty_rows = empty_rows.filter(|&(p, r)| (0..columns).all(|c| zero(p, r, c))).count() as u64;
        assert_eq!(structure.zero_rows, Some(empty_rows), "{what}");
        for ((h, w), blocks) in weighbridge::stats::full::BLOCKS.into_iter().zip(structure.blocks) {
            let (h, w) = (h as usize, w as usize);
            let (mut count, mut empty) = (0u64, 0u64);
            for (p, r, c) in
                planes.clone().flat_map(|p| (0..rows / h).flat_map(move |r| (0..columns / w).map(move |c| (p, r * h, c * w))))
            {
                count += 1;
                empty += u64::from((0..h).all(|i| (0..w).all(|j| zero(p, r + i, c + j))));
            }
            assert_eq!((blocks.blocks, blocks.zero), (count, empty), "{what} {h}x{w}");
        }
        let Some(groups) = structure.groups else { continue };
        for ((n, m), found) in weighbridge::stats::full::PATTERNS.into_iter().zip(groups) {
            let (mut count, mut ok, mut exact) = (0u64, 0u64, 0u64);
            let (across, along) = if g.reduction == Some(Axis::Columns) { (rows, columns) } else { (columns, rows) };
            for (p, line) in planes.clone().flat_map(|p| (0..across).map(move |line| (p, line))) {
                for start in (0..along / m as usize).map(|i| i * m as usize) {
                    let at = |i: usize| if g.reduction == Some(Axis::Columns) { zero(p, line, i) } else { zero(p, i, line) };
                    let filled = (start..start + m as usize).filter(|&i| !at(i)).count() as u64;
                    (count, ok, exact) = (count + 1, ok + u64::from(filled <= n), exact + u64::from(filled == n));
                }
            }
            assert_eq!((found.groups, found.ok, found.exact), (count, ok, exact), "{what} {n}:{m}");
        }
    }
}
