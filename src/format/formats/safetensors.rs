//! The safetensors reader: 8 bytes of header length, a JSON header, data.
//!
//! Reads what the header says even where the reference reader would refuse the file; every departure from the format becomes a
//! defect. Rules and their sources: the repository README of safetensors, and its crate ([`crate::pins::SAFETENSORS`]) where the README is silent.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use smallvec::SmallVec;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::format::json::{JsonReader, JsonToken};
use crate::format::metadata::Metadata;
use crate::format::names::NameArena;
use crate::format::reader::HeaderReader;
use crate::format::{
    Container, Defect, DefectKind, Format, FormatReader, Layout, Shape, TensorInfo, byte_map, element_count, limits,
};
use crate::source::{Source, read_exact_at};
use crate::text::escape_limited;
use crate::units::{Bytes, Elements};

pub(super) const READER: FormatReader =
    FormatReader { format: Format::Safetensors, extensions: &["safetensors"], recognises, parse };

/// Bytes of the header length.
const LENGTH_BYTES: u64 = 8;

fn recognises(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else { return false };
    u64::from_le_bytes(*length) <= limits::MAX_SAFETENSORS_HEADER && rest.trim_ascii_start().starts_with(b"{")
}

fn parse(source: &dyn Source) -> Result<Container> {
    let header_len = header_length(source)?;
    let data_start = LENGTH_BYTES + header_len;
    let mut parser = Parser {
        json: JsonReader::new(HeaderReader::new(source, LENGTH_BYTES, data_start)),
        container: Container {
            format: Format::Safetensors,
            version: 0,
            file_len: source.len(),
            layout: Layout { magic: LENGTH_BYTES, metadata: 0, header: header_len, data_start, alignment: 1 },
            tensors: Vec::new(),
            metadata: Metadata::default(),
            defects: Vec::new(),
            defects_dropped: 0,
            unknown_dtypes: Vec::new(),
            missing_bytes: 0,
            names: NameArena::default(),
        },
        data_start,
        last_dtype: None,
    };
    parser.header().map_err(|e| {
        let e = e.with_path(source.path());
        if e.advice().is_some() {
            e
        } else {
            e.help("the header is damaged, or its writer at fault: fetch the file again, or save it again")
        }
    })?;
    let mut container = parser.container;
    container.find_duplicate_names();
    byte_map::find_layout_defects(&mut container);
    Ok(container)
}

fn header_length(source: &dyn Source) -> Result<u64> {
    let bad = |kind, message: String| {
        Err(Error::new(kind, message).with_path(source.path()).at(0).help("the file is cut short or damaged: fetch it again"))
    };
    if source.len() < LENGTH_BYTES {
        return bad(ErrorKind::Truncated, format!("{} bytes, shorter than the 8-byte header length of safetensors", source.len()));
    }
    let mut bytes = [0; 8];
    read_exact_at(source, 0, &mut bytes)?;
    let stated = u64::from_le_bytes(bytes);
    if stated > limits::MAX_SAFETENSORS_HEADER {
        return bad(
            ErrorKind::Malformed,
            format!(
                "the header length says {stated} bytes, over the format's limit of {} (header too large): not a safetensors file, or damaged at its start",
                limits::MAX_SAFETENSORS_HEADER
            ),
        );
    }
    if stated > source.len() - LENGTH_BYTES {
        return bad(
            ErrorKind::Truncated,
            format!(
                "the header is said to be {stated} bytes long, but the file ends after {} of them",
                source.len() - LENGTH_BYTES
            ),
        );
    }
    if stated < 2 {
        return bad(
            ErrorKind::Malformed,
            format!("the header is said to be {stated} bytes long; the shortest JSON header is `{{}}`, 2 bytes"),
        );
    }
    Ok(stated)
}

struct Parser<'a> {
    json: JsonReader<'a>,
    container: Container,
    data_start: u64,
    /// The known dtype that was met last.
    last_dtype: Option<Dtype>,
}

/// The fields of one tensor entry as far as they were met.
#[derive(Default)]
struct Entry {
    dtype: Option<Dtype>,
    shape: Option<Shape>,
    offsets: Option<(u64, u64)>,
}

