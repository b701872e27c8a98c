//! The length of a safetensors header without writing it.
//!
//! Source: `safetensors` 0.8.0, `serialize`: tensors sorted by dtype (the order of its enum, widest first), then by name; compact
//! JSON, `__metadata__` first; padded with spaces to a multiple of 8; preceded by its length in 8 bytes. MLX writes neither that
//! order nor the padding.

use crate::dtype::Dtype;

/// Names, types and sizes of the tensors of one file.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Name of the tensor.
    pub name: &'a str,
    /// Element type on disk.
    pub dtype: Dtype,
    /// Sizes of the dimensions, outermost first.
    pub shape: &'a [u64],
    /// Bytes of its data.
    pub bytes: u64,
}

/// The program that writes the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The `safetensors` library: sorted, padded.
    Reference,
    /// In the order given, padded.
    Listed,
    /// MLX: in the order given, not padded.
    Mlx,
}

/// `{"format":"pt"}`, as transformers, huggingface_hub and the quantizers built on them write it.
pub const FORMAT_PT: &[(&str, &str)] = &[("format", "pt")];
/// `{"format":"mlx"}`, as mlx-lm writes it.
pub const FORMAT_MLX: &[(&str, &str)] = &[("format", "mlx")];

/// Bytes before the data of a file with these tensors: the 8 bytes of the length and the JSON with its padding. `metadata` of
/// `None` leaves `__metadata__` out. Sorts `entries` into the order of the data section.
pub fn header_bytes(entries: &mut [Entry<'_>], metadata: Option<&[(&str, &str)]>, writer: Writer) -> u64 {
    if writer == Writer::Reference {
        // By type first, so that names which come sorted stay runs: checking a run costs one comparison a tensor.
        entries.sort_by_key(|e| std::cmp::Reverse(rank(e.dtype)));
        for same_type in entries.chunk_by_mut(|a, b| a.dtype == b.dtype) {
            same_type.sort_by(|a, b| a.name.cmp(b.name));
        }
    }
    let mut json = 2u64; // the braces
    let mut members = entries.len() as u64;
    if let Some(pairs) = metadata {
        members += 1;
        json += 15 + 2; // "__metadata__": and braces
        json += pairs.iter().map(|(k, v)| 5 + json_text(k) + json_text(v)).sum::<u64>(); // quotes and colon
        json += (pairs.len() as u64).saturating_sub(1);
    }
    json += members.saturating_sub(1);
    let mut offset = 0u64;
    for entry in entries.iter() {
        let end = offset.saturating_add(entry.bytes);
        let dims: u64 = entry.shape.iter().map(|&d| digits(d)).sum::<u64>() + (entry.shape.len() as u64).saturating_sub(1);
        // "name":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}
        json += 2 + json_text(entry.name) + 1;
        json += 10 + entry.dtype.name().map_or(0, |n| n.len() as u64) + 11 + dims + 18 + digits(offset) + 1 + digits(end) + 2;
        offset = end;
    }
    8 + match writer {
        Writer::Reference | Writer::Listed => json.next_multiple_of(8),
        Writer::Mlx => json,
    }
}

/// Decimal digits of a number.
pub(crate) fn digits(n: u64) -> u64 {
    u64::from(n.checked_ilog10().unwrap_or(0)) + 1
}

/// Bytes of a text inside JSON quotes, as `serde_json` escapes it.
pub(crate) fn json_text(text: &str) -> u64 {
    text.bytes()
        .map(|b| match b {
            b'"' | b'\\' | 0x08 | 0x0c | b'\n' | b'\r' | b'\t' => 2,
            0..=0x1f => 6,
            _ => 1,
        })
        .sum()
}

/// Place of a dtype in the enum of `safetensors` 0.8.0, by which it sorts. A `match`, since sorting asks for it often.
fn rank(dtype: Dtype) -> u8 {
    use Dtype::*;
    match dtype {
        BOOL => 0,
        F4 => 1,
        F6_E2M3 => 2,
        F6_E3M2 => 3,
        U8 => 4,
        I8 => 5,
        F8_E5M2 => 6,
        F8_E4M3 => 7,
        F8_E8M0 => 8,
        F8_E4M3FNUZ => 9,
        F8_E5M2FNUZ => 10,
        I16 => 11,
        U16 => 12,
        F16 => 13,
        BF16 => 14,
        I32 => 15,
        U32 => 16,
        F32 => 17,
        C64 => 18,
        F64 => 19,
        I64 => 20,
        U64 => 21,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{TensorView, serialize};

    fn view(dtype: safetensors::Dtype, shape: &[usize], data: &'static [u8]) -> TensorView<'static> {
        TensorView::new(dtype, shape.to_vec(), data).unwrap()
    }

    #[test]
    fn equals_the_reference_writer() {
        static ZEROS: [u8; 4096] = [0; 4096];
        let rows: &[(&str, Dtype, safetensors::Dtype, &[u64], usize)] = &[
            ("b.weight", Dtype::F16, safetensors::Dtype::F16, &[10, 12], 240),
            ("a\"quoted\\\n", Dtype::I64, safetensors::Dtype::I64, &[3], 24),
            ("scalar", Dtype::F32, safetensors::Dtype::F32, &[], 4),
            ("empty", Dtype::U8, safetensors::Dtype::U8, &[0, 7], 0),
            ("e8", Dtype::F8_E8M0, safetensors::Dtype::F8_E8M0, &[100], 100),
            ("i8", Dtype::I8, safetensors::Dtype::I8, &[1000], 1000),
            ("漢", Dtype::BF16, safetensors::Dtype::BF16, &[1], 2),
        ];
        for metadata in [None, Some(FORMAT_PT)] {
            for take in 0..=rows.len() {
                let views = rows[..take].iter().map(|r| {
                    let shape: Vec<usize> = r.3.iter().map(|&d| d as usize).collect();
                    (r.0, view(r.2, &shape, &ZEROS[..r.4]))
                });
                let pairs = metadata.map(|m| m.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
                let written = serialize(views, pairs).unwrap().len() as u64;
                let mut entries: Vec<Entry<'_>> =
                    rows[..take].iter().map(|r| Entry { name: r.0, dtype: r.1, shape: r.3, bytes: r.4 as u64 }).collect();
                let data: u64 = entries.iter().map(|e| e.bytes).sum();
                assert_eq!(header_bytes(&mut entries, metadata, Writer::Reference) + data, written, "{take} tensors");
            }
        }
    }
}
