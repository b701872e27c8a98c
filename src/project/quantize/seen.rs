//! Which classes of transformers a tool was seen to quantize as its rule here says.
//!
//! What a module becomes is arithmetic, the same for every model; which tensors are modules that a tool takes is a matter of the
//! class. A size is exact where both were seen: the arithmetic on the schemes of `fixtures/hf-project`, the choice on a file that
//! the tool wrote of this class, `classes.jsonl` there. `classes.txt` is the list of what came out equal to the byte; a test keeps
//! the two in step.
//!
//! A line names a class, a `model_type` that it serves and the tools; the lines below it, indented, the names of its tensors of two and more
//! dimensions, without `.weight` (a `=` stands after names that have no such ending, a `?` after those that not every file of the
//! class has), block and expert numbers as `#`. A word that ends in a dot is the beginning of those behind it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::names::classify;
use crate::checkpoint::{Part, Role};
use crate::format::Format;
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::text::escape;

const CLASSES: &str = include_str!("classes.txt");

/// Tools that choose modules, as `classes.txt` spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToolId {
    BitsAndBytes,
    /// A cast of every weight: it chooses none, but writes what the class has.
    Cast,
    CompressedTensors,
    FineGrainedFp8,
    GptqModel,
    Hqq,
    LlmCompressor,
    Metal,
    Mlx,
    Quanto,
    TorchAo,
}

impl ToolId {
    fn word(self) -> &'static str {
        match self {
            Self::BitsAndBytes => "bnb",
            Self::Cast => "cast",
            Self::CompressedTensors => "ct",
            Self::FineGrainedFp8 => "fp8",
            Self::GptqModel => "gptqmodel",
            Self::Hqq => "hqq",
            Self::LlmCompressor => "lc",
            Self::Metal => "metal",
            Self::Mlx => "mlx",
            Self::Quanto => "quanto",
            Self::TorchAo => "torchao",
        }
    }

    /// Name of the tool in notes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BitsAndBytes => "bitsandbytes",
            Self::Cast => "transformers",
            Self::CompressedTensors => "compressed-tensors",
            Self::FineGrainedFp8 => "transformers' FP8",
            Self::GptqModel => "GPTQModel",
            Self::Hqq => "HQQ",
            Self::LlmCompressor => "llm-compressor",
            Self::Metal => "transformers' Metal scheme",
            Self::Mlx => "mlx-lm",
            Self::Quanto => "optimum-quanto",
            Self::TorchAo => "torchao",
        }
    }
}

/// What the tools were seen to make of a checkpoint's class.
#[derive(Debug, Default)]
pub(super) struct Seen {
    tools: Vec<&'static str>,
    /// Whether the configuration names a class.
    pub(super) named: bool,
    /// The class in words; escaped.
    class: String,
    /// Why the file is not one of the class as it was seen; escaped.
    odd: Option<String>,
    /// Tensors that the class was not seen with, by their places.
    strangers: BTreeSet<u32>,
}

impl Seen {
    /// Looks a checkpoint's class up and holds its tensors against those that the class was seen to have.
    pub(super) fn of(input: &ProjectInput<'_>) -> Self {
        let family = input.model.family.as_deref().unwrap_or_default();
        let asked = input.model.architecture.as_deref();
        let class = asked.map_or_else(|| "a file whose configuration names no class".to_owned(), |c| format!("`{}`", escape(c)));
        let seen = Self { named: asked.is_some(), class, ..Self::default() };
        let mut rows = Row::all(|name, of| of == family && asked.is_none_or(|class| class == name));
        if rows.is_empty() && asked.is_some() {
            rows = Row::all(|name, _| asked == Some(name));
        }
        // Where no class is named, each of the family that has these tensors may be meant: they come to the same.
        let (mut fits, mut odd) = (Vec::new(), None);
        for row in rows {
            match row.odd(input) {
                (None, _) => fits.extend(row.tools),
                (Some(why), strangers) => {
                    odd.get_or_insert((row.tools, why, strangers));
                }
            }
        }
        match odd {
            _ if !fits.is_empty() => Self { tools: fits, ..seen },
            Some((tools, why, strangers)) => Self { tools, odd: Some(why), strangers, ..seen },
            None => seen,
        }
    }

