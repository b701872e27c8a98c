//! Text that is no JSON to us, and may be to a loader: its escapes taken away, so that words can be looked for in it.

/// The text with `\uXXXX` and the short escapes replaced wherever they stand, and everything else as it is.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let code = escape.strip_prefix('u').and_then(|e| e.get(..4)).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if let Some(code) = code {
            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = &escape[5..];
            continue;
        }
        let Some(first) = escape.chars().next() else {
            rest = "\\";
            break;
        };
        out.push(match first {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' | 'f' => ' ',
            other => other,
        });
        rest = &escape[first.len_utf8()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_are_taken_away_and_nothing_else() {
        assert_eq!(unescaped(r#"{"\u0061uto_map": "a\\b\"\n\u00e9é\ud800" \"#), "{\"auto_map\": \"a\\b\"\néé\u{fffd}\" \\");
        assert_eq!(unescaped("\\u00"), "u00");
    }
}
