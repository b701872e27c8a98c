//! What the readers that everybody uses would say: llama.cpp's loader and the safetensors crate.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::format::{Container, DefectKind, Format, SecondOpinion};

const LLAMA: Code = code(
    "llama-cpp-refuses",
    "llama.cpp would refuse the file",
    Warning,
    "By the rules of its reader (`gguf.cpp`, commit 0c1e570) llama.cpp stops at this file, though it can be read otherwise. The message gives the rule. Write the file again \
     with llama.cpp's or gguf-py's tools. Not given where another finding is an error anyway.",
);
const REFERENCE: Code = code(
    "safetensors-refuses",
    "The reference reader refuses the file",
    Bad,
    "The `safetensors` crate, which Python's package is made of, was asked about the header and refuses the whole file for the reason given. Not given where another finding is \
     an error anyway.",
);

pub(super) const CHECK: Check = Check { name: "loaders", codes: &[LLAMA, REFERENCE], run };

/// ggml refuses longer tensor names (`GGML_MAX_NAME` less the closing NUL).
const GGML_NAME: usize = 63;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for file in subject.files() {
        if out.has_error(&file.name) {
            continue;
        }
        let finding = match (file.container.format, &file.opinion) {
            (Format::Safetensors, SecondOpinion::Refuses(why)) => {
                Finding::new(&REFERENCE, format!("the reference safetensors reader refuses the file: {why}"))
            }
            (Format::Gguf, _) => match refusal(&file.container) {
                Some(why) => Finding::new(&LLAMA, format!("llama.cpp refuses the file: {why}")),
                None => continue,
            },
            _ => continue,
        };
        out.push(finding.file(&file.name));
    }
}

/// The first rule of `gguf.cpp` that the file breaks.
fn refusal(container: &Container) -> Option<String> {
    if let Some(tensor) = container.tensors.iter().find(|t| container.name_bytes(t).len() > GGML_NAME) {
        let len = container.name_bytes(tensor).len();
        return Some(format!("a tensor name of {len} bytes, more than {GGML_NAME}"));
    }
    if container.tensors.iter().any(|t| t.shape.len() > 4) {
        return Some("a tensor of more than 4 dimensions".to_owned());
    }
    if container.defects.iter().any(|d| d.kind == DefectKind::DuplicateName) {
        return Some("a name that stands twice".to_owned());
    }
    // Data must lie in the order of the infos, each tensor padded to the alignment, without holes.
    let layout = &container.layout;
    let mut expected = layout.data_start;
    for tensor in &container.tensors {
        if tensor.offset != expected {
            let name = crate::text::escape_limited(&container.name(tensor), 60);
            return Some(format!(
                "the data of `{name}` is at byte {}, not {expected} where the tensor before it ends",
                tensor.offset
            ));
        }
        expected = tensor.end().checked_next_multiple_of(layout.alignment)?;
    }
    None
}
