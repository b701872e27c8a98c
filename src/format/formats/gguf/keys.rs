//! GGUF keys: names, typed values, strings and arrays, each read with a bound.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::{DEFAULT_ALIGNMENT, Parser};
use crate::error::Result;
use crate::format::metadata::{MetadataValue, most_kept};
use crate::format::{DefectKind, limits};
use crate::text::escape_limited;

/// GGUF value types: name and fixed size (0 for strings and arrays).
const VALUE_TYPES: [(&str, u64); 13] = [
    ("u8", 1),
    ("i8", 1),
    ("u16", 2),
    ("i16", 2),
    ("u32", 4),
    ("i32", 4),
    ("f32", 4),
    ("bool", 1),
    ("string", 0),
    ("array", 0),
    ("u64", 8),
    ("i64", 8),
    ("f64", 8),
];
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const BOOL: u32 = 7;
const U32: u32 = 4;

impl Parser<'_> {
    pub(super) fn keys(&mut self, n: u64) -> Result<()> {
        // Places of the keys by their hash: a second copy of a million names would cost more than all else.
        let mut seen: HashMap<u64, usize> = HashMap::with_capacity(n.min(1 << 20) as usize);
        let hasher = RandomState::new();
        let mut held = 0u64;
        for _ in 0..n {
            let at = self.input.offset();
            held = held.saturating_add(self.string(limits::MAX_NAME, "a key")?);
            if held > limits::MAX_KEY_BYTES {
                return Err(self.input.over_limit(format!("more than {} bytes of keys", limits::MAX_KEY_BYTES)).at(at));
            }
            let key = String::from_utf8_lossy(&self.text).into_owned();
            if self.text.is_empty() {
                self.defect(DefectKind::ForbiddenValue, None, at, "an empty key, at which llama.cpp refuses the file".into());
            }
            if std::str::from_utf8(&self.text).is_err() {
                let message = format!("the key `{}` is no UTF-8", escape_limited(&key, 80));
                self.defect(DefectKind::ForbiddenValue, None, at, message);
            }
            let entries = self.container.metadata.entries();
            let first = *seen.entry(hasher.hash_one(&key)).or_insert(entries.len());
            if entries.get(first).is_some_and(|(known, _)| *known == key) {
                let message = format!("the key `{}` stands twice", escape_limited(&key, 80));
                self.defect(DefectKind::DuplicateName, None, at, message);
            }
            let kind = self.value_type(&key)?;
            self.value(&key, kind).map_err(|e| e.for_tensor(&key))?;
        }
        Ok(())
    }

    fn value_type(&mut self, key: &str) -> Result<u32> {
        let at = self.input.offset();
        let kind = self.input.u32()?;
        if kind as usize >= VALUE_TYPES.len() {
            return Err(self.input.malformed(format!("value type {kind} is not defined (0 to 12 are)")).at(at).for_tensor(key));
        }
        Ok(kind)
    }

    fn value(&mut self, key: &str, kind: u32) -> Result<()> {
        match kind {
            STRING => {
                let at = self.input.offset();
                let bytes = self.string(most_kept(key) as u64, "")?;
                if is_not_utf8(&self.text, bytes) {
                    self.defect(DefectKind::NotUtf8, None, at, format!("the text of `{}` is no UTF-8", escape_limited(key, 80)));
                }
                let text = String::from_utf8_lossy(&self.text);
                self.container.metadata.push_text(key.to_owned(), &text, bytes);
            }
            ARRAY => {
                let value = self.array(key)?;
                // Pushed next: the element type is noted with its place.
                self.container.metadata.push(key.to_owned(), value);
            }
            _ => {
                let at = self.input.offset();
                let odd_bool = kind == BOOL && self.input.peek()?.is_some_and(|b| b > 1);
                let value = self.scalar(kind)?;
                if odd_bool {
                    self.odd_bool(key, at);
                }
                if key == "general.alignment" && kind != U32 {
                    return Err(self
                        .input
                        .malformed(format!("the alignment is stored as {} instead of u32", VALUE_TYPES[kind as usize].0)));
                }
                self.container.metadata.push(key.to_owned(), value);
            }
        }
        Ok(())
    }

    fn scalar(&mut self, kind: u32) -> Result<MetadataValue> {
        let mut bytes = [0u8; 8];
        let (_, size) = VALUE_TYPES[kind as usize];
        let size = usize::try_from(size).unwrap_or(8);
        self.input.read_exact(&mut bytes[..size])?;
        let unsigned = u64::from_le_bytes(bytes);
        let shift = 64 - 8 * size as u32;
        let signed = (unsigned << shift) as i64 >> shift;
        Ok(match kind {
            0 | 2 | 4 | 10 => MetadataValue::Unsigned(unsigned),
            1 | 3 | 5 | 11 => MetadataValue::Signed(signed),
            6 => MetadataValue::Float(f64::from(f32::from_bits(unsigned as u32))),
            7 => MetadataValue::Bool(unsigned != 0),
            _ => MetadataValue::Float(f64::from_bits(unsigned)),
        })
    }

    fn array(&mut self, key: &str) -> Result<MetadataValue> {
        let kind = self.value_type(key)?;
        let at = self.input.offset();
        let len = self.input.u64()?;
        let (element, size) = VALUE_TYPES[kind as usize];
        if kind == ARRAY {
            return Err(self.input.malformed("an array of arrays (nested), which llama.cpp refuses").at(at));
        }
        let least = if kind == STRING { 8 } else { size };
        if len > self.input.left() / least {
            return Err(self
                .input
                .malformed(format!("an array of {len} {element}s, more than the {} bytes that are left", self.input.left()))
                .at(at));
        }
        let offset = self.input.offset();
        if kind == STRING {
            self.strings(key, len)?;
        } else if len <= limits::MAX_KEPT_ARRAY && self.container.metadata.keeps_numbers(len) {
            let mut values = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
            let mut odd_bool = false;
            for _ in 0..len {
                odd_bool |= kind == BOOL && self.input.peek()?.is_some_and(|b| b > 1);
                values.push(match self.scalar(kind)? {
                    MetadataValue::Unsigned(n) => n as f64,
                    MetadataValue::Signed(n) => n as f64,
                    MetadataValue::Float(x) => x,
                    MetadataValue::Bool(b) => f64::from(u8::from(b)),
                    _ => f64::NAN,
                });
            }
            if odd_bool {
                self.odd_bool(key, offset);
            }
            self.container.metadata.note_elements(element);
            return Ok(MetadataValue::Numbers(values));
        } else {
            self.input.skip(len * size)?;
        }
        Ok(MetadataValue::Array { element, len, bytes: self.input.offset() - offset, offset })
    }

    /// The strings of an array: looked at, not kept.
    fn strings(&mut self, key: &str, len: u64) -> Result<()> {
        let tokens = key == "tokenizer.ggml.tokens";
        let mut not_utf8: Option<u64> = None;
        for _ in 0..len {
            let at = self.input.offset();
            let bytes = self.string(limits::MAX_KEPT_TEXT as u64, "")?;
            if is_not_utf8(&self.text, bytes) {
                not_utf8.get_or_insert(at);
            }
            if tokens && is_bad_byte_token(&self.text) {
                self.container.metadata.note_bad_byte_token(&self.text);
            }
        }
        if let Some(at) = not_utf8 {
            self.defect(DefectKind::NotUtf8, None, at, format!("a text in `{}` is no UTF-8", escape_limited(key, 80)));
        }
        Ok(())
    }

    fn odd_bool(&mut self, key: &str, at: u64) {
        let message = format!("a bool of `{}` is stored as something else than 0 or 1", escape_limited(key, 80));
        self.defect(DefectKind::OddValue, None, at, message);
    }

    fn check_string(&self, bytes: u64) -> Result<()> {
        if bytes > limits::MAX_GGUF_STRING || bytes > self.input.left() {
            return Err(self
                .input
                .malformed(format!(
                    "a string length of {bytes} bytes reaches beyond the {} bytes that are left: truncated or damaged",
                    self.input.left()
                ))
                .help("the file is cut short or damaged: fetch it again"));
        }
        Ok(())
    }

    /// Reads a string into `self.text`, at most `keep` bytes of it, and returns its length. With `required` not empty a longer
    /// string is an error naming what it was.
    pub(super) fn string(&mut self, keep: u64, required: &str) -> Result<u64> {
        let bytes = self.input.u64()?;
        self.check_string(bytes)?;
        if bytes > keep && !required.is_empty() {
            return Err(self.input.over_limit(format!("{required} of {bytes} bytes, more than the {keep} that are read")));
        }
        let kept = bytes.min(keep);
        self.text.resize(usize::try_from(kept).unwrap_or(0), 0);
        let mut text = std::mem::take(&mut self.text);
        let done = self.input.read_exact(&mut text);
        self.text = text;
        done?;
        self.input.skip(bytes - kept)?;
        Ok(bytes)
    }

    pub(super) fn alignment(&self) -> Result<u64> {
        let key = "general.alignment";
        let Some(value) = self.container.metadata.get(key) else { return Ok(DEFAULT_ALIGNMENT) };
        let stated = match *value {
            MetadataValue::Unsigned(n) => n,
            _ => 0,
        };
        if !stated.is_power_of_two() {
            return Err(self.input.malformed(format!("the alignment is {stated}, which is no power of two")).for_tensor(key));
        }
        if stated > limits::MAX_ALIGNMENT {
            return Err(self
                .input
                .over_limit(format!("the alignment is {stated}, more than {}", limits::MAX_ALIGNMENT))
                .for_tensor(key));
        }
        Ok(stated)
    }
}

/// Whether the kept part of a text is no UTF-8; a character cut at the end of it is none of its faults.
fn is_not_utf8(kept: &[u8], bytes: u64) -> bool {
    match std::str::from_utf8(kept) {
        Ok(_) => false,
        Err(e) => e.error_len().is_some() || kept.len() as u64 == bytes,
    }
}

/// `<0x-1>`: the form of a byte token without its two hexadecimal digits.
fn is_bad_byte_token(token: &[u8]) -> bool {
    matches!(token, [b'<', b'0', b'x', a, b, b'>'] if !(a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}
