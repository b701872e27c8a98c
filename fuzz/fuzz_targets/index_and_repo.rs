//! A folder whose index, configs and template are the input's pieces: the audit ends without a panic and opens nothing outside.
#![no_main]
use libfuzzer_sys::fuzz_target;
use weighbridge::audit::{AuditRequest, audit};
use weighbridge::observe::Silent;

const NAMES: [&str; 6] = [
    "model.safetensors.index.json",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "model-00001-of-00002.safetensors",
];

fuzz_target!(|data: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    // Pieces are parted by a byte that no text holds.
    for (name, piece) in NAMES.iter().zip(data.split(|b| *b == 0xff)) {
        if std::fs::write(folder.path().join(name), piece).is_err() {
            return;
        }
    }
    let _ = audit(folder.path(), &AuditRequest::default(), &Silent);
});
