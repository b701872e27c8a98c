//! What the codes of 8-bit and smaller types stand for, as tables made at compile time.

/// The special values of a small float.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Specials {
    /// Infinities and NaN in the top exponent, as in IEEE 754.
    Ieee,
    /// No infinities; NaN is all ones after the sign ("FN").
    OnlyNan,
    /// No infinities, no -0: its code is the only NaN ("FNUZ").
    NanIsMinusZero,
    /// Numbers only.
    None,
}

/// Values of the codes of a float of a sign, `exponent_bits` and `mantissa_bits`, lowest bits first; codes above are 0.
///
/// Sources: OCP 8-bit Floating Point Specification 1.0 (E4M3, E5M2), OCP Microscaling Formats 1.0 (E2M3, E3M2, E2M1), and for
/// FNUZ "8-bit Numerical Formats for Deep Neural Networks" (arXiv 2206.02915).
pub(super) const fn minifloat(exponent_bits: u32, mantissa_bits: u32, bias: i32, specials: Specials) -> [f64; 256] {
    let mut table = [0.0; 256];
    let sign_bit = 1 << (exponent_bits + mantissa_bits);
    let mut code = 0;
    while code < 2 * sign_bit {
        let exponent = ((code >> mantissa_bits) & ((1 << exponent_bits) - 1)) as i32;
        let mantissa = code & ((1 << mantissa_bits) - 1);
        let top = (1 << exponent_bits) - 1;
        let magnitude = if exponent == 0 {
            mantissa as f64 * power_of_two(1 - bias - mantissa_bits as i32)
        } else {
            ((1 << mantissa_bits) + mantissa) as f64 * power_of_two(exponent - bias - mantissa_bits as i32)
        };
        let nan = match specials {
            Specials::Ieee => exponent == top && mantissa != 0,
            Specials::OnlyNan => code & (sign_bit - 1) == sign_bit - 1,
            Specials::NanIsMinusZero => code == sign_bit,
            Specials::None => false,
        };
        let magnitude = match specials {
            Specials::Ieee if exponent == top => f64::INFINITY,
            _ => magnitude,
        };
        table[code] = if nan {
            f64::NAN
        } else if code & sign_bit != 0 {
            -magnitude
        } else {
            magnitude
        };
        code += 1;
    }
    table
}

/// 2^(code - 127), and NaN for 255: the scale type of OCP Microscaling Formats 1.0.
pub(super) const fn e8m0() -> [f64; 256] {
    let mut table = [f64::NAN; 256];
    let mut code = 0;
    while code < 255 {
        table[code] = power_of_two(code as i32 - 127);
        code += 1;
    }
    table
}

/// Two's complement, or unsigned.
pub(super) const fn integers(signed: bool) -> [f64; 256] {
    let mut table = [0.0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = if signed { code as u8 as i8 as f64 } else { code as f64 };
        code += 1;
    }
    table
}

/// 0 is false, anything else true.
pub(super) const fn booleans() -> [f64; 256] {
    let mut table = [1.0; 256];
    table[0] = 0.0;
    table
}

const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let e4m3 = minifloat(4, 3, 7, Specials::OnlyNan);
        assert_eq!((e4m3[0x7e], e4m3[0x01], e4m3[0xb8], e4m3[0x38]), (448.0, 0.001953125, -1.0, 1.0));
        assert!(e4m3[0x7f].is_nan() && e4m3[0xff].is_nan() && e4m3[0x80].is_sign_negative());
        let e5m2 = minifloat(5, 2, 15, Specials::Ieee);
        assert_eq!((e5m2[0x7b], e5m2[0x7c], e5m2[0xfc]), (57344.0, f64::INFINITY, f64::NEG_INFINITY));
        assert!(e5m2[0x7d].is_nan());
        let fnuz = minifloat(4, 3, 8, Specials::NanIsMinusZero);
        assert_eq!((fnuz[0x7f], fnuz[0x40]), (240.0, 1.0));
        assert!(fnuz[0x80].is_nan());
        assert_eq!(minifloat(5, 2, 16, Specials::NanIsMinusZero)[0x7f], 57344.0);
        assert_eq!(minifloat(2, 3, 1, Specials::None)[0x1f], 7.5);
        assert_eq!(minifloat(3, 2, 3, Specials::None)[0x1f], 28.0);
        assert_eq!(minifloat(2, 1, 1, Specials::None)[..8], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
        assert_eq!((e8m0()[0], e8m0()[127]), (2f64.powi(-127), 1.0));
        assert!(e8m0()[255].is_nan());
    }
}
