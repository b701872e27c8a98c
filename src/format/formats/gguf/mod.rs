//! The GGUF reader, versions 2 and 3, little-endian.
//!
//! Version 1 and big-endian files are recognised and named. Layout and rules: `gguf.cpp` of llama.cpp ([`crate::pins::LLAMA_CPP`]).
//! Files that end before their aligned data section are complete when they hold no tensor data (vocabulary-only files).

mod keys;
mod place;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::format::metadata::Metadata;
use crate::format::names::NameArena;
use crate::format::reader::HeaderReader;
use crate::format::{
    Container, Defect, DefectKind, Format, FormatReader, Layout, Shape, TensorInfo, byte_map, element_count, limits,
};
use crate::source::Source;

pub(in crate::format) const READER: FormatReader = FormatReader { format: Format::Gguf, extensions: &["gguf"], recognises, parse };

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

struct Parser<'a> {
    input: HeaderReader<'a>,
    container: Container,
    text: Vec<u8>,
}

impl Parser<'_> {
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
        let name = self
            .container
            .names
            .push(&self.text)
            .ok_or_else(|| self.input.over_limit(format!("more than {} bytes of tensor names", limits::MAX_NAMES)))?;
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

    fn defect(&mut self, kind: DefectKind, tensor: Option<u32>, offset: u64, message: String) {
        self.container.push_defect(Defect { kind, tensor, offset: Some(offset), stated: None, expected: None, message });
    }
}
