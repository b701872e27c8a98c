//! The tensors that the class or the architecture has against those that are there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Note};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::{self, main_tensors};
use crate::checkpoint::{AskedFor, Checkpoint, Part, Role, asked_for};
use crate::families::gguf_names;
use crate::format::Format;
use crate::units::grouped;

const MISSING: Code = code(
    "tensor-missing",
    "A tensor of the model is missing",
    Bad,
    "The configuration, or the architecture that a GGUF names, asks for a tensor that is in no file. transformers fills it with random values and says so in a log line; vLLM and \
     llama.cpp stop, often after the whole download was read. Fetch the checkpoint again, or convert it again from a whole source.",
);
const UNEXPECTED: Code = code(
    "tensor-unexpected",
    "Tensors that the model has not",
    Note,
    "Tensors are stored that the class of the configuration, or the architecture that a GGUF names, does not have. transformers leaves them out; llama.cpp stops at a wrong \
     number of tensors. They may be of another model, or of a newer version of the architecture.",
);

pub(super) const CHECK: Check = Check { name: "declared_tensors", codes: &[MISSING, UNEXPECTED], run };

/// Missing tensors that are named one by one.
const NAMED: usize = 8;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    // A set that is not whole is reported as that, and slices of ranks have names for a part only.
    let whole = |c: &&Checkpoint| !c.is_part() && !c.declared && !c.is_sliced();
    let Some(checkpoint) = subject.checkpoint.filter(whole) else { return };
    let is_gguf = main_tensors(checkpoint).next().is_some_and(|t| t.container.format == Format::Gguf);
    let asked = asked_for(checkpoint).filter(|asked| !asked.is_empty());
    let compared = asked.is_some_and(|asked| compare(checkpoint, &asked, is_gguf, out));
    if is_gguf {
        let foreign = foreign_to_architecture(checkpoint, out);
        // Of a file that is mostly of something else nothing is known to be missing.
        if !compared && foreign * 2 <= main_tensors(checkpoint).count() {
            no_embedding(checkpoint, out);
        }
    }
}

fn origin(checkpoint: &Checkpoint) -> String {
    checkpoint.model.origin.clone().unwrap_or_default()
}

/// Holds the list against the names that are there; false where the names are so different that nothing can be said.
fn compare(checkpoint: &Checkpoint, asked: &[AskedFor], is_gguf: bool, out: &mut Findings) -> bool {
    let names: HashSet<String> = main_tensors(checkpoint).map(|t| t.name().into_owned()).collect();
    // A packed weight stands under other names of its module.
    let modules: HashSet<&str> = names.iter().filter_map(|name| name.rsplit_once('.')).map(|(module, _)| module).collect();
    let is_there = |name: &str| {
        names.contains(name) || name.strip_suffix(".weight").is_some_and(|module| modules.contains(module) && !is_gguf)
    };
    let Some(spelling) = spelling(asked, &names, &is_there) else { return false };
    let layers = checkpoint.model.layers.unwrap_or(u64::MAX);
    let mut missing: Vec<(String, &AskedFor)> = Vec::new();
    let mut there = HashSet::new();
    let mut patterns: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for one in asked {
        let name = spelling.of(&one.name);
        let counts = patterns.entry(pattern(&name)).or_default();
        counts.0 += 1;
        if is_there(&name) {
            there.insert(name);
        } else if !may_be_absent(&one.name, layers) {
            counts.1 += 1;
            missing.push((name, one));
        }
    }
    let parts: HashSet<String> = asked.iter().map(|one| first_piece(&spelling.of(&one.name)).to_owned()).collect();
    let of_the_model = |name: &String| parts.contains(first_piece(name));
    let unexpected: Vec<String> =
        if is_gguf { Vec::new() } else { foreign(checkpoint, &there, layers).into_iter().filter(of_the_model).collect() };
    // Where every layer lacks a tensor and has something else, the model is stored in another form: nothing is known to be missing.
    let instead: BTreeSet<(&str, u32)> = unexpected.iter().filter_map(|name| block_of(name)).collect();
    let other_form = |name: &str| {
        let all = patterns.get(&pattern(name)).is_some_and(|(all, missing)| all == missing);
        all && (is_gguf && block_of(name).is_some() || block_of(name).is_some_and(|block| instead.contains(&block)))
    };
    let formed_otherwise = missing.iter().any(|(name, _)| other_form(name));
    // Whole layers are told by their number.
    let begun: HashSet<(&str, u32)> = there.iter().filter_map(|name| block_of(name)).collect();
    missing.retain(|(name, _)| !other_form(name) && block_of(name).is_none_or(|block| begun.contains(&block)));
    let origin = origin(checkpoint);
    for (name, one) in missing.iter().take(NAMED) {
        let message = format!("{:?} is asked for and stands in no file", one.shape.as_slice());
        out.push(Finding::new(&MISSING, message).file(&origin).tensor(name));
    }
    if missing.len() > NAMED {
        let message = format!("{} further tensors are asked for and stand in no file", grouped((missing.len() - NAMED) as u64));
        out.push(Finding::new(&MISSING, message).file(&origin));
    }
    if let Some(first) = unexpected.first().filter(|_| !formed_otherwise) {
        let message = format!("{} of the tensors are not of the class that config.json names", grouped(unexpected.len() as u64));
        out.push(Finding::new(&UNEXPECTED, message).file(&origin).tensor(first));
    }
    true
}

/// How the names that are there differ from those of the class: classes without a head leave out a prefix, wrappers put one before.
struct Spelling {
    prefix: String,
    stripped: bool,
}

/// What the classes with a head put before the names of the model.
const BASE: &[&str] = &["model.", "transformer."];

