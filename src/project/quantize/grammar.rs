//! The parts that names of schemes are made of: `gptq-4bit-g128` has 4 bits and groups of 128.

use super::rule::GroupRefusal;

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

/// A group size that is asked for, where a name can state it.
pub(super) fn chosen(size: u64) -> Result<u64, GroupRefusal> {
    if (1..1_000_000).contains(&size) { Ok(size) } else { Err(GroupRefusal::Size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_parameters() {
        assert_eq!(bits("4bit-g64"), Some((4, "g64")));
        assert_eq!((group("g64"), group("channel"), group("g0"), group("g1234567")), (Some(Some(64)), Some(None), None, None));
        assert_eq!(
            (chosen(999_999), chosen(0), chosen(1_000_000)),
            (Ok(999_999), Err(GroupRefusal::Size), Err(GroupRefusal::Size))
        );
    }
}
