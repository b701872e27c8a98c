//! A pull parser for JSON headers: strict grammar, bounded depth, no recursion, no tree, and the byte offset of every token.
//!
//! A 98 MB safetensors header costs a tree-building parser over a GiB; this one holds a window, one string and a stack of one
//! byte per level. It accepts exactly what RFC 8259 allows, as the reference reader's parser does; for files that Python's `json`
//! reads, [`JsonReader::python`] takes what Python takes besides.

mod charge;
mod python;

pub(crate) use python::{BYTE_ORDER_MARK, python_json, python_json_members, python_json_past_mark};

use crate::error::Result;
use crate::format::limits::{MAX_CONFIG_DEPTH, MAX_JSON_DEPTH, MAX_NAME};
use crate::format::reader::HeaderReader;

/// What was read. For `Key`, `String` and `Number` the text stands in [`JsonReader::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonToken {
    /// `{`
    BeginObject,
    /// `}`
    EndObject,
    /// `[`
    BeginArray,
    /// `]`
    EndArray,
    /// A key of an object, its `:` read too.
    Key,
    /// A string value.
    String,
    /// A number, as written; in Python's dialect `NaN`, `Infinity` and `-Infinity` too.
    Number,
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// The end of the text after one whole value.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// One value (at the start, after `:`, after `,` in an array).
    Value,
    /// A value or `]`.
    FirstElement,
    /// A key or `}`.
    FirstKey,
    /// A key (after `,` in an object).
    Key,
    /// `,` or the closing bracket; white space to the end at the top level.
    Separator,
}

/// Reads tokens one at a time.
pub(crate) struct JsonReader<'a> {
    input: HeaderReader<'a>,
    /// Open brackets: true for `{`.
    stack: Vec<bool>,
    expect: Expect,
    text: Vec<u8>,
    token_offset: u64,
    max_text: u64,
    odd_padding: bool,
    /// Whether what Python's `json` takes beyond the standard is taken.
    python: bool,
}

impl<'a> JsonReader<'a> {
    /// A reader of one JSON value that fills the input but for white space.
    pub(crate) fn new(input: HeaderReader<'a>) -> Self {
        Self {
            input,
            stack: Vec::new(),
            expect: Expect::Value,
            text: Vec::new(),
            token_offset: 0,
            max_text: MAX_NAME,
            odd_padding: false,
            python: false,
        }
    }

    /// A reader of what Python's `json` reads: `NaN`, `Infinity` and `-Infinity` are numbers, and half of a surrogate pair, which
    /// Python keeps and no Rust string can hold, is U+FFFD. Nesting goes to [`MAX_CONFIG_DEPTH`].
    pub(crate) fn python(input: HeaderReader<'a>) -> Self {
        Self { python: true, ..Self::new(input) }
    }

    /// Sets the longest string that is taken, for texts that are cut afterwards.
    pub(crate) fn set_max_text(&mut self, bytes: u64) {
        self.max_text = bytes;
        if self.text.capacity() as u64 > MAX_NAME {
            self.text = Vec::new();
        }
    }

    /// Whether white space other than spaces follows the value; known after [`JsonToken::End`].
    pub(crate) fn has_odd_padding(&self) -> bool {
        self.odd_padding
    }

    /// File offset of the token read last.
    pub(crate) fn token_offset(&self) -> u64 {
        self.token_offset
    }