    /// Whether the class was not seen with a tensor: it may be left out.
    pub(super) fn is_stranger(&self, place: usize) -> bool {
        u32::try_from(place).is_ok_and(|place| self.strangers.contains(&place))
    }

    /// Whether the tool takes of this checkpoint what its rule says.
    pub(super) fn has(&self, tool: ToolId) -> bool {
        self.odd.is_none() && self.tools.contains(&tool.word())
    }

    /// Says why it is not known what a tool makes of the class.
    pub(super) fn why_not(&self, tool: ToolId) -> String {
        match &self.odd {
            Some(odd) if self.tools.contains(&tool.word()) => odd.clone(),
            _ if tool == ToolId::Cast => format!("what transformers writes of {} was not compared with this rule", self.class),
            _ => format!("what {} takes of {} was not compared with what it wrote", tool.name(), self.class),
        }
    }
}

/// A class of the list.
struct Row<'t> {
    tools: Vec<&'t str>,
    /// Names, and whether every file of the class has them.
    names: BTreeMap<String, bool>,
}

impl Row<'static> {
    /// Those whose class and `model_type` will do.
    fn all(will_do: impl Fn(&str, &str) -> bool) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        let mut wanted = false;
        let mut start = "";
        for line in CLASSES.lines().filter(|line| !line.starts_with('#')) {
            let Some(names) = line.strip_prefix('\t') else {
                let mut words = line.split(' ');
                wanted = will_do(words.next().unwrap_or_default(), words.next().unwrap_or_default());
                if wanted {
                    rows.push(Self { tools: words.collect(), names: BTreeMap::new() });
                }
                continue;
            };
            let Some(row) = rows.last_mut().filter(|_| wanted) else { continue };
            for word in names.split(' ') {
                if word.ends_with('.') {
                    start = if word == "." { "" } else { word };
                    continue;
                }
                let (word, always) = word.strip_suffix('?').map_or((word, true), |word| (word, false));
                let (word, end) = word.strip_suffix('=').map_or((word, ".weight"), |word| (word, ""));
                row.names.insert(format!("{start}{word}{end}"), always);
            }
        }
        rows
    }
}

impl Row<'_> {
    /// What the file has that the class has not, or has not that it has; and the places of the former.
    fn odd(&self, input: &ProjectInput<'_>) -> (Option<String>, BTreeSet<u32>) {
        let (tied, untied) = (input.model.tied_embeddings == Some(true), input.model.tied_embeddings == Some(false));
        // The output head is there unless it is the embedding.
        let is_wanted = |(name, always): &(&String, &bool)| {
            let head = classify(name, Format::Safetensors).role == Role::LmHead;
            !name.contains('#') && if head { !tied && (**always || untied) } else { **always }
        };
        let mut left: Vec<&str> = self.names.iter().filter(is_wanted).map(|(name, _)| name.as_str()).collect();
        let mut strangers = BTreeSet::new();
        let mut odd = None;
        for (place, t) in (0u32..).zip(&input.tensors) {
            let name = folded(&t.name);
            if matters(t) && !self.names.contains_key(name.as_ref()) {
                strangers.insert(place);
                odd.get_or_insert_with(|| {
                    let name = escape(&t.name);
                    format!("`{name}` is no tensor that the class was seen with: transformers may rename it or leave it out")
                });
            }
            left.retain(|missing| *missing != name.as_ref());
        }
        let missing = left.first();
        let odd = odd.or_else(|| {
            missing.map(|name| format!("the class was seen with `{}`, which is not here: transformers would add it", escape(name)))
        });
        (odd, strangers)
    }
}

/// Whether the class decides what becomes of a tensor. Vectors of weights are kept under their names, but for the norms of old
/// BERTs, which transformers renames.
fn matters(t: &ProjectTensor<'_>) -> bool {
    t.shape.len() > 1 || t.part != Part::Weight || t.name.ends_with(".gamma") || t.name.ends_with(".beta")
}

/// A name with `#` for numbers.
fn folded(name: &str) -> Cow<'_, str> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !name.split('.').any(is_number) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    for (i, part) in name.split('.').enumerate() {
        if i > 0 {
            out.push('.');
        }
        out.push_str(if is_number(part) { "#" } else { part });
    }
    Cow::Owned(out)
}
