//! What was found in pickles: the names that they import, and what speaks for the bytes being pickles at all.

use std::collections::HashSet;

/// Different imports that are kept.
pub(super) const MAX_IMPORTS: usize = 1000;

/// A name that a pickle imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// The module, not escaped.
    pub(crate) module: String,
    /// What is taken of it; may have dots.
    pub(crate) name: String,
    /// Byte offset of the opcode in the pickle.
    pub(crate) offset: u64,
    /// Whether the names are longer than what is kept of them.
    pub(crate) cut: bool,
}

/// A function or class that a pickle imports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Imports {
    /// Different ones, in the order of their first place.
    pub(crate) list: Vec<Import>,
    /// Why and where the list is not the whole: text and byte.
    pub(crate) incomplete: Option<(String, u64)>,
    /// Where the last pickle ends.
    pub(crate) end: u64,
    /// Where the name of an import is worked out while the pickle is loaded, instead of written down.
    pub(crate) computed: Option<u64>,
    /// How much of an unpickler's work the bytes describe, the first pickle that does describe any.
    pub(crate) sign: Sign,
    /// What is in the list.
    known: HashSet<(String, String, bool)>,
}

/// What speaks for bytes being a pickle, the weakest first. An unpickler does what stands before a place that makes no sense; so what
/// speaks for it is what one would have done by then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sign {
    /// An unpickler stops before it has done anything.
    #[default]
    None,
    /// It begins as no text does, with a protocol, and a few opcodes are as they should be.
    Protocol,
    /// It comes to an end and has imported something.
    Ended,
    /// Something is imported and called, under a name that Python could not import by.
    OddCall,
    /// Something is imported and called.
    Call,
}

impl Imports {
    pub(super) fn stop(&mut self, why: impl Into<String>, at: u64) {
        self.incomplete.get_or_insert((why.into(), at));
    }

    pub(super) fn add(&mut self, import: Import) {
        let key = (import.module.clone(), import.name.clone(), import.cut);
        if self.known.contains(&key) {
            return;
        }
        if self.list.len() == MAX_IMPORTS {
            return self.stop(format!("more than {MAX_IMPORTS} different imports"), import.offset);
        }
        self.known.insert(key);
        self.list.push(import);
    }
}