    /// File offset of the first byte after it.
    pub(crate) fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// Text of the key, string or number read last.
    pub(crate) fn text(&self) -> &str {
        // Checked when the token was read.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// An error at the last token.
    pub(crate) fn error(&self, message: impl Into<String>) -> crate::error::Error {
        crate::error::Error::new(crate::error::ErrorKind::Malformed, message).with_path(self.input_path()).at(self.token_offset)
    }

    /// An error of grammar.
    fn syntax(&self, what: impl AsRef<str>) -> crate::error::Error {
        self.error(format!("no valid JSON: {}", what.as_ref()))
    }

    fn input_path(&self) -> &std::path::Path {
        self.input.path()
    }

    /// The next token.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Malformed`] where the text is no JSON, [`crate::error::ErrorKind::Limit`] for nesting deeper than [`MAX_JSON_DEPTH`] or a
    /// string over [`MAX_NAME`]; I/O errors as they come.
    pub(crate) fn next_token(&mut self) -> Result<JsonToken> {
        loop {
            self.skip_white_space()?;
            self.token_offset = self.input.offset();
            let Some(byte) = self.input.peek()? else {
                return if self.stack.is_empty() && self.expect == Expect::Separator {
                    Ok(JsonToken::End)
                } else {
                    Err(self.syntax("the JSON text ends in the middle of a value"))
                };
            };
            match (self.expect, byte) {
                (Expect::Separator, b',') if !self.stack.is_empty() => {
                    self.input.consume(1);
                    self.expect = if self.stack.last() == Some(&true) { Expect::Key } else { Expect::Value };
                }
                (Expect::Separator | Expect::FirstKey, b'}') if self.stack.last() == Some(&true) => {
                    return Ok(self.close(JsonToken::EndObject));
                }
                (Expect::Separator | Expect::FirstElement, b']') if self.stack.last() == Some(&false) => {
                    return Ok(self.close(JsonToken::EndArray));
                }
                (Expect::FirstKey | Expect::Key, b'"') => {
                    self.read_string()?;
                    self.skip_white_space()?;
                    if self.input.peek()? != Some(b':') {
                        return Err(self.syntax("a key is not followed by `:`"));
                    }
                    self.input.consume(1);
                    self.expect = Expect::Value;
                    return Ok(JsonToken::Key);
                }
                (Expect::Value | Expect::FirstElement, _) => return self.read_value(byte),
                (Expect::Separator, _) if self.stack.is_empty() => return Err(self.syntax("text after the end of the JSON value")),
                (Expect::Separator, _) => {
                    return Err(self.syntax(format!("found {} where `,` or a closing bracket belongs", shown(byte))));
                }
                _ => return Err(self.syntax(format!("found {} where a key belongs", shown(byte)))),
            }
        }
    }

    /// Skips the rest of the value whose first token was `token`.
    ///
    /// # Errors
    /// As [`Self::next_token`].
    pub(crate) fn skip_value(&mut self, token: JsonToken) -> Result<()> {
        if matches!(token, JsonToken::BeginObject | JsonToken::BeginArray) {
            let outer = self.stack.len() - 1;
            while self.stack.len() > outer {
                self.next_token()?;
            }
        }
        Ok(())
    }

    fn close(&mut self, token: JsonToken) -> JsonToken {
        self.input.consume(1);
        self.stack.pop();
        self.expect = Expect::Separator;
        token
    }

    fn open(&mut self, object: bool) -> Result<()> {
        let most = if self.python { MAX_CONFIG_DEPTH } else { MAX_JSON_DEPTH };
        if self.stack.len() == most {
            return Err(self.input.over_limit(format!("JSON nested deeper than {most} levels")));
        }
        self.input.consume(1);
        self.stack.push(object);
        self.expect = if object { Expect::FirstKey } else { Expect::FirstElement };
        Ok(())
    }

    fn read_value(&mut self, byte: u8) -> Result<JsonToken> {
        let token = match byte {
            b'{' => {
                self.open(true)?;
                return Ok(JsonToken::BeginObject);
            }
            b'[' => {
                self.open(false)?;
                return Ok(JsonToken::BeginArray);
            }
            b'"' => {
                self.read_string()?;
                JsonToken::String
            }
            b'-' | b'0'..=b'9' => {
                self.read_number()?;
                JsonToken::Number
            }
            b't' => self.read_word(b"true", JsonToken::Bool(true))?,
            b'f' => self.read_word(b"false", JsonToken::Bool(false))?,
            b'n' => self.read_word(b"null", JsonToken::Null)?,
            b'N' if self.python => self.read_constant("NaN")?,
            b'I' if self.python => self.read_constant("Infinity")?,
            _ => return Err(self.syntax(format!("found {} where a value belongs", shown(byte)))),
        };
        self.expect = Expect::Separator;
        Ok(token)
    }

    fn read_word(&mut self, word: &[u8], token: JsonToken) -> Result<JsonToken> {
        let mut found = [0u8; 8];
        let found = &mut found[..word.len()];
        if self.input.left() < word.len() as u64 {
            return Err(self.syntax("the JSON text ends in the middle of a value"));
        }
        self.input.read_exact(found)?;
        if found == word { Ok(token) } else { Err(self.syntax("a word that is not `true`, `false` or `null`")) }
    }

    /// A number that only Python writes.
    fn read_constant(&mut self, word: &str) -> Result<JsonToken> {
        self.read_word(word.as_bytes(), JsonToken::Number)?;
        self.text.clear();
        self.text.extend_from_slice(word.as_bytes());
        Ok(JsonToken::Number)
    }

    #[inline]
    fn skip_white_space(&mut self) -> Result<()> {
        // Headers are written without spaces, or with one.
        if self.input.available()?.first().is_some_and(|b| !matches!(b, b' ' | b'\n' | b'\t' | b'\r')) {
            return Ok(());
        }
        self.skip_some_white_space()
    }

    fn skip_some_white_space(&mut self) -> Result<()> {
        loop {
            let chunk = self.input.available()?;
            let n = chunk.iter().take_while(|b| matches!(b, b' ' | b'\n' | b'\t' | b'\r')).count();
            let whole = n == chunk.len() && n > 0;
            if self.stack.is_empty() && self.expect == Expect::Separator {
                self.odd_padding |= chunk[..n].iter().any(|b| *b != b' ');
            }
            self.input.consume(n);
            if !whole {
                return Ok(());
            }
        }
    }

    /// A number by the grammar of JSON: no leading zeros, no bare point, no leading plus.
    fn read_number(&mut self) -> Result<()> {
        self.text.clear();
        loop {
            let chunk = self.input.available()?;
            let n = chunk.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
            let whole = n == chunk.len() && n > 0;
            self.text.extend_from_slice(&chunk[..n]);
            self.input.consume(n);
            self.check_text_len()?;
            if !whole {
                break;
            }
        }
        if self.python && self.text == b"-" && self.input.peek()? == Some(b'I') {
            self.read_constant("Infinity")?;
            self.text.insert(0, b'-');
            return Ok(());
        }
        if is_number(&self.text) { Ok(()) } else { Err(self.syntax(format!("`{}` is no JSON number", self.shown_text()))) }
    }

    fn shown_text(&self) -> String {
        crate::text::escape_limited(&String::from_utf8_lossy(&self.text), 40)
    }

    fn check_text_len(&self) -> Result<()> {
        if self.text.len() as u64 > self.max_text {
            return Err(self.input.over_limit(format!("a JSON string or number longer than {} bytes", self.max_text)));
        }
        Ok(())
    }

    fn read_string(&mut self) -> Result<()> {
        self.input.consume(1);
        self.text.clear();
        loop {
            let chunk = self.input.available()?;
            if chunk.is_empty() {
                return Err(self.syntax("a string without its closing quote"));
            }
            let n = chunk.iter().take_while(|&&b| b != b'"' && b != b'\\' && b >= 0x20).count();
            self.text.extend_from_slice(&chunk[..n]);
            let stop = chunk.get(n).copied();
            self.input.consume(n + usize::from(stop.is_some()));
            self.check_text_len()?;
            match stop {
                None => {}
                Some(b'"') => break,
                Some(b'\\') => self.read_escape()?,
                Some(control) => return Err(self.syntax(format!("an unescaped control character 0x{control:02x} inside a string"))),
            }
        }
        match std::str::from_utf8(&self.text) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.syntax("a string that is no UTF-8")),
        }
    }

    fn read_byte(&mut self) -> Result<u8> {
        let byte = self.input.peek()?.ok_or_else(|| self.syntax("a string without its closing quote"))?;
        self.input.consume(1);
        Ok(byte)
    }

    fn read_escape(&mut self) -> Result<()> {
        let byte = match self.read_byte()? {
            plain @ (b'"' | b'\\' | b'/') => plain,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.read_unicode_escape(),
            _ => return Err(self.syntax("an unknown escape inside a string")),
        };
        self.text.push(byte);
        Ok(())
    }

    fn read_unicode_escape(&mut self) -> Result<()> {
        let mut code = self.read_hex4()?;
        while (0xD800..0xDC00).contains(&code) {
            if self.input.peek()? != Some(b'\\') {
                return self.half_of_a_pair();
            }
            self.input.consume(1);
            if self.input.peek()? != Some(b'u') {
                self.half_of_a_pair()?;
                return self.read_escape();
            }
            self.input.consume(1);
            let second = self.read_hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
                break;
            }
            self.half_of_a_pair()?;
            code = second;
        }
        match char::from_u32(code) {
            Some(c) => self.text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.half_of_a_pair()?,
        }
        Ok(())
    }

    fn half_of_a_pair(&mut self) -> Result<()> {
        if !self.python {
            return Err(self.syntax("half of a surrogate pair inside a string"));
        }
        self.text.extend_from_slice("\u{FFFD}".as_bytes());
        Ok(())
    }

    fn read_hex4(&mut self) -> Result<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let byte = self.read_byte()?;
            let digit = char::from(byte).to_digit(16).ok_or_else(|| self.syntax("a \\u escape without four hexadecimal digits"))?;
            value = value << 4 | digit;
        }
        Ok(value)
    }
}

fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("byte 0x{byte:02x}") }
}

fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> usize {
        text.iter().take_while(|b| b.is_ascii_digit()).count()
    }
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let n = digits(fraction);
        if n == 0 {
            return false;
        }
        rest = &fraction[n..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let n = digits(exponent);
        return n > 0 && n == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests;
