//! Our verdict against the `safetensors` crate's. What we take without a defect, the crate takes, with the same tensors.
//!
//! The reverse differs on purpose. The crate takes, and we report as defects: duplicate names, unknown fields, white space before
//! `{`, padding other than spaces, `null` metadata, duplicate metadata keys, more than 64 dimensions, and entries written as
//! lists (which we refuse). It also refuses shapes by the order of their zeros; we do not.
#![no_main]
use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;
use weighbridge::format::{self, Format};
use weighbridge::source::MemorySource;

fuzz_target!(|data: &[u8]| {
    let Ok(ours) = format::read(&MemorySource::new("x.safetensors", data.to_vec())) else { return };
    if ours.format != Format::Safetensors || !ours.defects.is_empty() || ours.tensors.iter().any(|t| t.shape.contains(&0)) {
        return;
    }
    let theirs = SafeTensors::deserialize(data).expect("the reference reader refuses what we take without a defect");
    assert_eq!(theirs.len(), ours.tensors.len());
    for tensor in &ours.tensors {
        let view = theirs.tensor(&ours.name(tensor)).expect("a tensor that we see");
        let shape: Vec<u64> = view.shape().iter().map(|d| *d as u64).collect();
        assert_eq!(shape.as_slice(), tensor.shape.as_slice());
        assert_eq!(view.data().len() as u64, tensor.bytes);
    }
});
