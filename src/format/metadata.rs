//! Key-value metadata of a file: strings in safetensors, typed values in GGUF.

use super::limits;

/// One value. Long arrays (token lists) are described by their length and bytes, not kept.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValue {
    /// Unsigned integer of any width.
    Unsigned(u64),
    /// Signed integer of any width.
    Signed(i64),
    /// f32 or f64.
    Float(f64),
    /// Boolean.
    Bool(bool),
    /// Text; `bytes` is its length in the file, larger than the text's when it was cut.
    Text {
        /// The text, cut to [`limits::MAX_KEPT_TEXT`], or [`limits::MAX_KEPT_TEMPLATE`]; bytes that are no UTF-8 become U+FFFD.
        text: String,
        /// Length in the file.
        bytes: u64,
    },
    /// An array of numbers or booleans short enough to keep.
    Numbers(Vec<f64>),
    /// Any other array.
    Array {
        /// The element type as GGUF names it.
        element: &'static str,
        /// Number of elements.
        len: u64,
        /// Bytes of all elements in the file, string lengths included.
        bytes: u64,
        /// Where the first element starts in the file.
        offset: u64,
    },
}

/// Metadata in file order, with duplicates kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<(String, MetadataValue)>,
    kept_text: usize,
    kept_numbers: u64,
    /// Element types of kept numeric arrays, by place among the entries.
    elements: Vec<(usize, &'static str)>,
    bad_byte_token: Option<String>,
}

impl Metadata {
    /// Keys and values in file order.
    pub fn entries(&self) -> &[(String, MetadataValue)] {
        &self.entries
    }

    /// The first value under a key.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        self.entries.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Text under a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            MetadataValue::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// A whole number under a key, whatever its width and sign.
    pub fn count(&self, key: &str) -> Option<u64> {
        match *self.get(key)? {
            MetadataValue::Unsigned(n) => Some(n),
            MetadataValue::Signed(n) => u64::try_from(n).ok(),
            _ => None,
        }
    }

    /// A boolean under a key.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            MetadataValue::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The length of an array under a key, kept or not.
    pub fn array_len(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            MetadataValue::Array { len, .. } => Some(*len),
            MetadataValue::Numbers(values) => Some(values.len() as u64),
            _ => None,
        }
    }

    /// A numeric array under a key, where it was kept.
    pub fn numbers(&self, key: &str) -> Option<&[f64]> {
        match self.get(key)? {
            MetadataValue::Numbers(values) => Some(values),
            _ => None,
        }
    }

    /// The element type of an array under a key, as GGUF names it.
    pub fn element_type(&self, key: &str) -> Option<&'static str> {
        let at = self.entries.iter().position(|(k, _)| k == key)?;
        match self.entries[at].1 {
            MetadataValue::Array { element, .. } => Some(element),
            _ => self.elements.iter().find(|(entry, _)| *entry == at).map(|(_, element)| *element),
        }
    }

    /// The first token of the form `<0x..>` that is no byte in two hexadecimal digits.
    pub fn bad_byte_token(&self) -> Option<&str> {
        self.bad_byte_token.as_deref()
    }

    /// Whether there is room for so many numbers more; they are counted then.
    pub(crate) fn keeps_numbers(&mut self, len: u64) -> bool {
        let kept = self.kept_numbers.saturating_add(len);
        if kept <= limits::MAX_KEPT_NUMBERS {
            self.kept_numbers = kept;
        }
        kept <= limits::MAX_KEPT_NUMBERS
    }

    /// Notes the element type of the array that is added next.
    pub(crate) fn note_elements(&mut self, element: &'static str) {
        self.elements.push((self.entries.len(), element));
    }

    /// Notes a token that is no byte though it looks like one; the first is kept.
    pub(crate) fn note_bad_byte_token(&mut self, token: &[u8]) {
        self.bad_byte_token.get_or_insert_with(|| String::from_utf8_lossy(token).into_owned());
    }

    /// Adds a value; text is cut to what may be kept.
    pub(crate) fn push(&mut self, key: String, value: MetadataValue) {
        self.kept_text += key.len();
        self.entries.push((key, value));
    }

    /// Adds text, cut to the limits for one text and for all of a file.
    pub(crate) fn push_text(&mut self, key: String, text: &str, bytes: u64) {
        let room = limits::MAX_KEPT_METADATA.saturating_sub(self.kept_text).min(most_kept(&key));
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.kept_text += end;
        self.push(key, MetadataValue::Text { text: text[..end].to_owned(), bytes });
    }
}

/// Bytes of the text under a key that are kept.
pub(crate) fn most_kept(key: &str) -> usize {
    if key.contains("chat_template") { limits::MAX_KEPT_TEMPLATE } else { limits::MAX_KEPT_TEXT }
}
