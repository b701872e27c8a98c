//! Types of 16 bits and more, one element after the other.

use crate::stats::LeafStats;

use super::super::simd::Level;

macro_rules! simple {
    ($name:ident, $bytes:literal, $decode:expr) => {
        pub(super) fn $name(bytes: &[u8], _: Level) -> LeafStats {
            let decode: fn([u8; $bytes]) -> f64 = $decode;
            fold(bytes.as_chunks::<$bytes>().0.iter().map(|b| decode(*b)))
        }
    };
}

simple!(f64, 8, f64::from_le_bytes);
simple!(i64, 8, |b| i64::from_le_bytes(b) as f64);
simple!(u64, 8, |b| u64::from_le_bytes(b) as f64);
simple!(i32, 4, |b| f64::from(i32::from_le_bytes(b)));
simple!(u32, 4, |b| f64::from(u32::from_le_bytes(b)));
simple!(i16, 2, |b| f64::from(i16::from_le_bytes(b)));
simple!(u16, 2, |b| f64::from(u16::from_le_bytes(b)));

fn fold(values: impl Iterator<Item = f64>) -> LeafStats {
    let mut stats = LeafStats::default();
    for value in values {
        stats.elements += 1;
        if value.is_finite() {
            stats.min = stats.min.min(value);
            stats.max = stats.max.max(value);
            stats.sum += value;
            stats.sum_sq += value * value;
            if value == 0.0 {
                stats.zeros += 1;
                stats.negative_zeros += u64::from(value.is_sign_negative());
            }
        } else if value.is_nan() {
            stats.nan += 1;
        } else if value > 0.0 {
            stats.pos_inf += 1;
        } else {
            stats.neg_inf += 1;
        }
    }
    stats
}

/// A complex element is zero if both parts are, NaN if a part is NaN, else infinite if a part is infinite, with the sign of the
/// real part if that is the infinite one. It has no order and no moments.
pub(super) fn c64(bytes: &[u8], _: Level) -> LeafStats {
    let mut stats = LeafStats::default();
    for &[a, b, c, d, e, f, g, h] in bytes.as_chunks::<8>().0 {
        let (re, im) = (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]));
        stats.elements += 1;
        if re == 0.0 && im == 0.0 {
            stats.zeros += 1;
            stats.negative_zeros += u64::from(re.is_sign_negative() && im.is_sign_negative());
        } else if re.is_nan() || im.is_nan() {
            stats.nan += 1;
        } else if re.is_infinite() || im.is_infinite() {
            let infinite = if re.is_infinite() { re } else { im };
            if infinite > 0.0 {
                stats.pos_inf += 1;
            } else {
                stats.neg_inf += 1;
            }
        }
    }
    stats
}
