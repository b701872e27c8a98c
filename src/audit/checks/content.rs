//! Files that hold something else than their names say.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Error as Bad;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::format::{Content, FORMATS, sniff};
use crate::text::escape_limited;
use crate::units::grouped;

pub(super) const EMPTY: Code = code(
    "empty-file",
    "A file of no bytes",
    Bad,
    "A checkpoint file of 0 bytes: the download did not start, or the disk was full. Fetch it again.",
);
pub(super) const LFS: Code = code(
    "lfs-pointer",
    "A git-lfs pointer instead of the file",
    Bad,
    "The repository was cloned without git-lfs, or packed that way: a small text stands in for the weights and states their size and hash. Loaders \
     report it as a header that is too large. Run `git lfs pull`, or download the file itself.",
);
pub(super) const HTML: Code = code(
    "html-page",
    "A web page instead of the file",
    Bad,
    "The download saved a web page: an error, a login, or a licence form. Fetch the file again with access to it.",
);
pub(super) const PICKLE: Code = code(
    "pickle-content",
    "A pickle under the name of another format",
    Bad,
    "The bytes are a Python pickle, or the zip archive PyTorch saves pickles in, although the name promises a format without code. Loading a \
     pickle can run code, and some loaders decide by content. It was not opened. Convert it to safetensors in a place you trust.",
);
pub(super) const WRONG: Code = code(
    "wrong-content",
    "Another kind of file",
    Bad,
    "The bytes are of another format than the name says (an archive, JSON text, an old ggml file, ...). The message names it. Unpack or convert it, or \
     fetch the right file.",
);
pub(super) const PARTIAL: Code = code(
    "partial-download",
    "A download that was not finished",
    Bad,
    "A file that download tools leave while they fetch (.incomplete, .part, .crdownload, .aria2). Finish the download.",
);
const EXTENSION: Code = code(
    "wrong-extension",
    "One checkpoint format under the ending of another",
    Bad,
    "The content is a checkpoint of another format than the ending says. Loaders choose the reader by the ending and fail. Rename the file.",
);

pub(super) const CHECK: Check = Check { name: "content", codes: &[EMPTY, LFS, HTML, PICKLE, WRONG, PARTIAL, EXTENSION], run };

/// Longest LFS pointer by its specification.
const POINTER: u64 = 1024;

/// Endings of weight files of other formats, where a pointer is the model itself.
const WEIGHTS: &[&str] = &["onnx", "bin", "pt", "pth", "ckpt", "h5", "keras", "msgpack", "tflite", "npz", "model", "data"];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for file in subject.files() {
        let extension = file.name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        let named = FORMATS.iter().find(|row| row.extensions.contains(&extension.as_str()));
        if let Some(row) = named.filter(|row| row.format != file.container.format) {
            let shown = |format: crate::format::Format| if format.name() == "gguf" { "GGUF" } else { "safetensors" };
            let message = format!("the content is {}, not {} as the name says", shown(file.container.format), shown(row.format));
            out.push(Finding::new(&EXTENSION, message).file(&file.name).help("rename the file to what it holds"));
        }
    }
    for file in subject.listed().iter().filter(|f| f.bytes <= POINTER) {
        let extension = file.name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        if !WEIGHTS.contains(&extension.as_str()) {
            continue;
        }
        if let Some(Content::LfsPointer { size, sha256 }) = subject.look(&file.path, |source| sniff(source)) {
            let size = size.map_or_else(|| "a file".to_owned(), |n| format!("a file of {} bytes", grouped(n)));
            let hash = sha256.map_or_else(String::new, |h| format!(" with sha256 {}", escape_limited(&h, 64)));
            let message = format!("a git-lfs pointer ({} bytes) that stands for {size}{hash}", file.bytes);
            out.push(Finding::new(&LFS, message).file(&file.name).help("run `git lfs pull`, or download the file itself"));
        }
    }
}
