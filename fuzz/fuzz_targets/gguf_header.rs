//! Bytes behind the GGUF magic into the reader: no panic, and whatever it reads tiles the file.
#![no_main]
use libfuzzer_sys::fuzz_target;
use weighbridge::format::{self, ByteMap};
use weighbridge::source::MemorySource;

fuzz_target!(|data: &[u8]| {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend_from_slice(data.strip_prefix(b"GGUF").unwrap_or(data));
    let len = bytes.len() as u64;
    if let Ok(container) = format::read(&MemorySource::new("x.gguf", bytes)) {
        assert_eq!(ByteMap::of(&container).totals().total(), len);
    }
});