impl Parser<'_> {
    fn header(&mut self) -> Result<()> {
        let first = self.json.next_token()?;
        if first != JsonToken::BeginObject {
            return Err(self.json.error("the header is not a JSON object"));
        }
        if self.json.token_offset() != LENGTH_BYTES {
            self.defect(DefectKind::HeaderPadding, None, "the header does not begin with `{` as the format demands");
        }
        let mut metadata_seen = false;
        loop {
            match self.json.next_token()? {
                JsonToken::EndObject => break,
                JsonToken::Key if self.json.text() == "__metadata__" => {
                    if std::mem::replace(&mut metadata_seen, true) {
                        return Err(self.json.error("`__metadata__` stands twice in the header (duplicate)"));
                    }
                    self.metadata()?;
                }
                _ => self.tensor()?,
            }
        }
        // White space of any kind may follow; anything else is an error of the token reader.
        self.json.next_token()?;
        if self.json.has_odd_padding() {
            self.defect(DefectKind::HeaderPadding, None, "the padding of the header is not made of spaces alone");
        }
        Ok(())
    }

    fn metadata(&mut self) -> Result<()> {
        match self.json.next_token()? {
            JsonToken::BeginObject => {}
            JsonToken::Null => {
                self.defect(DefectKind::OddValue, None, "`__metadata__` is null; the format asks for a map of strings");
                return Ok(());
            }
            _ => return Err(self.json.error("`__metadata__` is not a map of strings")),
        }
        let mut keys = 0;
        // Hashes instead of keys: a million keys cost 16 MB.
        let (state, mut seen) = (RandomState::new(), HashSet::new());
        loop {
            if self.json.next_token()? == JsonToken::EndObject {
                return Ok(());
            }
            let key = self.json.text().to_owned();
            keys += 1;
            if !seen.insert(state.hash_one(&key)) {
                let message = format!("the key `{}` stands twice in `__metadata__` (duplicate)", escape_limited(&key, 80));
                self.defect(DefectKind::DuplicateMetadata, None, &message);
            }
            if keys > limits::MAX_KEYS {
                return Err(Error::new(ErrorKind::Limit, format!("more than {} metadata keys", limits::MAX_KEYS))
                    .at(self.json.token_offset()));
            }
            // Texts are cut to what is kept; they may be as long as the header.
            self.json.set_max_text(limits::MAX_SAFETENSORS_HEADER);
            let value = self.json.next_token()?;
            if value != JsonToken::String {
                return Err(self
                    .json
                    .error(format!("`__metadata__` holds something else than text under `{}`", escape_limited(&key, 80))));
            }
            let text = self.json.text();
            self.container.metadata.push_text(key, text, text.len() as u64);
            self.json.set_max_text(limits::MAX_NAME);
        }
    }

    fn tensor(&mut self) -> Result<()> {
        let name_offset = self.json.token_offset();
        if self.container.tensors.len() as u64 >= limits::MAX_TENSORS {
            return Err(Error::new(ErrorKind::Limit, format!("more than {} tensors", limits::MAX_TENSORS)).at(name_offset));
        }
        let name = self
            .container
            .names
            .push(self.json.text().as_bytes())
            .ok_or_else(|| Error::new(ErrorKind::Limit, "more tensor names than are held of a file").at(name_offset))?;
        let entry = self.entry().map_err(|e| {
            let name = String::from_utf8_lossy(self.container.names.bytes(name)).into_owned();
            e.for_tensor(&name)
        })?;
        let missing = |field: &str| {
            let name = String::from_utf8_lossy(self.container.names.bytes(name)).into_owned();
            Error::new(ErrorKind::Malformed, format!("the header entry has no `{field}`")).at(name_offset).for_tensor(&name)
        };
        let dtype = entry.dtype.ok_or_else(|| missing("dtype"))?;
        let shape = entry.shape.ok_or_else(|| missing("shape"))?;
        let (begin, end) = entry.offsets.ok_or_else(|| missing("data_offsets"))?;
        self.push_tensor(TensorInfo { name, dtype, shape, elements: 0, offset: 0, bytes: 0 }, begin, end, name_offset);
        Ok(())
    }

    /// Sizes the tensor and notes what does not fit together.
    fn push_tensor(&mut self, mut tensor: TensorInfo, begin: u64, end: u64, name_offset: u64) {
        let index = u32::try_from(self.container.tensors.len()).unwrap_or(u32::MAX);
        let mut note = |kind, stated, expected, message: String| {
            self.container.push_defect(Defect { kind, tensor: Some(index), offset: Some(name_offset), stated, expected, message });
        };
        match element_count(&tensor.shape) {
            Some(n) => tensor.elements = n,
            None => {
                note(DefectKind::ShapeOverflow, None, None, "the product of the dimensions does not fit 64 bits (overflow)".into())
            }
        }
        let stated = end.checked_sub(begin);
        if stated.is_none() {
            note(DefectKind::SizeMismatch, Some(end), Some(begin), format!("data_offsets end ({end}) before they begin ({begin})"));
        }
        tensor.bytes = stated.unwrap_or(0);
        tensor.offset = self.data_start.checked_add(begin).unwrap_or_else(|| {
            note(
                DefectKind::SizeMismatch,
                Some(begin),
                None,
                format!("data_offsets begin at {begin}, beyond what 64 bits can address (overflow)"),
            );
            u64::MAX - tensor.bytes
        });
        if let (Some(info), Some(stated), true) = (tensor.dtype.info(), stated, element_count(&tensor.shape).is_some()) {
            match tensor.dtype.bytes_of(Elements(tensor.elements)) {
                Some(Bytes(expected)) if expected != stated => note(
                    DefectKind::SizeMismatch,
                    Some(stated),
                    Some(expected),
                    format!(
                        "data_offsets hold {stated} bytes, but the shape of {} {} elements needs {expected}",
                        tensor.elements, info.name
                    ),
                ),
                Some(_) => {}
                None => note(
                    DefectKind::PartialBlock,
                    Some(stated),
                    None,
                    format!("{} elements of {} do not fill whole bytes", tensor.elements, info.name),
                ),
            }
        }
        self.container.tensors.push(tensor);
    }

    fn entry(&mut self) -> Result<Entry> {
        if self.json.next_token()? != JsonToken::BeginObject {
            return Err(self.json.error("the header entry is not a JSON object with dtype, shape and data_offsets"));
        }
        let mut entry = Entry::default();
        loop {
            if self.json.next_token()? == JsonToken::EndObject {
                return Ok(entry);
            }
            let twice = |field: &str, there: bool, json: &JsonReader<'_>| {
                if there { Err(json.error(format!("`{field}` stands twice in the header entry (duplicate)"))) } else { Ok(()) }
            };
            match self.json.text() {
                "dtype" => {
                    twice("dtype", entry.dtype.is_some(), &self.json)?;
                    entry.dtype = Some(self.dtype()?);
                }
                "shape" => {
                    twice("shape", entry.shape.is_some(), &self.json)?;
                    entry.shape = Some(self.numbers("shape", limits::MAX_DIMS)?);
                }
                "data_offsets" => {
                    twice("data_offsets", entry.offsets.is_some(), &self.json)?;
                    let offsets = self.numbers("data_offsets", 2)?;
                    let &[begin, end] = offsets.as_slice() else {
                        return Err(self.json.error(format!("`data_offsets` holds {} numbers instead of 2", offsets.len())));
                    };
                    entry.offsets = Some((begin, end));
                }
                field => {
                    let message = format!("unknown field `{}` in a header entry", escape_limited(field, 40));
                    self.defect(DefectKind::UnknownField, Some(self.json.token_offset()), &message);
                    let value = self.json.next_token()?;
                    self.json.skip_value(value)?;
                }
            }
        }
    }

    fn dtype(&mut self) -> Result<Dtype> {
        if self.json.next_token()? != JsonToken::String {
            return Err(self.json.error("`dtype` is not text"));
        }
        let spelling = self.json.text();
        // One dtype follows another of the same: the table is gone through once in a while.
        if let Some(last) = self.last_dtype.filter(|d| d.name() == Some(spelling)) {
            return Ok(last);
        }
        if let Some(known) = Dtype::from_safetensors(spelling) {
            self.last_dtype = Some(known);
            return Ok(known);
        }
        let offset = self.json.token_offset();
        let index = self.container.unknown_dtype(spelling);
        let message = format!("unknown dtype `{}`; its bytes are taken from its offsets", escape_limited(spelling, 40));
        let tensor = u32::try_from(self.container.tensors.len()).ok();
        self.container.push_defect(Defect {
            kind: DefectKind::UnknownDtype,
            tensor,
            offset: Some(offset),
            stated: None,
            expected: None,
            message,
        });
        Ok(Dtype::Unknown(index))
    }

    fn numbers(&mut self, field: &str, limit: usize) -> Result<SmallVec<[u64; 4]>> {
        if self.json.next_token()? != JsonToken::BeginArray {
            return Err(self.json.error(format!("`{field}` is not a list of numbers")));
        }
        let mut numbers = SmallVec::new();
        loop {
            match self.json.next_token()? {
                JsonToken::EndArray => return Ok(numbers),
                JsonToken::Number if numbers.len() == limit => {
                    return Err(Error::new(ErrorKind::Limit, format!("`{field}` holds more than {limit} numbers (dimensions)"))
                        .at(self.json.token_offset()));
                }
                JsonToken::Number => {
                    let text = self.json.text();
                    let whole = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
                    numbers.push(whole.ok_or_else(|| {
                        self.json
                            .error(format!("`{field}` holds {}, which is no whole number of 64 bits", escape_limited(text, 40)))
                    })?);
                }
                _ => return Err(self.json.error(format!("`{field}` holds something else than numbers"))),
            }
        }
    }

    fn defect(&mut self, kind: DefectKind, offset: Option<u64>, message: &str) {
        let offset = offset.or(Some(self.json.token_offset()));
        self.container.push_defect(Defect {
            kind,
            tensor: None,
            offset,
            stated: None,
            expected: None,
            message: message.to_owned(),
        });
    }
}