impl Spelling {
    fn of(&self, name: &str) -> String {
        let inner = if self.stripped { BASE.iter().find_map(|base| name.strip_prefix(base)).unwrap_or(name) } else { name };
        format!("{}{inner}", self.prefix)
    }
}

/// The spelling under which most tensors are there; `None` where half of them are not.
fn spelling(asked: &[AskedFor], names: &HashSet<String>, is_there: &dyn Fn(&str) -> bool) -> Option<Spelling> {
    let mut candidates =
        vec![Spelling { prefix: String::new(), stripped: false }, Spelling { prefix: String::new(), stripped: true }];
    let probe = asked.iter().map(|one| one.name.as_str()).find(|name| block_of(name).is_some())?;
    for stripped in [false, true] {
        let inner = Spelling { prefix: String::new(), stripped }.of(probe);
        let ending = format!(".{inner}");
        let prefix = names
            .iter()
            .filter(|name| name.ends_with(&ending))
            .map(|name| &name[..name.len() - inner.len()])
            .min_by_key(|p| p.len());
        candidates.extend(prefix.map(|prefix| Spelling { prefix: prefix.to_owned(), stripped }));
    }
    let present = |spelling: &Spelling| asked.iter().filter(|one| is_there(&spelling.of(&one.name))).count();
    let best = candidates.into_iter().map(|spelling| (present(&spelling), spelling)).max_by_key(|(count, _)| *count)?;
    (best.0 * 2 >= asked.len()).then_some(best.1)
}

/// What a class or a tool leaves out by design: heads (looked at with the embedding), poolers, blocks that predict further tokens.
fn may_be_absent(name: &str, layers: u64) -> bool {
    name.starts_with("lm_head")
        || name == "output.weight"
        || name.starts_with("pooler.")
        || layer_of(name).is_some_and(|n| n >= layers)
}

/// Weights that are not asked for, apart from heads and other parts beside the blocks.
fn foreign(checkpoint: &Checkpoint, there: &HashSet<String>, layers: u64) -> Vec<String> {
    let modules: HashSet<&str> = there.iter().filter_map(|name| name.rsplit_once('.')).map(|(module, _)| module).collect();
    let beside = |role: Role| {
        use Role::{Adapter, Audio, Buffer, Head, LmHead, Mtp, Projector, QuantAux, Vision};
        matches!(role, Adapter | Audio | Buffer | Head | LmHead | Mtp | Projector | QuantAux | Vision)
    };
    main_tensors(checkpoint)
        .filter(|t| t.part == Part::Weight && !beside(t.naming.role))
        .map(|t| t.name().into_owned())
        .filter(|name| {
            let of_module = |module: &str| modules.contains(module);
            let packed =
                name.rsplit_once('.').is_some_and(|(module, last)| of_module(module) && !matches!(last, "weight" | "bias"));
            !there.contains(name) && !packed && layer_of(name).is_none_or(|n| n < layers)
        })
        .collect()
}

/// The part of the model that a name begins with: heads on top of it have others.
fn first_piece(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// A name with its numbers as `#`: the same in every layer.
fn pattern(name: &str) -> String {
    let is_number = |piece: &str| !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_digit());
    name.split('.').map(|piece| if is_number(piece) { "#" } else { piece }).collect::<Vec<_>>().join(".")
}

/// The layer that a name stands in, with the stack.
fn block_of(name: &str) -> Option<(&str, u32)> {
    tensors::layer_of(name).map(|(stack, layer, _)| (stack, layer))
}

fn layer_of(name: &str) -> Option<u64> {
    block_of(name).map(|(_, layer)| u64::from(layer))
}

/// A GGUF with blocks of an architecture that has an embedding, and none.
fn no_embedding(checkpoint: &Checkpoint, out: &mut Findings) {
    const EMBEDDING: &str = "token_embd.weight";
    let Some(architecture) = checkpoint.model.architecture.as_deref() else { return };
    let loaded = gguf_names::LOADED_ARCHITECTURES.contains(&architecture);
    let has = |name: &str| main_tensors(checkpoint).any(|t| t.name() == name);
    let has_blocks = main_tensors(checkpoint).any(|t| t.name().starts_with("blk."));
    // Drafts may borrow the embedding of the model that they draft for.
    let is_draft = ["eagle", "dflash", "medusa", "mtp"].iter().any(|word| architecture.contains(word));
    if loaded && !is_draft && has_blocks && gguf_names::may_have(architecture, EMBEDDING) == Some(true) && !has(EMBEDDING) {
        let message = format!("`{architecture}` reads its tokens through it, and it stands in no file");
        out.push(Finding::new(&MISSING, message).file(origin(checkpoint)).tensor(EMBEDDING));
    }
}

/// Tensors of a GGUF that its architecture does not have in llama.cpp; gives how many there are.
fn foreign_to_architecture(checkpoint: &Checkpoint, out: &mut Findings) -> usize {
    let Some(architecture) = checkpoint.model.architecture.as_deref() else { return 0 };
    // Names that differ in their numbers alone are looked up once.
    let mut known: HashMap<String, bool> = HashMap::new();
    let mut foreign = main_tensors(checkpoint).filter(|t| {
        let name = t.name();
        let is_foreign = || gguf_names::may_have(architecture, &name) == Some(false);
        t.container.format == Format::Gguf && *known.entry(pattern(&name)).or_insert_with(is_foreign)
    });
    let Some(first) = foreign.next() else { return 0 };
    let count = 1 + foreign.count();
    let message = format!("{} of the tensors are not of the architecture `{architecture}`", grouped(count as u64));
    out.push(Finding::new(&UNEXPECTED, message).file(&checkpoint.files[first.file].name).tensor(first.name()));
    count
}
