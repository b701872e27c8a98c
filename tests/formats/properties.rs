//! Properties over many valid and many broken files: every byte mapped, counts exact, verdicts that agree with the reference reader.

use crate::build::{gguf, safetensors};
use weighbridge::format::{self, ByteMap, Container};
use weighbridge::source::MemorySource;

/// splitmix64: the same files every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

const DTYPES: [(&str, u64); 7] = [("F64", 8), ("F32", 4), ("F16", 2), ("BF16", 2), ("I8", 1), ("BOOL", 1), ("F8_E4M3", 1)];

/// A valid safetensors file, and its elements and tensor bytes.
fn valid(dice: &mut Dice) -> (Vec<u8>, u64, u64) {
    let (mut at, mut elements) = (0, 0);
    let mut made = Vec::new();
    for i in 0..dice.below(8) + 1 {
        let (dtype, size) = DTYPES[dice.below(DTYPES.len() as u64) as usize];
        let shape: Vec<u64> = (0..dice.below(4)).map(|_| dice.below(5)).collect();
        let n: u64 = shape.iter().product();
        made.push((format!("layer.{i}.w"), dtype, shape, (at, at + n * size)));
        at += n * size;
        elements += n;
    }
    let rows: Vec<_> = made.iter().map(|(name, dtype, shape, place)| (name.as_str(), *dtype, shape.as_slice(), *place)).collect();
    (safetensors(&rows, &vec![7; at as usize]), elements, at)
}

fn read(name: &str, bytes: &[u8]) -> weighbridge::error::Result<Container> {
    format::read(&MemorySource::new(name, bytes.to_vec()))
}

#[test]
fn valid_safetensors_files_are_counted_and_mapped_to_the_byte() {
    let mut dice = Dice(1);
    for round in 0..2000 {
        let (bytes, elements, tensor_bytes) = valid(&mut dice);
        let container = read("x.safetensors", &bytes).unwrap();
        assert!(container.defects.is_empty(), "round {round}: {:?}", container.defects);
        assert_eq!(container.tensors.iter().map(|t| t.elements).sum::<u64>(), elements);
        let regions = ByteMap::of(&container).totals();
        assert_eq!((regions.total(), regions.tensors), (bytes.len() as u64, tensor_bytes));
        assert_eq!(regions.gap + regions.overlap + regions.trailing, 0);
    }
}

#[test]
fn broken_safetensors_files_tile_and_agree_with_the_reference_reader() {
    let mut dice = Dice(2);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..20_000 {
        let (mut bytes, ..) = valid(&mut dice);
        for _ in 0..dice.below(3) + 1 {
            let at = dice.below(bytes.len() as u64) as usize;
            match dice.below(4) {
                0 => bytes[at] ^= 1 << dice.below(8),
                1 => bytes.truncate(at.max(8)),
                2 => bytes.insert(at, b"0123456789,:[]{}\" "[dice.below(18) as usize]),
                _ => {
                    bytes.remove(at);
                }
            }
            if bytes.len() < 9 {
                break;
            }
        }
        let reference = safetensors::SafeTensors::deserialize(&bytes);
        match read("x.safetensors", &bytes) {
            Ok(container) => {
                assert_eq!(ByteMap::of(&container).totals().total(), bytes.len() as u64, "round {round}");
                let clean = container.defects.is_empty() && !container.tensors.iter().any(|t| t.shape.contains(&0));
                if clean && container.format == format::Format::Safetensors {
                    let reference = reference.unwrap_or_else(|e| panic!("round {round}: the reference refuses: {e}"));
                    assert_eq!(reference.len(), container.tensors.len());
                    taken += 1;
                }
            }
            // What we refuse, the reference refuses too: entries written as lists are the one difference, and no mutation makes one.
            Err(error) => {
                assert!(reference.is_err(), "round {round}: refused by us alone: {error}");
                refused += 1;
            }
        }
    }
    assert!(taken > 100 && refused > 500, "{taken} taken, {refused} refused: the mutations are too mild or too wild");
}

#[test]
fn broken_gguf_files_tile() {
    let mut dice = Dice(3);
    let keys = [("general.architecture", crate::build::Value::Text("llama")), ("x.y", crate::build::Value::Texts(&["a", "bc"]))];
    let good = gguf(&keys, &[("a", &[8], 0, 0), ("b", &[32, 2], 2, 32), ("c", &[256], 12, 96)], 32, &[1; 240]);
    assert!(read("x.gguf", &good).unwrap().defects.is_empty());
    let mut read_anyway = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..dice.below(3) + 1 {
            let at = dice.below(bytes.len() as u64 - 4) as usize + 4;
            match dice.below(3) {
                0 => bytes[at] ^= 1 << dice.below(8),
                1 => bytes[at] = dice.next() as u8,
                _ => bytes.truncate(at.max(24)),
            }
            if bytes.len() < 16 {
                break;
            }
        }
        if let Ok(container) = read("x.gguf", &bytes) {
            assert_eq!(ByteMap::of(&container).totals().total(), bytes.len() as u64);
            read_anyway += 1;
        }
    }
    assert!(read_anyway > 500, "{read_anyway}");
}
