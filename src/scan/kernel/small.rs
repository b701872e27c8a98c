//! Types of 8 bits and less: count every code, then evaluate the codes in order. The counts are exact, so the figures are as
//! good as f64 can hold, and the data cannot slow it down.

use crate::dtype::Dtype;
use crate::stats::LeafStats;

use super::super::simd::Level;
use super::codes::{Specials, booleans, e8m0, integers, minifloat};

static E4M3: [f64; 256] = minifloat(4, 3, 7, Specials::OnlyNan);
static E5M2: [f64; 256] = minifloat(5, 2, 15, Specials::Ieee);
static E4M3FNUZ: [f64; 256] = minifloat(4, 3, 8, Specials::NanIsMinusZero);
static E5M2FNUZ: [f64; 256] = minifloat(5, 2, 16, Specials::NanIsMinusZero);
static E8M0: [f64; 256] = e8m0();
static E2M3: [f64; 256] = minifloat(2, 3, 1, Specials::None);
static E3M2: [f64; 256] = minifloat(3, 2, 3, Specials::None);
static E2M1: [f64; 256] = minifloat(2, 1, 1, Specials::None);
static I8: [f64; 256] = integers(true);
static U8: [f64; 256] = integers(false);
static BOOL: [f64; 256] = booleans();

/// What the codes of a type of 8 bits and less stand for; `None` for any other type.
pub(in crate::scan) fn value_table(dtype: Dtype) -> Option<&'static [f64; 256]> {
    Some(match dtype {
        Dtype::F8_E4M3 => &E4M3,
        Dtype::F8_E5M2 => &E5M2,
        Dtype::F8_E4M3FNUZ => &E4M3FNUZ,
        Dtype::F8_E5M2FNUZ => &E5M2FNUZ,
        Dtype::F8_E8M0 => &E8M0,
        Dtype::F6_E2M3 => &E2M3,
        Dtype::F6_E3M2 => &E3M2,
        Dtype::F4 => &E2M1,
        Dtype::I8 => &I8,
        Dtype::U8 => &U8,
        Dtype::BOOL => &BOOL,
        _ => return None,
    })
}

pub(super) fn f8_e4m3(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_bytes(bytes), &E4M3)
}

pub(super) fn f8_e5m2(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_bytes(bytes), &E5M2)
}

pub(super) fn f8_e4m3fnuz(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_bytes(bytes), &E4M3FNUZ)
}

pub(super) fn f8_e5m2fnuz(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_bytes(bytes), &E5M2FNUZ)
}

pub(super) fn f8_e8m0(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_bytes(bytes), &E8M0)
}

pub(super) fn f6_e2m3(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_sixes(bytes), &E2M3)
}

pub(super) fn f6_e3m2(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_sixes(bytes), &E3M2)
}

pub(super) fn f4(bytes: &[u8], _: Level) -> LeafStats {
    let pairs = count_bytes(bytes);
    let mut counts = [0; 256];
    for (pair, count) in pairs.iter().enumerate() {
        counts[pair & 15] += count;
        counts[pair >> 4] += count;
    }
    evaluate(&counts, &E2M1)
}

pub(super) fn i8(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_bytes(bytes), &I8)
}

pub(super) fn u8(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_bytes(bytes), &U8)
}

pub(super) fn bool(bytes: &[u8], _: Level) -> LeafStats {
    evaluate(&count_bytes(bytes), &BOOL)
}

/// How often each byte occurs. Eight tables, so that runs of one value do not wait for the counter just written.
fn count_bytes(bytes: &[u8]) -> [u64; 256] {
    let mut tables = [[0u32; 256]; 8];
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        for (table, byte) in tables.iter_mut().zip(word) {
            table[usize::from(*byte)] += 1;
        }
    }
    for byte in rest {
        tables[0][usize::from(*byte)] += 1;
    }
    add_up(&tables)
}

/// How often each 6-bit code occurs: four in three bytes, lowest bits first.
fn count_sixes(bytes: &[u8]) -> [u64; 256] {
    let mut tables = [[0u32; 256]; 4];
    for &[a, b, c] in bytes.as_chunks::<3>().0 {
        let word = u32::from(a) | u32::from(b) << 8 | u32::from(c) << 16;
        for (place, table) in tables.iter_mut().enumerate() {
            table[(word >> (6 * place) & 63) as usize] += 1;
        }
    }
    add_up(&tables)
}

fn add_up<const N: usize>(tables: &[[u32; 256]; N]) -> [u64; 256] {
    let mut counts = [0; 256];
    for table in tables {
        for (sum, count) in counts.iter_mut().zip(table) {
            *sum += u64::from(*count);
        }
    }
    counts
}

/// The figures of counted codes.
fn evaluate(counts: &[u64; 256], values: &[f64; 256]) -> LeafStats {
    let mut stats = LeafStats::default();
    let mut sum = 0.0;
    for (&count, &value) in counts.iter().zip(values) {
        if count == 0 {
            continue;
        }
        stats.counts.add(value, count);
        if value.is_finite() {
            stats.min = stats.min.min(value);
            stats.max = stats.max.max(value);
            sum += value * count as f64;
        }
    }
    let finite = stats.finite();
    if finite != 0 {
        stats.pivot = sum / finite as f64;
        for (&count, &value) in counts.iter().zip(values) {
            if count != 0 && value.is_finite() {
                let deviation = value - stats.pivot;
                stats.sum += deviation * count as f64;
                stats.sum_sq += deviation * deviation * count as f64;
            }
        }
    }
    stats
}
