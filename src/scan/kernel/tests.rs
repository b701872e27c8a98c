//! Kernels against plain loops in f64, and every set of instructions against every other.

use super::super::simd::Level;
use super::*;
use crate::stats::{LEAF_ELEMENTS, TensorStats};

#[test]
fn every_dtype_has_one_row() {
    for dtype in Dtype::ALL {
        let rows = KERNELS.iter().filter(|kernel| kernel.dtype == *dtype).count();
        assert_eq!(rows + usize::from(block(*dtype).is_some()), 1, "{dtype:?}");
    }
    assert!(!has_kernel(Dtype::Unknown(0)));
}

#[test]
#[cfg(target_arch = "aarch64")]
fn neon_is_chosen_and_among_the_levels_compared() {
    let neon = |level: &Level| matches!(level, Level::Neon(_));
    assert!(neon(&Level::best()));
    assert_eq!(Level::all().iter().map(neon).collect::<Vec<_>>(), [false, true]);
}

/// Bytes that look random, the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// About normal, of standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0
    }
}

type Encode = fn(f64) -> Vec<u8>;

fn encoders() -> Vec<(Dtype, Encode)> {
    vec![
        (Dtype::F64, |x| x.to_le_bytes().to_vec()),
        (Dtype::F32, |x| (x as f32).to_le_bytes().to_vec()),
        (Dtype::F16, |x| half::f16::from_f64(x).to_le_bytes().to_vec()),
        (Dtype::BF16, |x| half::bf16::from_f64(x).to_le_bytes().to_vec()),
        (Dtype::I64, |x| ((x * 1000.0) as i64).to_le_bytes().to_vec()),
        (Dtype::I32, |x| ((x * 1000.0) as i32).to_le_bytes().to_vec()),
        (Dtype::I16, |x| ((x * 1000.0) as i16).to_le_bytes().to_vec()),
        (Dtype::I8, |x| ((x * 10.0) as i8).to_le_bytes().to_vec()),
        (Dtype::U64, |x| ((x * 1000.0) as u64).to_le_bytes().to_vec()),
        (Dtype::U32, |x| ((x * 1000.0) as u32).to_le_bytes().to_vec()),
        (Dtype::U16, |x| ((x * 1000.0) as u16).to_le_bytes().to_vec()),
        (Dtype::U8, |x| ((x * 10.0) as u8).to_le_bytes().to_vec()),
    ]
}

fn decode(dtype: Dtype, b: &[u8]) -> f64 {
    match dtype {
        Dtype::F64 => f64::from_le_bytes(b.try_into().unwrap()),
        Dtype::F32 => f32::from_le_bytes(b.try_into().unwrap()).into(),
        Dtype::F16 => half::f16::from_le_bytes(b.try_into().unwrap()).to_f64(),
        Dtype::BF16 => half::bf16::from_le_bytes(b.try_into().unwrap()).to_f64(),
        Dtype::I64 => i64::from_le_bytes(b.try_into().unwrap()) as f64,
        Dtype::I32 => i32::from_le_bytes(b.try_into().unwrap()).into(),
        Dtype::I16 => i16::from_le_bytes(b.try_into().unwrap()).into(),
        Dtype::I8 => (b[0] as i8).into(),
        Dtype::U64 => u64::from_le_bytes(b.try_into().unwrap()) as f64,
        Dtype::U32 => u32::from_le_bytes(b.try_into().unwrap()).into(),
        Dtype::U16 => u16::from_le_bytes(b.try_into().unwrap()).into(),
        _ => b[0].into(),
    }
}

/// Two passes in f64.
fn reference(dtype: Dtype, bytes: &[u8]) -> TensorStats {
    let width = dtype.info().unwrap().bytes_per_block as usize;
    let values: Vec<f64> = bytes.chunks_exact(width).map(|b| decode(dtype, b)).collect();
    let plain = scalar::fold(values.iter().copied());
    let mean = plain.sum / plain.finite() as f64;
    let centred = scalar::Sums::around(mean, values.iter().copied());
    LeafStats { pivot: mean, sum: centred.sum, sum_sq: centred.sum_sq, ..plain }.into()
}

