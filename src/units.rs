//! Sizes and counts: the only place that formats or parses them.
//!
//! Bytes, stored elements and logical parameters are three different numbers. They have types of their own where two of them meet in one
//! call (sizing a dtype) and where they are parsed or shown; fields hold plain integers, whose documentation names the unit.

use crate::error::{Error, ErrorKind, Result};

/// Bytes on disk or in memory, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

/// Elements as the header declares them: an int32 that holds eight 4-bit weights is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Elements(pub u64);

/// Logical weights: an int32 that holds eight 4-bit weights is eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Params(pub u64);

/// 8 x bytes / parameters; `None` when there are no parameters to divide by.
pub fn bits_per_weight(bytes: u64, params: u64) -> Option<f64> {
    (params > 0).then(|| bytes as f64 * 8.0 / params as f64)
}

/// The sum of bytes or counts that files state. Sparse files can state more than 64 bits hold together: the sum stops there.
pub fn sum_up(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::saturating_add)
}

const BINARY: [(&str, u64); 5] = [("PiB", 1 << 50), ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const DECIMAL: [(&str, u64); 5] =
    [("PB", 1_000_000_000_000_000), ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

fn three_digits(value: f64) -> String {
    if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn scaled(value: u64, table: &[(&str, u64)], unit: &str) -> String {
    for (i, (name, size)) in table.iter().enumerate() {
        let scaled = value as f64 / *size as f64;
        if scaled >= 0.9995 {
            // 1023.9 KiB must not print as "1024 KiB" while a larger unit exists.
            if i > 0 && scaled >= table[i - 1].1 as f64 / *size as f64 * 0.9995 {
                return format!("1.00 {}", table[i - 1].0);
            }
            return format!("{} {name}", three_digits(scaled));
        }
    }
    format!("{value} {unit}")
}

impl Bytes {
    /// `14.9 GiB`: three digits, binary units.
    pub fn binary(self) -> String {
        scaled(self.0, &BINARY, "B")
    }

    /// `16.1 GB`: three digits, decimal units, as vendors count.
    pub fn decimal(self) -> String {
        scaled(self.0, &DECIMAL, "B")
    }

    /// `16,060,522,496 B`: exact.
    pub fn exact(self) -> String {
        format!("{} B", grouped(self.0))
    }
}

impl Params {
    /// `8.03B`, `22.7M`: three digits, as model names count.
    pub fn short(self) -> String {
        short_count(self.0)
    }
}

impl Elements {
    /// `8.03B`, `22.7M`: three digits.
    pub fn short(self) -> String {
        short_count(self.0)
    }
}

fn short_count(n: u64) -> String {
    const TABLE: [(&str, u64); 4] = [("T", 1_000_000_000_000), ("B", 1_000_000_000), ("M", 1_000_000), ("K", 1_000)];
    let text = scaled(n, &TABLE, "");
    text.replace(' ', "")
}

/// Thousands separated by commas.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// As [`grouped`], with a sign.
pub fn grouped_signed(n: i128) -> String {
    let magnitude = grouped(u64::try_from(n.unsigned_abs()).unwrap_or(u64::MAX));
    if n < 0 { format!("-{magnitude}") } else { format!("+{magnitude}") }
}

/// A share of a whole as `12.3 %`; small but not zero shares are `<0.1 %`.
pub fn percent(part: f64) -> String {
    let p = part * 100.0;
    if !p.is_finite() {
        "-".to_owned()
    } else if p != 0.0 && p.abs() < 0.05 {
        "<0.1 %".to_owned()
    } else if p < 100.0 && p > 99.95 {
        ">99.9 %".to_owned()
    } else {
        format!("{p:.1} %")
    }
}

/// Parses `24GiB`, `24GB`, `500MB`, `1.5 GiB` or plain bytes. A bare `G` is refused as ambiguous (10^9 or 2^30).
///
/// # Errors
/// [`ErrorKind::Usage`] when the text is no size or does not fit 64 bits.
pub fn parse_bytes(text: &str) -> Result<Bytes> {
    let refuse = |why: &str| {
        Error::new(ErrorKind::Usage, format!("`{}` is no size: {why}", crate::text::escape(text)))
            .help("write 24GiB, 24GB, 500MB or plain bytes")
    };
    let (number, unit) = split_number(text).ok_or_else(|| refuse("it does not start with a number"))?;
    let unit = unit.to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "pib" => 1 << 50,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "pb" => 1_000_000_000_000_000,
        "k" | "m" | "g" | "t" => return Err(refuse("the unit could be binary or decimal")),
        _ => return Err(refuse("unknown unit")),
    };
    scale(number, factor).map(Bytes).ok_or_else(|| refuse("it is negative, not whole or too large"))
}

/// Parses a parameter count: `7B` = 7e9, `500M`, `1.5T`, plain digits.
///
/// # Errors
/// [`ErrorKind::Usage`] when the text is no count.
pub fn parse_params(text: &str) -> Result<Params> {
    parse_count(text, &[("k", 1_000), ("m", 1_000_000), ("b", 1_000_000_000), ("t", 1_000_000_000_000)], "7B, 500M or plain digits")
        .map(Params)
}

/// Parses a token count: `8k` = 8192, `1M` = 1048576, plain digits.
///
/// # Errors
/// [`ErrorKind::Usage`] when the text is no count.
pub fn parse_tokens(text: &str) -> Result<u64> {
    parse_count(text, &[("k", 1 << 10), ("m", 1 << 20)], "8k (= 8192) or plain digits")
}

fn parse_count(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64> {
    let refuse =
        || Error::new(ErrorKind::Usage, format!("`{}` is no count", crate::text::escape(text))).help(format!("write {example}"));
    let (number, unit) = split_number(text).ok_or_else(refuse)?;
    let unit = unit.to_ascii_lowercase();
    let factor = if unit.is_empty() { 1 } else { units.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?.1 };
    scale(number, factor).ok_or_else(refuse)
}

/// Splits `1.5 GiB` into its number (digits before and after the point) and its unit.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    (end > 0 && text.starts_with(|c: char| c.is_ascii_digit())).then(|| (&text[..end], text[end..].trim()))
}

/// `number` x `factor` in integers, so that no digit is lost to floating point; a fraction of a byte is refused.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let mut total = whole.parse::<u128>().ok()?.checked_mul(u128::from(factor))?;
    if !fraction.is_empty() {
        let divisor = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let scaled = fraction.parse::<u128>().ok()?.checked_mul(u128::from(factor))?;
        if factor == 1 && scaled != 0 {
            return None;
        }
        total += scaled / divisor;
    }
    u64::try_from(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_exactly() {
        for (text, bytes) in [
            ("24GiB", 24 << 30),
            ("24 GB", 24_000_000_000),
            ("500MB", 500_000_000),
            ("1.5GiB", 3 << 29),
            ("5368709120", 5 << 30),
            ("0.1GB", 100_000_000),
            ("1_000", 1000),
        ] {
            assert_eq!(parse_bytes(text).unwrap(), Bytes(bytes), "{text}");
        }
        for bad in ["", "GiB", "-1", "1.5", "24G", "1e9", "99999999999999999999", "24 bananas", "1..5GB"] {
            assert_eq!(parse_bytes(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
    }

    #[test]
    fn tokens_are_binary_and_parameters_decimal() {
        assert_eq!(parse_tokens("8k").unwrap(), 8192);
        assert_eq!(parse_params("7B").unwrap(), Params(7_000_000_000));
        assert_eq!(parse_params("1.5B").unwrap(), Params(1_500_000_000));
        assert!(parse_tokens("8x").is_err());
    }

    #[test]
    fn sizes_print_with_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (16_060_522_496, "15.0 GiB"),
            (1 << 30, "1.00 GiB"),
            ((1 << 30) - 1, "1.00 GiB"),
            (344_412, "336 KiB"),
        ] {
            assert_eq!(Bytes(bytes).binary(), text, "{bytes}");
        }
        assert_eq!(Bytes(16_060_522_496).decimal(), "16.1 GB");
        assert_eq!(Bytes(16_060_522_496).exact(), "16,060,522,496 B");
        assert_eq!(Params(22_713_216).short(), "22.7M");
        assert_eq!(Params(85_001).short(), "85.0K");
        assert_eq!(grouped_signed(-1234), "-1,234");
    }

    #[test]
    fn shares_never_hide_what_is_not_zero() {
        assert_eq!(percent(0.0), "0.0 %");
        assert_eq!(percent(0.000_01), "<0.1 %");
        assert_eq!(percent(0.999_99), ">99.9 %");
        assert_eq!(percent(1.0), "100.0 %");
    }
}
