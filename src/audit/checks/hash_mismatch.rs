//! Hashes that a hub cache, the notes of a download or a manifest state, against the bytes.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Error as Bad;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::{Hashed, Subject};
use crate::checkpoint::stated_sha256;
use crate::error::Result;
use crate::source::{FileSource, Source};
use crate::stores;

const HASH: Code = code(
    "hash-mismatch",
    "The bytes are not those that the cache names",
    Bad,
    "A hub cache names large files by their SHA-256: it is the name of the blob that the link in the snapshot leads to. Of a download into a folder the client's listing states it, and \
     Ollama's manifest states that of every blob. The bytes on disk have another one: they were damaged \
     or changed after the download. Delete the blob and fetch it again. Checked with --verify-hashes only, as every byte is read.",
);

pub(super) const CHECK: Check = Check { name: "hash_mismatch", codes: &[HASH], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    if !subject.verify_hashes {
        return;
    }
    let mut hashed = Hashed::default();
    // What the client notes of a download, and what a manifest names. A listing that cannot be read is told by its own check.
    let listing = subject.checkpoint.and_then(|checkpoint| stores::stated(checkpoint).ok()).flatten();
    let files = listing.iter().flat_map(|listing| &listing.files);
    let listed: HashMap<&str, &str> = files.filter_map(|file| Some((file.name.as_str(), file.sha256.as_deref()?))).collect();
    // A folder with several snapshots leads to one blob by many names.
    let mut known: BTreeMap<(u64, u64), String> = BTreeMap::new();
    for file in subject.listed() {
        let of_listing = || listed.get(file.name.as_str()).map(|hash| (*hash).to_owned());
        let Some(stated) = stated_sha256(&file.path).or_else(of_listing) else {
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