fn agree(dtype: Dtype, bytes: &[u8], what: &str) {
    let wanted = reference(dtype, bytes);
    let mut first: Option<LeafStats> = None;
    for level in Level::all() {
        let leaf = LeafKernel::of(dtype).unwrap().leaf(bytes, level);
        let first = *first.get_or_insert(leaf);
        assert_eq!(format!("{leaf:?}"), format!("{first:?}"), "{dtype:?} {what}: {level:?}");
    }
    let got = TensorStats::from(first.unwrap());
    let counts = |s: &TensorStats| (s.elements, s.zeros, s.negative_zeros, s.nan, s.pos_inf, s.neg_inf);
    assert_eq!(counts(&got), counts(&wanted), "{dtype:?} {what}");
    assert_eq!((got.min(), got.max()), (wanted.min(), wanted.max()), "{dtype:?} {what}");
    let close = |a: Option<f64>, b: Option<f64>, scale: f64, name: &str| {
        let (Some(a), Some(b)) = (a, b) else { return assert_eq!(a, b, "{dtype:?} {what}: {name}") };
        assert!((a - b).abs() <= 1e-6 * scale, "{dtype:?} {what}: {name} {a} instead of {b}");
    };
    close(got.mean(), wanted.mean(), wanted.abs_max().unwrap_or(0.0), "mean");
    close(got.std(), wanted.std(), wanted.std().unwrap_or(0.0), "std");
    close(got.l2(), wanted.l2(), wanted.l2().unwrap_or(0.0), "l2");
}

#[test]
fn figures_agree_with_a_plain_loop() {
    type Shape = fn(&mut Noise, usize) -> f64;
    let shapes: &[(&str, Shape)] = &[
        ("weights", |n, _| n.normal() * 0.02),
        ("zeros and their negatives", |n, i| if i % 3 == 0 { n.normal() } else { [0.0, -0.0][i & 1] }),
        ("all zero", |_, _| 0.0),
        ("constant", |_, _| 0.1),
        ("one NaN", |n, i| if i == 777 { f64::NAN } else { n.normal() }),
        ("NaN and infinities", |n, i| [f64::NAN, f64::INFINITY, -f64::INFINITY, n.normal()][i * i % 7 % 4]),
        ("all -Inf", |_, _| -f64::INFINITY),
        ("all NaN", |_, _| f64::NAN),
        ("squares overflow", |n, _| n.normal() * 1e25),
        ("one square overflows", |n, i| if i == 4000 { 1e38 } else { n.normal() }),
        ("squares are subnormal", |n, _| n.normal() * 1e-22),
        ("some are tiny", |n, i| if i % 2 == 0 { n.normal() } else { 1e-25 }),
        ("subnormal", |n, _| n.normal() * 1e-40),
        ("narrow around one", |n, _| 1.0 + n.normal() * 0.01),
        ("very narrow around 60", |n, i| 60.0 + if i % 1000 == 0 { n.normal() } else { 0.0 }),
        ("uniform", |n, _| n.next() as f64 / u64::MAX as f64),
        ("an outlier first", |n, i| if i == 0 { 60000.0 } else { n.normal() * 1e-3 }),
        ("Inf at the end", |n, i| if i % 65_536 == 65_535 || i == 99 { f64::INFINITY } else { n.normal() }),
    ];
    for (dtype, encode) in encoders() {
        for (what, shape) in shapes {
            for elements in [1usize, 31, 32, 100, 1056, 5000, LEAF_ELEMENTS as usize] {
                let mut noise = Noise(elements as u64);
                let bytes: Vec<u8> = (0..elements).flat_map(|i| encode(shape(&mut noise, i))).collect();
                agree(dtype, &bytes, &format!("{what}, {elements}"));
            }
        }
    }
}

#[test]
fn random_bits_at_any_address_agree_on_every_instruction_set() {
    let mut noise = Noise(7);
    let bytes: Vec<u8> = (0..LEAF_ELEMENTS + 8).flat_map(|_| noise.next().to_le_bytes()).collect();
    for dtype in Dtype::ALL {
        let (row, kernel) = (dtype.info().unwrap(), LeafKernel::of(*dtype).unwrap());
        for (shift, blocks) in [(0, 3), (1, 40), (3, 1000), (7, 4096), (5, LEAF_ELEMENTS / row.elements_per_block)] {
            let blocks = blocks.min(LEAF_ELEMENTS / row.elements_per_block);
            let len = (blocks * row.bytes_per_block) as usize;
            let leaves: Vec<String> = Level::all()
                .into_iter()
                .map(|level| format!("{:?}", TensorStats::from(kernel.leaf(&bytes[shift..shift + len], level))))
                .collect();
            assert!(leaves.windows(2).all(|pair| pair[0] == pair[1]), "{dtype:?}: {leaves:#?}");
            assert!(leaves[0].contains(&format!("elements: {}", blocks * row.elements_per_block)), "{dtype:?}");
        }
    }
}

#[test]
fn every_code_of_16_bits_is_decoded_as_the_half_crate_does() {
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    agree(Dtype::F16, &bytes, "every code");
    agree(Dtype::BF16, &bytes, "every code");
    for code in 0..=u16::MAX {
        let leaf = LeafKernel::of(Dtype::F16).unwrap().leaf(&code.to_le_bytes().repeat(32), Level::all()[0]);
        let value = half::f16::from_bits(code).to_f64();
        if value.is_finite() {
            assert_eq!((leaf.min, leaf.sum), (value, 32.0 * value));
        }
    }
}
