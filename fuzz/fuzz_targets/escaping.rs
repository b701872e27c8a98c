//! Any text, escaped: nothing is left that a terminal acts on or that hides or reorders text.
#![no_main]
use libfuzzer_sys::fuzz_target;
use weighbridge::text::{escape, escape_limited};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for shown in [escape(&text), escape_limited(&text, 20)] {
        assert!(!shown.contains(|c: char| {
            c.is_control()
                || matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069 | 0xfeff | 0xe0000..=0xe007f)
        }));
    }
});
