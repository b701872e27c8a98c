//! Headers that readers take differently: doubles, padding, unknown fields, odd text, odd sizes.

use crate::audit::check::{Check, code};
use crate::audit::defects::push_defects;
use crate::audit::finding::Severity::{Error as Bad, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::format::{Container, DefectKind, Format, MetadataValue};
use crate::units::grouped;

const DUPLICATE: Code = code(
    "duplicate-name",
    "A name that stands twice",
    Bad,
    "Two tensors or keys of one name. The safetensors README forbids it and the reference reader keeps the last one in silence, others the first: two \
     programs see two models in one file. llama.cpp refuses such a GGUF file.",
);
const METADATA_TWICE: Code = code(
    "duplicate-metadata",
    "A metadata key that stands twice",
    Warning,
    "Readers keep one of the two values and do not say which: a licence checked by one program is not the one another sees.",
);
const PADDING: Code = code(
    "header-padding",
    "The header is not begun or padded as the format says",
    Warning,
    "A safetensors header must begin with an opening brace and may be padded with spaces at its end. The reference reader takes other white space too; stricter ones do not.",
);
const FIELD: Code = code(
    "unknown-field",
    "A header field that the format does not define",
    Warning,
    "The published schema allows dtype, shape and data_offsets only. Readers ignore other fields, so what they say has no effect.",
);
const ODD: Code = code(
    "odd-value",
    "A value that the format's documents forbid",
    Warning,
    "Readers accept it today, some of them; the message says what was expected. A writer of its own or a damaged file is the cause.",
);
const FORBIDDEN: Code = code(
    "forbidden-value",
    "A value that readers refuse",
    Bad,
    "The file's own format, or the one reader that everybody uses, refuses the whole file for it. The message says what was expected.",
);
const UTF8: Code = code(
    "not-utf8",
    "Text that is no UTF-8",
    Warning,
    "Both formats ask for UTF-8. llama.cpp does not check it, Python readers fail or show something else. The bytes are shown escaped.",
);
const NO_TENSORS: Code = code(
    "no-tensors",
    "A file without a tensor",
    Warning,
    "The header is valid and empty. A safetensors file without tensors is the result of a failed save; vocabulary-only GGUF files are not reported.",
);
const HEADER_SIZE: Code = code(
    "header-size",
    "An unusually large header",
    Warning,
    "The header is allowed, but readers that build a tree of it need ten times its size in memory, and seconds. The largest published one has some 10 MB.",
);
const METADATA_SIZE: Code = code(
    "metadata-size",
    "Unusually large metadata",
    Warning,
    "Metadata of many megabytes or half a million keys: readers hold it in memory as a whole. Published files have some kilobytes beside their vocabulary.",
);

pub(super) const CHECK: Check = Check {
    name: "header_form",
    codes: &[DUPLICATE, METADATA_TWICE, PADDING, FIELD, ODD, FORBIDDEN, UTF8, NO_TENSORS, HEADER_SIZE, METADATA_SIZE],
    run,
};

/// Twice the largest published header (DeepSeek-V3's shards have some 100 KB; the largest single file some 10 MB).
const LARGE_HEADER: u64 = 32 << 20;
/// Metadata text of one key; licences and templates have some 100 KiB.
const LARGE_TEXT: u64 = 8 << 20;
/// Metadata keys of one file.
const MANY_KEYS: usize = 500_000;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for (file, container) in subject.containers() {
        for (kind, row) in [
            (DefectKind::DuplicateName, DUPLICATE),
            (DefectKind::DuplicateMetadata, METADATA_TWICE),
            (DefectKind::HeaderPadding, PADDING),
            (DefectKind::UnknownField, FIELD),
            (DefectKind::OddValue, ODD),
            (DefectKind::ForbiddenValue, FORBIDDEN),
            (DefectKind::NotUtf8, UTF8),
        ] {
            push_defects(out, file, container, kind, &row, |finding, _| finding);
        }
        if container.defects_dropped > 0 {
            let message = format!("{} further defects of this file are counted, not listed", grouped(container.defects_dropped));
            out.push(Finding::new(&ODD, message).file(file));
        }
        sizes(file, container, out);
    }
}

fn sizes(file: &str, container: &Container, out: &mut Findings) {
    if container.tensors.is_empty() && container.format == Format::Safetensors {
        out.push(Finding::new(&NO_TENSORS, "the header holds no tensors").file(file));
    }
    let layout = &container.layout;
    if container.format == Format::Safetensors && layout.header > LARGE_HEADER {
        let message =
            format!("a header of {} bytes with {} tensors", grouped(layout.header), grouped(container.tensors.len() as u64));
        out.push(Finding::new(&HEADER_SIZE, message).file(file));
    }
    let entries = container.metadata.entries();
    if entries.len() > MANY_KEYS {
        out.push(Finding::new(&METADATA_SIZE, format!("{} metadata keys", grouped(entries.len() as u64))).file(file));
    }
    let large = entries.iter().filter_map(|(key, value)| match value {
        MetadataValue::Text { bytes, .. } if *bytes > LARGE_TEXT => Some((key, *bytes)),
        _ => None,
    });
    out.push_many(large.map(|(key, bytes)| {
        Finding::new(&METADATA_SIZE, format!("a metadata text of {} bytes", grouped(bytes))).file(file).tensor(key)
    }));
}
