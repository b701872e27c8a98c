//! Hashes that a hub cache states, against the bytes.

use sha2::{Digest, Sha256};

use super::super::Severity::Error as Bad;
use super::super::finding::{Code, Finding, Findings};
use super::super::subject::Subject;
use super::{Check, code};
use crate::error::Result;
use crate::source::{FileSource, Source};

const HASH: Code = code(
    "hash-mismatch",
    "The bytes are not those that the cache names",
    Bad,
    "A hub cache names large files by their SHA-256. The bytes on disk have another one: they were damaged or changed after the download. Delete the blob and fetch it again. \
     Checked with --verify-hashes only, as every byte is read.",
);

pub(super) const CHECK: Check = Check { name: "hashes", codes: &[HASH], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    if !subject.verify_hashes {
        return;
    }
    for file in subject.listed() {
        let Ok(real) = file.path.canonicalize() else { continue };
        let in_blobs = real.parent().and_then(|p| p.file_name()).is_some_and(|n| n == "blobs");
        let Some(stated) = real.file_name().and_then(|n| n.to_str()).filter(|_| in_blobs) else { continue };
        if stated.len() != 64 || !stated.bytes().all(|b| b.is_ascii_hexdigit()) {
            continue;
        }
        match subject.look(&real, sha256) {
            Some(actual) if !actual.eq_ignore_ascii_case(stated) => {
                let message = format!("the SHA-256 is {actual}; the cache names the file {stated}");
                out.push(Finding::new(&HASH, message).file(&file.name).help("delete the blob and fetch it again"));
            }
            // Of bytes that could not be read it is told that they could not.
            _ => {}
        }
    }
}

fn sha256(source: &FileSource) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        match source.read_at(offset, &mut buffer)? {
            0 => break,
            n => {
                hash.update(&buffer[..n]);
                offset += n as u64;
            }
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
