//! Plain code, for the compiler to vectorise as the target allows.

use super::{Doubles, Floats, Ints, Token, VectorKernel};
use crate::stats::LeafStats;

/// Needs nothing, so anybody may have one.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Portable;

#[derive(Clone, Copy)]
pub(in super::super) struct Lanes<T, const N: usize>([T; N]);

impl<T: Copy, const N: usize> Lanes<T, N> {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        let mut out = self;
        for (a, b) in out.0.iter_mut().zip(other.0) {
            *a = f(*a, b);
        }
        out
    }
}

/// Converts an F16 to F32 exactly, without branches and without arithmetic on subnormals, so that loops of it vectorise and run at
/// one speed (the method is Fabian Giesen's `half_to_float`). The conversion of the crate `half` does not vectorise: it looks for F16C
/// at each call.
#[inline(always)]
pub(in crate::scan) fn f16_to_f32(bits: u16) -> f32 {
    let exponent_and_mantissa = u32::from(bits & 0x7fff) << 13;
    let exponent = exponent_and_mantissa & (0x7c00 << 13);
    let normal = exponent_and_mantissa + ((127 - 15) << 23);
    let infinite_or_nan = exponent_and_mantissa + ((2 * (127 - 15)) << 23);
    let smallest_normal = 113 << 23;
    let subnormal = (f32::from_bits(normal + (1 << 23)) - f32::from_bits(smallest_normal)).to_bits();
    let magnitude = if exponent == 0x7c00 << 13 {
        infinite_or_nan
    } else if exponent == 0 {
        subnormal
    } else {
        normal
    };
    f32::from_bits(magnitude | u32::from(bits & 0x8000) << 16)
}

impl Token for Portable {
    type Halves = Lanes<u16, 32>;
    type Words = Lanes<u32, 32>;
    type Floats = Lanes<f32, 16>;
    type Doubles = Lanes<f64, 16>;

    #[inline]
    fn run(self, kernel: impl VectorKernel) -> LeafStats {
        kernel.call(self)
    }

    #[inline(always)]
    fn prefetch(self, _bytes: &[u8], _at: usize) {}

    #[inline(always)]
    fn bf16(self, bits: Self::Halves) -> (Self::Floats, Self::Floats) {
        let float = |half: u16| f32::from_bits(u32::from(half) << 16);
        (Lanes(std::array::from_fn(|i| float(bits.0[2 * i]))), Lanes(std::array::from_fn(|i| float(bits.0[2 * i + 1]))))
    }

    #[inline(always)]
    fn f16(self, bits: Self::Halves) -> (Self::Floats, Self::Floats) {
        // Not `f16_to_f32`: half as many steps, at the price of arithmetic on subnormals, which among weights are rare. The exponent is
        // five bits of a bias of 15, in the place of eight of a bias of 127: 2^112 makes up for it, exactly, also for subnormal values.
        const SCALE: f32 = f32::from_bits((127 + 112) << 23);
        let float = |half: u16| {
            let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * SCALE;
            let odd = if half & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
            f32::from_bits(magnitude.to_bits() | odd | u32::from(half & 0x8000) << 16)
        };
        (Lanes(std::array::from_fn(|i| float(bits.0[i]))), Lanes(std::array::from_fn(|i| float(bits.0[i + 16]))))
    }

    #[inline(always)]
    fn f32(self, bits: Self::Words) -> (Self::Floats, Self::Floats) {
        let float = f32::from_bits;
        (Lanes(std::array::from_fn(|i| float(bits.0[i]))), Lanes(std::array::from_fn(|i| float(bits.0[i + 16]))))
    }
}

macro_rules! ints {
    ($unsigned:ident, $signed:ident) => {
        impl Ints<Portable> for Lanes<$unsigned, 32> {
            const BYTES: usize = 4 * $unsigned::BITS as usize;

            #[inline(always)]
            fn splat(_: Portable, value: u32) -> Self {
                Self([value as $unsigned; 32])
            }

            #[inline(always)]
            fn load(_: Portable, bytes: &[u8], at: usize) -> Self {
                let mut lanes = [0; 32];
                let chunks = bytes[at..at + Self::BYTES].as_chunks::<{ $unsigned::BITS as usize / 8 }>().0;
                for (lane, chunk) in lanes.iter_mut().zip(chunks) {
                    *lane = $unsigned::from_le_bytes(*chunk);
                }
                Self(lanes)
            }

            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self.zip(other, |a, b| a & b)
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.zip(other, $unsigned::wrapping_sub)
            }

            #[inline(always)]
            fn max_signed(self, other: Self) -> Self {
                self.zip(other, |a, b| (a as $signed).max(b as $signed) as $unsigned)
            }

            #[inline(always)]
            fn min_unsigned(self, other: Self) -> Self {
                self.zip(other, |a, b| a.min(b))
            }

            #[inline(always)]
            fn max_unsigned(self, other: Self) -> Self {
                self.zip(other, |a, b| a.max(b))
            }

            #[inline(always)]
            fn count_equal(self, a: Self, b: Self) -> Self {
                let equal = a.zip(b, |a, b| $unsigned::from(a == b));
                self.zip(equal, $unsigned::wrapping_add)
            }

            #[inline(always)]
            fn count_greater(self, a: Self, b: Self) -> Self {
                let greater = a.zip(b, |a, b| $unsigned::from(a as $signed > b as $signed));
                self.zip(greater, $unsigned::wrapping_add)
            }

            #[inline(always)]
            fn where_at_most(self, a: Self, b: Self, other: Self) -> Self {
                let mask = a.zip(b, |a, b| if a <= b { $unsigned::MAX } else { 0 });
                self.and(mask).zip(other.zip(mask, |x, m| x & !m), |x, y| x | y)
            }

            #[inline(always)]
            fn any_greater(self, other: Self) -> bool {
                self.zip(other, |a, b| $unsigned::from(a as $signed > b as $signed)).0.iter().fold(0, |a, b| a | b) != 0
            }

            #[inline(always)]
            fn any_below(self, other: Self) -> bool {
                self.zip(other, |a, b| $unsigned::from(a < b)).0.iter().fold(0, |a, b| a | b) != 0
            }

            #[inline(always)]
            fn lanes(self) -> [u32; 32] {
                self.0.map(u32::from)
            }
        }
    };
}

ints!(u16, i16);
ints!(u32, i32);

impl Floats<Portable> for Lanes<f32, 16> {
    #[inline(always)]
    fn splat(_: Portable, value: f32) -> Self {
        Self([value; 16])
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn finite_or_zero(self) -> Self {
        const INF: u32 = 0x7f80_0000;
        Self(self.0.map(|a| f32::from_bits(if a.to_bits() & INF == INF { 0 } else { a.to_bits() })))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn widen(self) -> Lanes<f64, 16> {
        Lanes(self.0.map(f64::from))
    }
}

impl Doubles<Portable> for Lanes<f64, 16> {
    #[inline(always)]
    fn splat(_: Portable, value: f64) -> Self {
        Self([value; 16])
    }

    #[inline(always)]
    fn load(_: Portable, values: &[f64; 16]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn finite_or(self, other: Self) -> Self {
        self.zip(other, |a, b| if a.abs() < f64::INFINITY { a } else { b })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn lanes(self) -> [f64; 16] {
        self.0
    }
}
