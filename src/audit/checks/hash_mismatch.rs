//! Hashes that a hub cache states, against the bytes.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Error as Bad;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::{Hashed, Subject};
use crate::checkpoint::stated_sha256;
use crate::error::Result;
use crate::source::{FileSource, Source};

const HASH: Code = code(
    "hash-mismatch",
    "The bytes are not those that the cache names",
    Bad,
    "A hub cache names large files by their SHA-256: it is the name of the blob that the link in the snapshot leads to. The bytes on disk have another one: they were damaged \
     or changed after the download. Delete the blob and fetch it again. Checked with --verify-hashes only, as every byte is read.",
);

pub(super) const CHECK: Check = Check { name: "hash_mismatch", codes: &[HASH], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    if !subject.verify_hashes {
        return;
    }
    let mut hashed = Hashed::default();
    // A folder with several snapshots leads to one blob by many names.
    let mut known: BTreeMap<(u64, u64), String> = BTreeMap::new();
    for file in subject.listed() {
        let Some(stated) = stated_sha256(&file.path) else {
            hashed.unstated += 1;
            continue;
        };
        let (device, inode) = (file.identity().device, file.identity().inode);
        let before = known.get(&(device, inode)).filter(|_| inode != 0).cloned();
        if before.is_none() {
            hashed.bytes = hashed.bytes.saturating_add(file.bytes);
        }
        // Of bytes that could not be read it is told that they could not.
        let Some(actual) = before.or_else(|| subject.look(&file.path, sha256)) else { continue };
        hashed.files += 1;
        if actual != stated {
            let message = format!("the SHA-256 is {actual}; the cache names the file {stated}");
            out.push(Finding::new(&HASH, message).file(&file.name).help("delete the blob and fetch it again"));
        }
        known.insert((device, inode), actual);
    }
    subject.hashed.set(Some(hashed));
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
