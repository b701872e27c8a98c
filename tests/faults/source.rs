//! The readers over a source that fails, ends early, or changes at each of its reads.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::format::{self, Container, second_opinion, sniff};
use weighbridge::source::{Identity, MemorySource, Source};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The system fails this read.
    Fails,
    /// The bytes end in the middle of this read.
    Ends,
    /// From this read on the bytes are others.
    Changes,
}

/// Bytes in memory with a fault at one read.
struct Faulty {
    inner: MemorySource,
    fault: Fault,
    /// Number of the read with the fault, from 1.
    at: u64,
    reads: AtomicU64,
    /// Where the bytes end, once they do.
    end: AtomicU64,
}

impl Faulty {
    fn new(path: &Path, bytes: &[u8], fault: Fault, at: u64) -> Self {
        let inner = MemorySource::new(path, bytes.to_vec());
        Self { inner, fault, at, reads: AtomicU64::new(0), end: AtomicU64::new(u64::MAX) }
    }

    fn was_reached(&self) -> bool {
        self.reads.load(Ordering::Relaxed) >= self.at
    }
}

impl Source for Faulty {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let number = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        let got = self.inner.read_at(offset, buf)?;
        match self.fault {
            Fault::Fails if number == self.at => {
                return Err(Error::new(ErrorKind::Io, "cannot read: it is broken").with_path(self.path()).at(offset));
            }
            Fault::Ends if number == self.at => self.end.store(offset + got as u64 / 2, Ordering::Relaxed),
            Fault::Changes if number >= self.at => buf[..got].iter_mut().for_each(|b| *b ^= 0x15),
            _ => {}
        }
        let left = self.end.load(Ordering::Relaxed).saturating_sub(offset);
        Ok(got.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    fn identity(&self) -> Result<Option<Identity>> {
        Ok(None)
    }
}

/// Everything that is read of one file without its weights.
fn read(source: &dyn Source) -> Result<Container> {
    sniff(source)?;
    let container = format::read(source)?;
    second_opinion(source, &container)?;
    Ok(container)
}

/// A file of each kind that makes the readers read in pieces: a header of several windows, keys of every type, a text that is skipped.
fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let entry = |i: u64| format!(r#""layers.{i}.{}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, "x".repeat(200), i + 1);
    let header = format!("{{{}}}", (0..3000).map(entry).collect::<Vec<_>>().join(","));
    let mut large = (header.len() as u64).to_le_bytes().to_vec();
    large.extend_from_slice(header.as_bytes());
    large.extend([0; 3000]);

    let mut gguf = b"GGUF\x03\0\0\0".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    };
    gguf.extend(2000u64.to_le_bytes());
    gguf.extend(2u64.to_le_bytes());
    text(&mut gguf, "general.architecture");
    gguf.extend(8u32.to_le_bytes());
    text(&mut gguf, "llama");
    text(&mut gguf, "tokenizer.ggml.tokens");
    gguf.extend([9u32.to_le_bytes(), 8u32.to_le_bytes()].concat());
    gguf.extend(20_000u64.to_le_bytes());
    (0..20_000).for_each(|i| text(&mut gguf, &format!("token {i:020}")));
    for i in 0..2000u64 {
        text(&mut gguf, &format!("blk.{i}.{}", "w".repeat(40)));
        gguf.extend(1u32.to_le_bytes());
        gguf.extend(8u64.to_le_bytes());
        gguf.extend(0u32.to_le_bytes());
        gguf.extend((32 * i).to_le_bytes());
    }
    gguf.resize(gguf.len().next_multiple_of(32) + 64_000, 0);

    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    vec![
        (PathBuf::from("large.safetensors"), large),
        (PathBuf::from("large.gguf"), gguf),
        fixture("dtypes/q4_k.gguf"),
        fixture("dtypes/bf16.safetensors"),
        fixture("odd/version2.gguf"),
    ]
}

#[test]
fn a_reader_names_the_place_whatever_its_source_does() {
    for (path, bytes) in files() {
        let whole = format!("{:?}", read(&Faulty::new(&path, &bytes, Fault::Fails, u64::MAX)).unwrap());
        for fault in [Fault::Fails, Fault::Ends, Fault::Changes] {
            let mut reached = 0;
            for at in 1.. {
                let source = Faulty::new(&path, &bytes, fault, at);
                let outcome = read(&source);
                if !source.was_reached() {
                    break;
                }
                reached = at;
                let case = format!("{}: {fault:?} at read {at}", path.display());
                match (fault, outcome) {
                    (_, Err(error)) => {
                        assert_eq!(error.path(), Some(path.as_path()), "{case}: {error}");
                        assert!(error.offset().is_none_or(|o| o <= bytes.len() as u64), "{case}: {error}");
                        assert!(fault != Fault::Fails || error.kind() == ErrorKind::Io, "{case}: {error}");
                        assert!(fault != Fault::Fails || error.offset().is_some(), "{case}: {error}");
                    }
                    (Fault::Fails, Ok(_)) => panic!("{case}: nothing was said"),
                    // It ended behind all that is read: what was read is what there is.
                    (Fault::Ends, Ok(container)) => {
                        assert!(format!("{container:?}") == whole, "{case}: other facts than those of the file")
                    }
                    // Other bytes may be as good a header; that the file changed is told by its identity.
                    (Fault::Changes, Ok(_)) => {}
                }
            }
            assert!(reached >= 3, "{}: {reached} reads", path.display());
        }
    }
}
