//! Fast kernels against decoding, and instruction sets against each other, on random and hostile blocks.

use super::*;
use crate::scan::{Simd, leaf};

/// A small generator: what matters is that it is fixed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

/// f16 scales of every kind: ordinary, zeros, smallest and largest, subnormal, NaN, Inf.
fn hostile_f16(random: &mut Random) -> u16 {
    const KINDS: [u16; 16] = [
        0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x3c00, 0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfe01, 0x7c01,
        0x2c00,
    ];
    KINDS[random.below(16) as usize]
}

/// Kinds of data.
const KINDS: u64 = 6;

/// `blocks` blocks of random codes under scales of a kind: 0 ordinary, 1 ordinary with one hostile block in eight, 2 all hostile,
/// 3 with equal scale and minimum (values that cancel to 0), 4 mostly zero bytes, 5 raw random bytes.
fn make(dtype: Dtype, blocks: usize, kind: u64, random: &mut Random) -> Vec<u8> {
    let row = block(dtype).unwrap();
    let mut bytes: Vec<u8> = (0..blocks * row.bytes).map(|_| random.next() as u8).collect();
    for block in bytes.chunks_exact_mut(row.bytes) {
        if kind == 5 {
            continue;
        }
        if kind == 4 && random.below(4) > 0 {
            block.fill([0, 0, 0x80, 0x88, 0xff][random.below(5) as usize]);
        }
        let hostile = kind == 2 || (kind == 1 && random.below(8) == 0);
        let scale = 0x1c00 + random.below(0x500) as u16;
        for &at in row.scales.f16_offsets() {
            let bits = match kind {
                _ if hostile => hostile_f16(random),
                3 => [scale, 0x8000 | scale, scale + 0x400][random.below(3) as usize],
                4 if random.below(2) == 0 => [0, 0x8000][random.below(2) as usize],
                _ => (0x1c00 + random.below(0x500) as u16) | ((random.below(2) as u16) << 15),
            };
            block[at..at + 2].copy_from_slice(&bits.to_le_bytes());
        }
        match dtype {
            Dtype::MXFP4 if hostile => block[0] = [0, 1, 2, 252, 253, 254, 255][random.below(7) as usize],
            Dtype::MXFP4 => block[0] = 118 + random.below(4) as u8,
            Dtype::NVFP4 if hostile => block[..4].iter_mut().for_each(|s| *s = random.next() as u8 | 0x70),
            Dtype::NVFP4 if kind == 4 => block[..4].iter_mut().for_each(|s| *s = [0, 0x80, 0x7f, 1][random.below(4) as usize]),
            Dtype::Q8_K => {
                let hard = [0.0, -0.0, 1e-45, -1e-38, f32::MAX, 2.7e36, f32::NAN, f32::NEG_INFINITY];
                let d = if hostile { hard[random.below(8) as usize] } else { 1e-3 * (1 + random.below(100)) as f32 };
                block[..4].copy_from_slice(&d.to_le_bytes());
            }
            Dtype::IQ1_M => {
                let bits = if hostile { hostile_f16(random) } else { scale };
                for w in 0..4 {
                    block[49 + 2 * w] = block[49 + 2 * w] & 15 | ((bits >> (4 * w) & 15) as u8) << 4;
                }
            }
            // A superblock of zero scales, and the one whose integers do not fit.
            Dtype::Q6_K if random.below(8) == 0 => block[192..208].fill([0, 0x80][random.below(2) as usize]),
            _ => {}
        }
        if dtype == Dtype::Q6_K && random.below(16) == 0 {
            block[..192].fill(0);
            block[192..208].fill(0x80);
        }
    }
    bytes
}

fn counts(s: &LeafStats) -> [u64; 6] {
    [s.elements, s.zeros, s.negative_zeros, s.nan, s.pos_inf, s.neg_inf]
}

#[test]
fn kernels_agree_with_decoding_and_with_each_other() {
    let mut random = Random(0x0123_4567_89ab_cdef);
    for row in BLOCKS {
        let dtype = row.dtype;
        // A minimum makes the decoder round each value; without one every product is exact (but for the f32 scale of Q8_K).
        let exact = !matches!(dtype, Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q2_K | Dtype::Q4_K | Dtype::Q5_K | Dtype::Q8_K);
        for round in 0..120 {
            let kind = round % KINDS;
            let blocks = [1, 2, 7, 16, 33, 64, 65, 200][random.below(8) as usize];
            let mut bytes = make(dtype, blocks, kind, &mut random);
            bytes.insert(0, 0);
            let bytes = &bytes[1..];
            let fast = row.leaf(Level::choose(Simd::Portable).unwrap(), bytes);
            for level in Level::all() {
                let other = row.leaf(level, bytes);
                assert_eq!(other, fast, "{dtype:?}, {level:?}, kind {kind}, {blocks} blocks");
                let bits = |s: &LeafStats| [s.min, s.max, s.sum, s.sum_sq].map(f64::to_bits);
                assert_eq!(bits(&other), bits(&fast), "{dtype:?}, {level:?}, kind {kind}, {blocks} blocks");
            }
            let slow = row.leaf_by_decoding(Level::best(), bytes);
            assert_eq!(counts(&fast), counts(&slow), "{dtype:?}, kind {kind}, {blocks} blocks");
            assert_eq!((fast.min, fast.max), (slow.min, slow.max), "{dtype:?}, kind {kind}, {blocks} blocks");
            assert_eq!(fast.scales, slow.scales, "{dtype:?}, kind {kind}, {blocks} blocks");
            let tolerance = if exact { 1e-12 } else { 1e-7 };
            let size = (slow.sum_sq * slow.elements as f64).sqrt();
            assert!((fast.sum - slow.sum).abs() <= tolerance * size, "{dtype:?}, kind {kind}: {fast:?} {slow:?}");
            assert!((fast.sum_sq - slow.sum_sq).abs() <= tolerance * slow.sum_sq, "{dtype:?}, kind {kind}: {fast:?} {slow:?}");
        }
    }
}

#[test]
fn every_f16_is_exact() {
    for bits in 0..=u16::MAX {
        let (ours, theirs) = (f16_to_f32(bits), half::f16::from_bits(bits).to_f32());
        assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{bits:#06x}");
    }
}

#[test]
fn every_block_quant_has_one_row() {
    for &dtype in Dtype::ALL {
        assert_eq!(BLOCKS.iter().filter(|row| row.dtype == dtype).count(), usize::from(dtype.is_block_quant()), "{dtype:?}");
    }
}

#[test]
fn only_whole_blocks_decode() {
    let mut out = [0.0; 32];
    assert!(decode_block(Dtype::Q4_0, &[0; 18], &mut out).is_some());
    assert!(decode_block(Dtype::Q4_0, &[0; 17], &mut out).is_none());
    assert!(decode_block(Dtype::Q4_0, &[0; 18], &mut out[..31]).is_none());
    assert!(decode_block(Dtype::F16, &[0; 2], &mut out[..1]).is_none());
    assert_eq!(leaf(Dtype::Q4_0, &[0; 17]), None);
    assert_eq!(leaf(Dtype::Q6_K, &[]), Some(LeafStats::default()));
}
