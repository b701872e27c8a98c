//! Whether floats of two widths are the same numbers.

use half::{bf16, f16};

use crate::dtype::Dtype;

/// How two runs of numbers agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Agreement {
    /// One is the other after a cast, rounded to nearest or, to BF16, cut off.
    Exact,
    /// Every number is within one unit in the last place of the shorter type.
    Rounded,
    /// Some number is further away.
    Far,
}

/// Bytes of an element of a type that is compared.
pub(super) fn width(dtype: Dtype) -> u64 {
    if dtype == Dtype::F32 { 4 } else { 2 }
}

/// Holds two runs of equally many numbers against each other.
pub(super) fn agreement(a: (Dtype, &[u8]), b: (Dtype, &[u8])) -> Agreement {
    let (x, y) = (decode(a), decode(b));
    // Of the two the one with fewer digits of mantissa sets what one unit in the last place is.
    let shorter = if a.0 == Dtype::BF16 || b.0 == Dtype::BF16 { Dtype::BF16 } else { Dtype::F16 };
    let half_range = a.0 == Dtype::F16 || b.0 == Dtype::F16;
    let (mut to_b, mut to_a, mut cut) = (true, true, true);
    let mut far = false;
    for (&x, &y) in x.iter().zip(&y) {
        if half_range && beyond_half(x, y) {
            continue;
        }
        if x.is_nan() || y.is_nan() {
            if x.is_nan() != y.is_nan() {
                return Agreement::Far;
            }
            continue;
        }
        to_b &= cast(x, b.0) == y;
        to_a &= cast(y, a.0) == x;
        cut &= cut_off(x, b.0) == y || cut_off(y, a.0) == x;
        far |= x.is_infinite() != y.is_infinite() || (x - y).abs() > unit(x.abs().max(y.abs()), shorter);
    }
    match () {
        () if to_b || to_a || cut => Agreement::Exact,
        () if far => Agreement::Far,
        () => Agreement::Rounded,
    }
}

fn decode((dtype, bytes): (Dtype, &[u8])) -> Vec<f32> {
    match dtype {
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        _ => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    }
}

fn cast(x: f32, to: Dtype) -> f32 {
    match to {
        Dtype::F16 => f16::from_f32(x).to_f32(),
        Dtype::BF16 => bf16::from_f32(x).to_f32(),
        _ => x,
    }
}

/// BF16 as old converters made it: the lower half of an F32 cut off.
fn cut_off(x: f32, to: Dtype) -> f32 {
    if to == Dtype::BF16 { f32::from_bits(x.to_bits() & 0xffff_0000) } else { f32::NAN }
}

/// Numbers that F16 cannot hold, and those it holds in fewer digits: casts saturate, overflow or flush them to zero as they like.
fn beyond_half(x: f32, y: f32) -> bool {
    let (large, small) = (f16::MAX.to_f32(), f16::MIN_POSITIVE.to_f32());
    let alike = |test: &dyn Fn(f32) -> bool| test(x) && test(y);
    alike(&|v| v.abs() < small) || (alike(&|v| v.abs() >= large) && x.is_sign_negative() == y.is_sign_negative())
}

/// One unit in the last place of a number of that size: 8 digits of mantissa in BF16, 11 in F16, the hidden one included.
fn unit(size: f32, dtype: Dtype) -> f32 {
    let digits = if dtype == Dtype::BF16 { 7 } else { 10 };
    let exponent = f32::from_bits(size.to_bits() & 0x7f80_0000);
    exponent / (1u32 << digits) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(dtype: Dtype, values: &[f32]) -> Vec<u8> {
        let one = |&x: &f32| match dtype {
            Dtype::F16 => f16::from_f32(x).to_le_bytes().to_vec(),
            Dtype::BF16 => bf16::from_f32(x).to_le_bytes().to_vec(),
            _ => x.to_le_bytes().to_vec(),
        };
        values.iter().flat_map(one).collect()
    }

    const VALUES: [f32; 8] = [0.0, -0.051_37, 0.333_333_34, 1.007_812_6, -2.75, 311.12, 1e-6, 7e4];

    #[test]
    fn a_cast_is_told_in_both_directions() {
        use Dtype::{BF16, F16, F32};
        let plain = bytes(F32, &VALUES);
        for to in [F16, BF16] {
            let short = bytes(to, &VALUES);
            assert_eq!(agreement((F32, &plain), (to, &short)), Agreement::Exact);
            assert_eq!(agreement((to, &short), (F32, &plain)), Agreement::Exact);
        }
        // An F16 that was made of BF16 weights.
        let brain = bytes(BF16, &VALUES);
        let values: Vec<f32> = decode((BF16, &brain));
        assert_eq!(agreement((F16, &bytes(F16, &values)), (BF16, &brain)), Agreement::Exact);
    }

    #[test]
    fn numbers_cut_off_are_a_cast_too() {
        let cut: Vec<u8> = VALUES.iter().flat_map(|x| (x.to_bits() >> 16).to_le_bytes()[..2].to_vec()).collect();
        assert_eq!(agreement((Dtype::F32, &bytes(Dtype::F32, &VALUES)), (Dtype::BF16, &cut)), Agreement::Exact);
    }

    #[test]
    fn both_from_one_longer_number_agree_to_rounding() {
        // 1 + 2^-8 + 2^-12 is 1 + 2^-7 in BF16, and in F16 it is 1 + 2^-8, which BF16 then rounds to even, to 1.
        let between = [1.0 + 1.0 / 256.0 + 1.0 / 4096.0, 0.3, 0.7];
        let (half, brain) = (bytes(Dtype::F16, &between), bytes(Dtype::BF16, &between));
        assert_eq!(agreement((Dtype::F16, &half), (Dtype::BF16, &brain)), Agreement::Rounded);
    }

    #[test]
    fn other_numbers_are_far() {
        let mut other = VALUES;
        other[1] += 0.001;
        let (a, b) = (bytes(Dtype::F32, &VALUES), bytes(Dtype::F16, &other));
        assert_eq!(agreement((Dtype::F32, &a), (Dtype::F16, &b)), Agreement::Far);
        let nan = [f32::NAN; 8];
        assert_eq!(agreement((Dtype::F32, &bytes(Dtype::F32, &nan)), (Dtype::F16, &b)), Agreement::Far);
        assert_eq!(agreement((Dtype::F32, &bytes(Dtype::F32, &nan)), (Dtype::F16, &bytes(Dtype::F16, &nan))), Agreement::Exact);
        // An infinity is no large number.
        let (finite, infinite) = (bytes(Dtype::F32, &[3.0]), bytes(Dtype::BF16, &[f32::INFINITY]));
        assert_eq!(agreement((Dtype::F32, &finite), (Dtype::BF16, &infinite)), Agreement::Far);
    }
}
