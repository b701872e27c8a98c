//! The bytes of `model.safetensors.index.json`.

use super::safetensors_file::{digits, json_text};

/// The program that writes the index, which decides its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `json.dumps(index, indent=2, sort_keys=True)` (huggingface_hub 2.4.0).
    Hub,
    /// The same and a newline (transformers 5.23).
    Transformers,
    /// `json.dump(index, indent=4)` (mlx-lm 0.32.2).
    Mlx,
}

/// Length of the index. `names` gives each tensor's name and the length of its file's name.
pub(crate) fn bytes<'t>(
    names: impl Iterator<Item = (&'t str, u64)>,
    total_size: u64,
    parameters: Option<u64>,
    style: Style,
) -> u64 {
    let indent = if style == Style::Mlx { 4 } else { 2 };
    let mut map = 0u64;
    let mut n = 0u64;
    for (name, file) in names {
        // indent, "name": "file", and a comma or not, newline
        map += 2 * indent + 2 + python_text(name) + 2 + 2 + file + 1;
        n += 1;
    }
    map += n.saturating_sub(1);
    let mut metadata = 2 * indent + 14 + digits(total_size) + 1; // "total_size": N
    if let Some(parameters) = parameters {
        metadata += 2 * indent + 20 + digits(parameters) + 2; // "total_parameters": N, and the comma between the two
    }
    // { newline; "metadata": {...}, ; "weight_map": {...} ; }
    let frame = 2 + (indent + 14) + metadata + (indent + 3) + (indent + 16) + map + (indent + 2) + 1;
    frame + u64::from(style == Style::Transformers)
}

/// Bytes of a text inside JSON quotes as Python writes it: not ASCII as `\uXXXX`.
fn python_text(text: &str) -> u64 {
    if text.is_ascii() {
        return json_text(text) + text.bytes().filter(|&b| b == 0x7f).count() as u64 * 5;
    }
    text.chars().map(|c| if c.is_ascii() { python_text(c.encode_utf8(&mut [0; 4])) } else { 6 * c.len_utf16() as u64 }).sum()
}
