//! Every dtype against figures from independent tools: `fixtures/dtypes`, whose `truth.json` says which tool wrote and which
//! read each file. The headers are read here by a few lines of their own, so that only the scan is under test.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weighbridge::dtype::Dtype;
use weighbridge::observe::Silent;
use weighbridge::scan::{ScanFile, ScanOptions, ScanTensor, Simd, Skip, has_kernel, scan};
use weighbridge::stats::TensorStats;
use weighbridge::units::Elements;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dtypes")
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn tensor(dtype: Dtype, offset: u64, elements: u64) -> ScanTensor {
    ScanTensor { dtype, offset, bytes: dtype.bytes_of(Elements(elements)).unwrap().0, elements, slices: 1 }
}

/// Names and places of the tensors of a safetensors file.
fn safetensors(bytes: &[u8]) -> Vec<(String, ScanTensor)> {
    let data = 8 + u64_at(bytes, 0);
    let header: Value = serde_json::from_slice(&bytes[8..data as usize]).unwrap();
    let tensors = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
    tensors
        .map(|(name, info)| {
            let elements = info["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).product();
            let dtype = Dtype::from_safetensors(info["dtype"].as_str().unwrap()).unwrap();
            (name.clone(), tensor(dtype, data + info["data_offsets"][0].as_u64().unwrap(), elements))
        })
        .collect()
}

/// Names and places of the tensors of a GGUF file.
fn gguf(bytes: &[u8]) -> Vec<(String, ScanTensor)> {
    let text = |at: &mut usize| {
        let len = u64_at(bytes, *at) as usize;
        *at += 8 + len;
        String::from_utf8(bytes[*at - len..*at].to_vec()).unwrap()
    };
    fn skip(bytes: &[u8], at: &mut usize, kind: u32) {
        match kind {
            0 | 1 | 7 => *at += 1,
            2 | 3 => *at += 2,
            4..=6 => *at += 4,
            10..=12 => *at += 8,
            8 => *at += 8 + u64_at(bytes, *at) as usize,
            9 => {
                let (kind, count) = (u32_at(bytes, *at), u64_at(bytes, *at + 4));
                *at += 12;
                (0..count).for_each(|_| skip(bytes, at, kind));
            }
            _ => panic!("value type {kind}"),
        }
    }
    assert_eq!(&bytes[..4], b"GGUF");
    let (tensors, keys) = (u64_at(bytes, 8), u64_at(bytes, 16));
    let (mut at, mut alignment) = (24, 32);
    for _ in 0..keys {
        let key = text(&mut at);
        let kind = u32_at(bytes, at);
        at += 4;
        if key == "general.alignment" {
            alignment = u64::from(u32_at(bytes, at));
        }
        skip(bytes, &mut at, kind);
    }
    let mut found = Vec::new();
    for _ in 0..tensors {
        let name = text(&mut at);
        let dims = u32_at(bytes, at) as usize;
        let elements = (0..dims).map(|d| u64_at(bytes, at + 4 + 8 * d)).product();
        at += 4 + 8 * dims;
        let dtype = Dtype::from_ggml(u32_at(bytes, at)).unwrap();
        found.push((name, tensor(dtype, u64_at(bytes, at + 4), elements)));
        at += 12;
    }
    let data = (at as u64).next_multiple_of(alignment);
    found.iter_mut().for_each(|(_, tensor)| tensor.offset += data);
    found
}

fn compare(place: &str, truth: &Value, stats: &TensorStats) -> Vec<String> {
    let mut wrong = Vec::new();
    let counts = [
        ("elements", stats.elements),
        ("zeros", stats.zeros),
        ("negative_zeros", stats.negative_zeros),
        ("nan", stats.nan),
        ("pos_inf", stats.pos_inf),
        ("neg_inf", stats.neg_inf),
    ];
    for (name, count) in counts {
        if truth[name].as_u64() != Some(count) {
            wrong.push(format!("{place}: {name} is {count}, not {}", truth[name]));
        }
    }
    let scale = truth["abs_max"].as_f64().unwrap_or(0.0);
    let relative = |name: &str| 1e-6 * truth[name].as_f64().unwrap_or(0.0).abs();
    // serde_json reads a decimal number to the last bit but one.
    let last_bit = |name: &str| f64::EPSILON * truth[name].as_f64().unwrap_or(0.0).abs();
    let figures = [
        ("min", stats.min(), last_bit("min")),
        ("max", stats.max(), last_bit("max")),
        ("abs_max", stats.abs_max(), last_bit("abs_max")),
        ("mean", stats.mean(), 1e-6 * scale),
        ("std", stats.std(), relative("std")),
        ("l2", stats.l2(), relative("l2")),
    ];
    for (name, figure, tolerance) in figures {
        let close = match (figure, truth[name].as_f64()) {
            (Some(figure), Some(truth)) => (figure - truth).abs() <= tolerance,
            (None, None) => true,
            // Squares beyond f64.
            (None, Some(_)) => truth["overflow"] == Value::Bool(true),
            (Some(_), None) => false,
        };
        if !close {
            wrong.push(format!("{place}: {name} is {figure:?}, not {}", truth[name]));
        }
    }
    wrong
}

#[test]
fn figures_are_those_of_independent_tools() {
    let truth: Value = serde_json::from_slice(&std::fs::read(folder().join("truth.json")).unwrap()).unwrap();
    let (mut wrong, mut scanned, mut without) = (Vec::new(), 0, Vec::new());
    for (file, facts) in truth["files"].as_object().unwrap() {
        let path = folder().join(file);
        let bytes = std::fs::read(&path).unwrap();
        let (names, tensors): (Vec<String>, Vec<ScanTensor>) =
            if file.ends_with(".gguf") { gguf(&bytes) } else { safetensors(&bytes) }.into_iter().unzip();
        assert_eq!(names.len(), facts["tensors"].as_object().unwrap().len(), "{file}");
        let files = [ScanFile { path, identity: None, tensors }];
        for simd in [Simd::Auto, Simd::Portable, Simd::Avx2, Simd::Neon] {
            let Ok(outcome) = scan(&files, &ScanOptions { simd, ..ScanOptions::default() }, &Silent) else { continue };
            assert!(outcome.files[0].error.is_none());
            for ((name, tensor), outcome) in names.iter().zip(&files[0].tensors).zip(&outcome.files[0].tensors) {
                let place = format!("{file} {name} {simd:?}");
                match outcome.stats {
                    Some(stats) => {
                        scanned += 1;
                        wrong.extend(compare(&place, &facts["tensors"][name], &stats));
                    }
                    None => {
                        assert!(!has_kernel(tensor.dtype), "{place}: {:?}", outcome.skipped);
                        assert_eq!(outcome.skipped, Some(Skip::NoKernel), "{place}");
                        without.push(tensor.dtype);
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(scanned > 100, "{scanned} tensors");
    assert!(without.iter().all(|dtype| dtype.is_block_quant()), "{without:?}");
}
