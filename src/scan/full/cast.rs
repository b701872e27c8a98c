//! What a cast to a shorter float type loses.

use crate::choice::Choice;
use crate::stats::full::CastLoss;

/// A type that values may be cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastTarget {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an F32.
    Bf16,
    /// OCP 8-bit float with 3 bits of mantissa and no infinity.
    F8E4m3,
    /// OCP 8-bit float with 2 bits of mantissa.
    F8E5m2,
}

impl Choice for CastTarget {
    const WHAT: &'static str = "target of a cast";
    const NAMES: &'static [(&'static str, Self, &'static str)] = &[
        ("f16", Self::F16, "IEEE half precision"),
        ("bf16", Self::Bf16, "The upper half of F32"),
        ("f8_e4m3", Self::F8E4m3, "8 bits, up to 448"),
        ("fp8", Self::F8E4m3, ""),
        ("f8_e5m2", Self::F8E5m2, "8 bits, up to 57344"),
    ];
}

impl CastTarget {
    /// Every target.
    pub const ALL: [Self; 4] = [Self::F16, Self::Bf16, Self::F8E4m3, Self::F8E5m2];

    /// As dtypes are spelled.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F8E4m3 => "F8_E4M3",
            Self::F8E5m2 => "F8_E5M2",
        }
    }

    /// Mantissa bits, exponent of the smallest normal number, largest finite number. Sources: IEEE 754-2019, OCP 8-bit Floating Point
    /// Specification 1.0.
    fn grid(self) -> (i32, i32, f64) {
        match self {
            Self::F16 => (10, -14, 65504.0),
            Self::Bf16 => (7, -126, f64::from(f32::from_bits(0x7f7f_0000))),
            Self::F8E4m3 => (3, -6, 448.0),
            Self::F8E5m2 => (2, -14, 57344.0),
        }
    }

    /// A magnitude rounded to the type's grid, as if its exponents went on without end.
    #[inline(always)]
    fn round((mantissa, least, _): (i32, i32, f64), magnitude: f64) -> f64 {
        let exponent = ((magnitude.to_bits() >> 52) as i32 - 1023).clamp(least, 200);
        // Adding a number whose last place is the grid's step rounds to that step, ties to even.
        let step = f64::from_bits(((exponent - mantissa + 52 + 1023) as u64) << 52);
        (magnitude + step) - step
    }

    /// What is lost of `n` values in order. Sums are taken in eight lanes, so that they depend on the order alone.
    pub(super) fn loss(self, n: usize, at: impl Fn(usize) -> f64) -> CastLoss {
        let grid = self.grid();
        let mut lanes = [One::default(); 8];
        let mut start = 0;
        while start + 8 <= n {
            for (i, lane) in lanes.iter_mut().enumerate() {
                lane.add(grid, at(start + i));
            }
            start += 8;
        }
        for (i, lane) in (start..n).zip(&mut lanes) {
            lane.add(grid, at(i));
        }
        lanes.iter().fold(CastLoss::default(), |sum, lane| sum.merge(&lane.loss(1)))
    }

    /// The loss of a number of elements of one value.
    pub(super) fn loss_of(self, value: f64, count: u64) -> CastLoss {
        let mut one = One::default();
        one.add(self.grid(), value);
        one.loss(count)
    }
}

/// The loss in one lane. Plain selects and sums, which compilers turn into vector code.
#[derive(Clone, Copy, Default)]
struct One {
    values: u64,
    overflow: u64,
    underflow: u64,
    changed: u64,
    compared: u64,
    max: f64,
    sum_sq: f64,
}

impl One {
    #[inline(always)]
    fn add(&mut self, grid: (i32, i32, f64), value: f64) {
        let x = value.abs();
        let (finite, cast) = (x < f64::INFINITY, CastTarget::round(grid, x));
        let over = finite & (cast > grid.2);
        let compared = finite & (x > 0.0) & !over;
        self.values += u64::from(finite);
        self.overflow += u64::from(over);
        self.underflow += u64::from((x > 0.0) & (cast == 0.0));
        self.changed += u64::from((finite & (cast != x)) | over);
        self.compared += u64::from(compared);
        let (error, of) = if compared { ((cast - x).abs(), x) } else { (0.0, 1.0) };
        let relative = error / of;
        self.sum_sq += relative * relative;
        self.max = if relative > self.max { relative } else { self.max };
    }

    /// As often as this lane's values occur.
    fn loss(&self, count: u64) -> CastLoss {
        CastLoss {
            values: self.values * count,
            overflow: self.overflow * count,
            underflow: self.underflow * count,
            changed: self.changed * count,
            compared: self.compared * count,
            max_relative: self.max,
            sum_sq_relative: self.sum_sq * count as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundings_are_those_of_the_half_crate() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let x = f32::from_bits((state >> 33) as u32 & 0x7fff_ffff);
            if !x.is_finite() {
                continue;
            }
            for (target, cast) in
                [(CastTarget::F16, half::f16::from_f32(x).to_f64()), (CastTarget::Bf16, half::bf16::from_f32(x).to_f64())]
            {
                let rounded = CastTarget::round(target.grid(), f64::from(x));
                let rounded = if rounded > target.grid().2 { f64::INFINITY } else { rounded };
                assert_eq!(rounded, cast, "{x:e} to {target:?}");
            }
        }
    }

    #[test]
    fn the_edges_of_the_8_bit_types() {
        let e4m3 = |x: f64| CastTarget::F8E4m3.loss(1, |_| x);
        assert_eq!((e4m3(448.0).changed, e4m3(464.0).overflow, e4m3(464.1).overflow, e4m3(-1e9).overflow), (0, 0, 1, 1));
        assert_eq!((e4m3(2f64.powi(-10)).underflow, e4m3(1.1 * 2f64.powi(-10)).underflow), (1, 0));
        let e5m2 = |x: f64| CastTarget::F8E5m2.loss(1, |_| x);
        assert_eq!((e5m2(57344.0).changed, e5m2(61439.0).overflow, e5m2(61440.0).overflow), (0, 0, 1));
        assert_eq!(e5m2(f64::NAN), CastLoss::default());
        assert_eq!(e4m3(1.0625).max_relative, 0.0625 / 1.0625);
    }
}
