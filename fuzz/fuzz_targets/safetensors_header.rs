//! Bytes into the safetensors reader: no panic, and whatever it reads tiles the file.
#![no_main]
use libfuzzer_sys::fuzz_target;
use weighbridge::format::{self, ByteMap};
use weighbridge::source::MemorySource;

fuzz_target!(|data: &[u8]| {
    let source = MemorySource::new("x.safetensors", data.to_vec());
    if let Ok(container) = format::read(&source) {
        assert_eq!(ByteMap::of(&container).totals().total(), data.len() as u64);
    }
});
