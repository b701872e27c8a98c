//! Block quants against other people's decoders: `fixtures/dtypes` holds tensors of every type with planted scales (0, -0.0, NaN,
//! Inf, subnormal), `truth.json` what numpy says of their decoded values, `block_quant_values.json` checksums of the values.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use weighbridge::dtype::Dtype;
use weighbridge::scan::blocks::{decode_block, leaf_by_decoding};
use weighbridge::scan::leaf;
use weighbridge::stats::LeafStats;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&fs::read(fixtures().join(path)).unwrap()).unwrap()
}

/// A reader of exactly the GGUF files of `fixtures/dtypes`: (tensor name, dtype, offset of its bytes).
struct Gguf<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Gguf<'_> {
    fn number(&mut self, size: usize) -> usize {
        let mut word = [0; 8];
        word[..size].copy_from_slice(&self.bytes[self.at..self.at + size]);
        self.at += size;
        u64::from_le_bytes(word) as usize
    }

    fn text(&mut self) -> String {
        let length = self.number(8);
        self.at += length;
        String::from_utf8(self.bytes[self.at - length..self.at].to_vec()).unwrap()
    }

    fn value(&mut self, kind: usize) -> usize {
        match kind {
            0 | 1 | 7 => self.number(1),
            2 | 3 => self.number(2),
            4..=6 => self.number(4),
            8 => self.text().len(),
            9 => {
                let (kind, length) = (self.number(4), self.number(8));
                (0..length).map(|_| self.value(kind)).count()
            }
            _ => self.number(8),
        }
    }

    fn tensors(&mut self) -> Vec<(String, Dtype, usize)> {
        self.at = 8;
        let (tensors, keys) = (self.number(8), self.number(8));
        let mut alignment = 32;
        for _ in 0..keys {
            let (key, kind) = (self.text(), self.number(4));
            let value = self.value(kind);
            if key == "general.alignment" {
                alignment = value;
            }
        }
        let mut found = Vec::new();
        for _ in 0..tensors {
            let (name, dimensions) = (self.text(), self.number(4));
            self.at += 8 * dimensions;
            let (id, offset) = (self.number(4), self.number(8));
            found.push((name, Dtype::from_ggml(id as u32).unwrap(), offset));
        }
        let data = self.at.next_multiple_of(alignment);
        found.into_iter().map(|(name, dtype, offset)| (name, dtype, data + offset)).collect()
    }
}

/// Calls `check` with (file name, what truth.json says of the tensor, dtype, the tensor's bytes).
fn each_block_quant(mut check: impl FnMut(&str, &str, &Value, Dtype, &[u8])) {
    let truth = json("dtypes/truth.json");
    let mut seen = 0;
    for (file, entry) in truth["files"].as_object().unwrap() {
        let dtype = entry["ggml_type"].as_u64().and_then(|id| Dtype::from_ggml(id as u32));
        if entry["format"] != "gguf" || !dtype.is_some_and(Dtype::is_block_quant) {
            continue;
        }
        let bytes = fs::read(fixtures().join("dtypes").join(file)).unwrap();
        for (tensor, dtype, at) in (Gguf { bytes: &bytes, at: 0 }).tensors() {
            let facts = &entry["tensors"][&tensor];
            let length = facts["bytes"].as_u64().unwrap() as usize;
            check(file, &tensor, facts, dtype, &bytes[at..at + length]);
            seen += 1;
        }
    }
    assert!(seen >= 2 * Dtype::ALL.iter().filter(|d| d.is_block_quant()).count(), "only {seen} tensors");
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let row = dtype.info().unwrap();
    let mut values = Vec::new();
    let mut block_values = vec![0.0; row.elements_per_block as usize];
    for block in bytes.chunks_exact(row.bytes_per_block as usize) {
        decode_block(dtype, block, &mut block_values).unwrap();
        values.extend_from_slice(&block_values);
    }
    values
}

fn crc32(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[test]
fn decoded_values_are_those_of_gguf_and_libgguf() {
    let checksums = json("truth/block_quant_values.json");
    let mut compared = 0;
    each_block_quant(|file, tensor, _, dtype, bytes| {
        if let Some(expected) = checksums[file][tensor].as_str() {
            let bits = decode(dtype, bytes).into_iter().map(|v| if v.is_nan() { 0x7fc0_0000 } else { v.to_bits() });
            assert_eq!(format!("{:08x}", crc32(bits.flat_map(u32::to_le_bytes))), expected, "{file} {tensor}");
            compared += 1;
        }
    });
    assert!(compared >= 48, "only {compared} tensors");
}

fn compare(what: &str, truth: &Value, stats: &LeafStats) {
    let count = |key: &str| truth[key].as_u64().unwrap();
    assert_eq!(stats.elements, count("elements"), "{what}");
    assert_eq!(stats.zeros, count("zeros"), "{what}: zeros");
    assert_eq!(stats.negative_zeros, count("negative_zeros"), "{what}: negative zeros");
    assert_eq!(stats.nan, count("nan"), "{what}: NaN");
    assert_eq!((stats.pos_inf, stats.neg_inf), (count("pos_inf"), count("neg_inf")), "{what}: Inf");
    let Some(min) = truth["min"].as_f64() else {
        assert_eq!((stats.min, stats.max), (f64::INFINITY, f64::NEG_INFINITY), "{what}");
        return;
    };
    // The values are f32; serde_json may read a decimal one step of an f64 off.
    let max = truth["max"].as_f64().unwrap();
    assert_eq!((stats.min, stats.max), (f64::from(min as f32), f64::from(max as f32)), "{what}: extremes");
    let finite = (stats.elements - stats.nan - stats.pos_inf - stats.neg_inf) as f64;
    let (mean, l2, abs_max) = (stats.sum / finite, stats.sum_sq.sqrt(), truth["abs_max"].as_f64().unwrap());
    let (true_mean, true_l2) = (truth["mean"].as_f64().unwrap(), truth["l2"].as_f64().unwrap());
    assert!((mean - true_mean).abs() <= 1e-7 * abs_max, "{what}: mean {mean}, not {true_mean}");
    assert!((l2 - true_l2).abs() <= 1e-7 * true_l2, "{what}: l2 {l2}, not {true_l2}");
}

#[test]
fn statistics_are_those_of_numpy() {
    each_block_quant(|file, tensor, truth, dtype, bytes| {
        compare(&format!("{file} {tensor}, decoded"), truth, &leaf_by_decoding(dtype, bytes).unwrap());
        compare(&format!("{file} {tensor}"), truth, &leaf(dtype, bytes).unwrap());
    });
}
