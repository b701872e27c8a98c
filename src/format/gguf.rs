//! The GGUF reader, versions 2 and 3, little-endian.
//!
//! Version 1 and big-endian files are recognised and named. Layout and rules: `gguf.cpp` of llama.cpp commit 0c1e570. Files that
//! end before their aligned data section are complete when they hold no tensor data (vocabulary-only files).

use super::metadata::{Metadata, MetadataValue};
use super::names::NameArena;
use super::reader::HeaderReader;
use super::safetensors::element_count;
use super::{Container, Defect, DefectKind, Format, FormatReader, Layout, Shape, TensorInfo, byte_map, limits};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;
use crate::text::escape_limited;
use crate::units::{Bytes, Elements};

pub(super) const READER: FormatReader = FormatReader { format: Format::Gguf, extensions: &["gguf"], recognises, parse };

/// Magic, version, two counts of 64 bits.
const START_BYTES: u64 = 24;
/// The alignment where the file names none (`GGUF_DEFAULT_ALIGNMENT`).
const DEFAULT_ALIGNMENT: u64 = 32;
/// ggml refuses more (`GGML_MAX_DIMS`).
const GGML_MAX_DIMS: usize = 4;
/// ggml refuses longer tensor names (`GGML_MAX_NAME` less the closing NUL).
const GGML_MAX_NAME: u64 = 63;
/// The least a key-value pair takes: an 8-byte length, an empty key, a 4-byte type, a 1-byte value.
const MIN_KEY_BYTES: u64 = 13;
/// The least a tensor info takes: name length, dimension count, type, offset.
const MIN_INFO_BYTES: u64 = 24;

fn recognises(head: &[u8]) -> bool {
    head.starts_with(b"GGUF")
}

fn parse(source: &dyn Source) -> Result<Container> {
    let mut input = HeaderReader::new(source, 0, u64::MAX);
    let mut magic = [0; 4];
    input.read_exact(&mut magic)?;
    if magic != *b"GGUF" {
        let error = Error::new(ErrorKind::Malformed, "the file does not begin with GGUF (bad magic)");
        return Err(error.with_path(source.path()).at(0).help("no GGUF, or damaged at its start: fetch it again"));
    }
    let version = input.u32()?;
    check_version(&input, version)?;
    let tensor_count = count(&mut input, "tensor", limits::MAX_TENSORS, MIN_INFO_BYTES)?;
    let key_count = count(&mut input, "key", limits::MAX_KEYS, MIN_KEY_BYTES)?;
    let mut parser = Parser {
        input,
        container: Container {
            format: Format::Gguf,
            version,
            file_len: source.len(),
            layout: Layout { magic: START_BYTES, alignment: DEFAULT_ALIGNMENT, ..Layout::default() },
            tensors: Vec::new(),
            metadata: Metadata::default(),
            defects: Vec::new(),
            defects_dropped: 0,
            unknown_dtypes: Vec::new(),
            missing_bytes: 0,
            names: NameArena::default(),
        },
        text: Vec::new(),
    };
    parser.keys(key_count)?;
    parser.container.layout.metadata = parser.input.offset() - START_BYTES;
    parser.container.layout.alignment = parser.alignment()?;
    parser.tensor_infos(tensor_count)?;
    parser.place_data();
    let mut container = parser.container;
    container.find_duplicate_names();
    byte_map::find_layout_defects(&mut container);
    Ok(container)
}

fn check_version(input: &HeaderReader<'_>, version: u32) -> Result<()> {
    let unsupported =
        |message: String, help: &str| Err(Error::new(ErrorKind::Unsupported, message).with_path(input.path()).at(4).help(help));
    match version {
        2 | 3 => Ok(()),
        1 => unsupported("GGUF version 1, a format of August 2023 that today's readers refuse".into(), "convert the model again"),
        v if v & 0xFFFF == 0 && v != 0 => unsupported(
            format!("a big-endian GGUF file (version {}), made for another kind of machine", v.swap_bytes()),
            "convert it with gguf-py's gguf_convert_endian.py",
        ),
        v => unsupported(format!("GGUF version {v}; versions 2 and 3 are known"), "a newer weigh may know it"),
    }
}

