//! Names of schemes as parameters: `gptq-4bit-g128` is a rule with 4 bits and groups of 128, whether a row lists it or not.

/// A number above 0, of at most six digits.
pub(super) fn count(text: &str) -> Option<u64> {
    let digits = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

/// `4bit-rest`.
pub(super) fn bits(text: &str) -> Option<(u64, &str)> {
    let (bits, rest) = text.split_once("bit-")?;
    Some((count(bits)?, rest))
}

/// `g128` is `Some(Some(128))`, `channel` (one group a row) `Some(None)`, anything else `None`.
pub(super) fn group(text: &str) -> Option<Option<u64>> {
    if text == "channel" {
        return Some(None);
    }
    count(text.strip_prefix('g')?).map(Some)
}

/// The scheme of the same name with another group size; `None` where it has no groups to choose.
pub(super) fn regrouped(name: &str, size: u64) -> Option<String> {
    let wanted = format!("g{size}");
    let parts: Vec<&str> = name.split('-').collect();
    if let Some(at) = parts.iter().position(|part| group(part).is_some()) {
        let mut parts = parts;
        parts[at] = &wanted;
        return Some(parts.join("-"));
    }
    // Rows whose group is their tool's default.
    Some(match parts.as_slice() {
        [tool @ ("ct" | "lc"), kind] if kind.ends_with("a16") && kind.starts_with('w') => format!("{tool}-{kind}-{wanted}-sym"),
        [tool @ ("ct" | "lc"), kind, "asym"] => format!("{tool}-{kind}-{wanted}-asym"),
        ["mlx", bits, cast] => format!("mlx-{bits}-{wanted}-{cast}"),
        ["mlx", "mixed", _, _] | ["quanto", "qint2" | "qint4"] | ["torchao", "int8wo"] => format!("{name}-{wanted}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_parameters() {
        assert_eq!(bits("4bit-g64"), Some((4, "g64")));
        assert_eq!((group("g64"), group("channel"), group("g0"), group("g1234567")), (Some(Some(64)), Some(None), None, None));
        let cases = [
            ("gptq-4bit-g128", Some("gptq-4bit-g32")),
            ("gptq-4bit-channel", Some("gptq-4bit-g32")),
            ("ct-w4a16", Some("ct-w4a16-g32-sym")),
            ("lc-w4a16-asym", Some("lc-w4a16-g32-asym")),
            ("mlx-4bit-f16", Some("mlx-4bit-g32-f16")),
            ("mlx-mixed-3-6", Some("mlx-mixed-3-6-g32")),
            ("hqq-4bit-g64-axis1", Some("hqq-4bit-g32-axis1")),
            ("torchao-int8wo", Some("torchao-int8wo-g32")),
            ("bnb-nf4", None),
            ("ct-fp8-dynamic", None),
        ];
        for (name, expected) in cases {
            assert_eq!(regrouped(name, 32).as_deref(), expected, "{name}");
        }
    }
}
