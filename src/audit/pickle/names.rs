//! Text in a pickle: kept by its place, read when it turns out to be the name of an import.

use crate::error::Result;
use crate::source::{Source, read_exact_at};

/// Longest name that is read; the rest is left out.
const MAX_NAME: u64 = 512;

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Plain,
    /// In quotes, with backslash escapes (`STRING`).
    Quoted,
    /// With backslash escapes (`UNICODE`).
    Escaped,
    /// No text that could name anything.
    NoText,
}

/// A piece of text by its place in the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) kind: Kind,
}

impl Text {
    /// Bytes of it that are read.
    pub(super) fn kept(self) -> usize {
        usize::try_from(self.len.min(MAX_NAME)).unwrap_or(0)
    }

    /// Whether it is longer than what is read of it.
    pub(super) fn is_cut(self) -> bool {
        self.len > MAX_NAME
    }

    /// The text; bytes that are no UTF-8 become replacement characters.
    pub(super) fn read(self, source: &dyn Source) -> Result<String> {
        let mut bytes = vec![0; self.kept()];
        read_exact_at(source, self.at, &mut bytes)?;
        Ok(self.decode(&bytes))
    }

    /// The text that these bytes of it are.
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        match self.kind {
            Kind::Plain | Kind::NoText => text.into_owned(),
            Kind::Escaped => unescape(&text),
            Kind::Quoted => unescape(text.trim().trim_matches(['\'', '"'])),
        }
    }
}

/// The decimal number of a line, as `GET` and `PUT` write it.
pub(super) fn number(line: &str) -> u64 {
    let digits: String = line.trim().chars().filter(|c| *c != '_').collect();
    digits.parse().unwrap_or(u64::MAX)
}

/// Python's escapes that can stand for a character of a name; others stay as they are.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (digits, radix, skip) = match escape.chars().next() {
            Some('x') => (2, 16, 1),
            Some('u') => (4, 16, 1),
            Some('U') => (8, 16, 1),
            Some('0'..='7') => (escape.chars().take(3).take_while(|c| c.is_digit(8)).count(), 8, 0),
            Some(c @ ('\\' | '\'' | '"')) => {
                out.push(c);
                rest = &escape[1..];
                continue;
            }
            _ => {
                out.push('\\');
                rest = escape;
                continue;
            }
        };
        let code = escape.get(skip..skip + digits).and_then(|d| u32::from_str_radix(d, radix).ok()).and_then(char::from_u32);
        match code {
            Some(c) => {
                out.push(c);
                rest = &escape[skip + digits..];
            }
            None => {
                out.push('\\');
                rest = escape;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn names_hidden_by_escapes_are_read() {
        for text in ["os", "\\x6f\\163", "\\u006fs", "\\U0000006f\\x73", "\\157s"] {
            assert_eq!(unescape(text), "os", "{text}");
        }
        assert_eq!(unescape("a\\q\\"), "a\\q\\");
        assert_eq!(unescape("\\xzz\\\\é\\U00110000"), "\\xzz\\é\\U00110000");
    }
}