/// A count of the file start, checked against the bound and against the bytes that are left.
fn count(input: &mut HeaderReader<'_>, what: &str, limit: u64, min_bytes: u64) -> Result<u64> {
    let at = input.offset();
    let n = input.u64()?;
    if n > i64::MAX as u64 {
        return Err(input.malformed(format!("the {what} count is negative ({})", n as i64)).at(at));
    }
    if n > input.left() / min_bytes {
        return Err(input
            .malformed(format!(
                "{n} {what}s are promised, more than the {} bytes that are left can hold: truncated, or damaged at its start",
                input.left()
            ))
            .at(at));
    }
    if n > limit {
        return Err(input.over_limit(format!("{n} {what}s, more than the {limit} that are read of one file")).at(at));
    }
    Ok(n)
}

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

struct Parser<'a> {
    input: HeaderReader<'a>,
    container: Container,
    text: Vec<u8>,
}

impl Parser<'_> {
    fn keys(&mut self, n: u64) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..n {
            let at = self.input.offset();
            self.string(limits::MAX_NAME, "a key")?;
            let key = String::from_utf8_lossy(&self.text).into_owned();
            if self.text.is_empty() {
                self.defect(DefectKind::ForbiddenValue, None, at, "an empty key, at which llama.cpp refuses the file".into());
            }
            if std::str::from_utf8(&self.text).is_err() {
                let message = format!("the key `{}` is no UTF-8", escape_limited(&key, 80));
                self.defect(DefectKind::ForbiddenValue, None, at, message);
            }
            if !seen.insert(key.clone()) {
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
                let bytes = self.string(limits::MAX_KEPT_TEXT as u64, "")?;
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
        } else if len <= limits::MAX_KEPT_ARRAY {
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
    fn string(&mut self, keep: u64, required: &str) -> Result<u64> {
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

    fn alignment(&self) -> Result<u64> {
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

    fn tensor_infos(&mut self, n: u64) -> Result<()> {
        let start = self.input.offset();
        for index in 0..n {
            self.tensor_info(u32::try_from(index).unwrap_or(u32::MAX))?;
        }
        self.container.layout.header = self.input.offset() - start;
        Ok(())
    }

    fn tensor_info(&mut self, index: u32) -> Result<()> {
        let at = self.input.offset();
        let name_len = self.string(limits::MAX_NAME, "a tensor name")?;
        let name_text = String::from_utf8_lossy(&self.text).into_owned();
        let name = self.container.names.push(&self.text).ok_or_else(|| self.input.over_limit("more than 4 GiB of tensor names"))?;
        if std::str::from_utf8(&self.text).is_err() {
            self.defect(DefectKind::ForbiddenValue, Some(index), at, "the tensor name is no UTF-8".into());
        }
        if name_len > GGML_MAX_NAME {
            self.defect(
                DefectKind::OddValue,
                Some(index),
                at,
                format!("a tensor name of {name_len} bytes; ggml refuses more than {GGML_MAX_NAME}"),
            );
        }
        let shape = self.dimensions(index).map_err(|e| e.for_tensor(&name_text))?;
        let id = self.input.u32()?;
        let dtype = Dtype::from_ggml(id).unwrap_or_else(|| {
            let unknown = self.container.unknown_dtype(&format!("ggml type {id}"));
            let message = format!("ggml type {id} is not known; its bytes are taken from the offsets");
            self.defect(DefectKind::UnknownDtype, Some(index), at, message);
            Dtype::Unknown(unknown)
        });
        let offset = self.input.u64()?;
        let elements = element_count(&shape).unwrap_or_else(|| {
            self.defect(
                DefectKind::ShapeOverflow,
                Some(index),
                at,
                "the product of the dimensions does not fit 64 bits (overflow)".into(),
            );
            0
        });
        // The offset is made absolute, and the bytes are filled in, once all infos are read.
        self.container.tensors.push(TensorInfo { name, dtype, shape, elements, offset, bytes: 0 });
        Ok(())
    }

    fn dimensions(&mut self, index: u32) -> Result<Shape> {
        let at = self.input.offset();
        let n = self.input.u32()? as usize;
        if n > limits::MAX_DIMS {
            return Err(self.input.malformed(format!("{n} dimensions; ggml has at most {GGML_MAX_DIMS}")).at(at));
        }
        if n > GGML_MAX_DIMS {
            self.defect(
                DefectKind::ForbiddenValue,
                Some(index),
                at,
                format!("{n} dimensions; ggml refuses more than {GGML_MAX_DIMS}"),
            );
        }
        if n == 0 {
            self.defect(
                DefectKind::OddValue,
                Some(index),
                at,
                "no dimension at all (n_dims is 0); ggml takes it for one element".into(),
            );
        }
        let mut shape = Shape::new();
        for _ in 0..n {
            let dim = self.input.u64()?;
            if dim > i64::MAX as u64 {
                return Err(self.input.malformed(format!("a dimension is negative ({})", dim as i64)).at(at));
            }
            shape.push(dim);
        }
        // GGUF stores the contiguous dimension first.
        shape.reverse();
        Ok(shape)
    }

    /// Finds the data section, makes offsets absolute and sizes every tensor.
    fn place_data(&mut self) {
        let layout = &mut self.container.layout;
        let header_end = self.input.offset();
        layout.data_start =
            if self.container.tensors.is_empty() { header_end } else { header_end.next_multiple_of(layout.alignment) };
        let (data_start, alignment) = (layout.data_start, layout.alignment);
        for i in 0..self.container.tensors.len() {
            let index = u32::try_from(i).unwrap_or(u32::MAX);
            let tensor = &self.container.tensors[i];
            let (dtype, offset, elements) = (tensor.dtype, tensor.offset, tensor.elements);
            let whole_rows = dtype.info().is_some_and(|row| tensor.row_len().is_multiple_of(row.elements_per_block));
            let bytes = dtype.bytes_of(Elements(elements)).filter(|_| whole_rows);
            if let (Some(info), None) = (dtype.info(), bytes) {
                let message = format!(
                    "rows of {} elements do not fill whole blocks of {} ({} elements)",
                    tensor.row_len(),
                    info.name,
                    info.elements_per_block
                );
                self.defect(DefectKind::PartialBlock, Some(index), header_end, message);
            }
            if offset % alignment != 0 {
                self.container.push_defect(Defect {
                    kind: DefectKind::Misaligned,
                    tensor: Some(index),
                    offset: None,
                    stated: Some(offset),
                    expected: Some(offset.next_multiple_of(alignment)),
                    message: format!("offset {offset} is not a multiple of the alignment {alignment}"),
                });
            }
            let absolute = data_start.checked_add(offset).filter(|at| at.checked_add(bytes.map_or(0, |b| b.0)).is_some());
            if absolute.is_none() {
                self.defect(
                    DefectKind::ShapeOverflow,
                    Some(index),
                    header_end,
                    format!("offset {offset} and size do not fit 64 bits (overflow)"),
                );
            }
            let tensor = &mut self.container.tensors[i];
            tensor.bytes = bytes.map_or(0, |Bytes(b)| b);
            tensor.offset = absolute.unwrap_or(u64::MAX - tensor.bytes);
        }
        self.size_by_offsets();
        self.find_disorder();
    }

    /// Tensors whose size their type does not tell reach to the next tensor, the last one to the end of the file.
    fn size_by_offsets(&mut self) {
        let tensors = &mut self.container.tensors;
        let unsized_ = |t: &TensorInfo| t.bytes == 0 && t.elements > 0;
        if !tensors.iter().any(unsized_) {
            return;
        }
        let mut starts: Vec<u64> = tensors.iter().map(|t| t.offset).collect();
        starts.sort_unstable();
        for tensor in tensors.iter_mut().filter(|t| unsized_(t)) {
            let next = starts.partition_point(|&start| start <= tensor.offset);
            let end = starts.get(next).copied().unwrap_or(self.container.file_len);
            tensor.bytes = end.saturating_sub(tensor.offset);
        }
    }

    /// llama.cpp wants tensor data in the order of the infos.
    fn find_disorder(&mut self) {
        let tensors = &self.container.tensors;
        let Some(i) = (1..tensors.len()).find(|&i| tensors[i].offset < tensors[i - 1].offset) else { return };
        let message = "tensor data does not stand in the order of the tensor infos; llama.cpp refuses such a file".to_owned();
        let (stated, expected) = (tensors[i].offset, tensors[i - 1].end());
        self.container.push_defect(Defect {
            kind: DefectKind::Unordered,
            tensor: u32::try_from(i).ok(),
            offset: None,
            stated: Some(stated),
            expected: Some(expected),
            message,
        });
    }

    fn defect(&mut self, kind: DefectKind, tensor: Option<u32>, offset: u64, message: String) {
        self.container.push_defect(Defect { kind, tensor, offset: Some(offset), stated: None, expected: None, message });
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
