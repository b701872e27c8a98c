//! Names that trainers give to the states of one run: `checkpoint-500`, `global_step500`, `epoch=3-step=1000`, `last`. A name says that it may
//! be a state; whether it is one, its tensors tell.

/// Words before the number of a state: transformers and PEFT (`checkpoint-500`), DeepSpeed and verl (`global_step500`), Megatron
/// (`iter_0001000`), torchtitan and diffusers (`step-1000`), Lightning (`epoch=3-step=1000`).
const COUNTED: [&str; 13] = [
    "checkpoint",
    "checkpoints",
    "ckpt",
    "ckpts",
    "chkpt",
    "step",
    "steps",
    "epoch",
    "epochs",
    "iter",
    "iters",
    "iteration",
    "iterations",
];

/// Words that stand among those.
const BETWEEN: [&str; 5] = ["global", "model", "val", "loss", "train"];

/// States without a number, and which of a run's states they are: the greater is the later.
const NAMED: [(&str, u64); 4] = [("best", 0), ("last", 2), ("latest", 2), ("final", 3)];

/// What stands for a state with a number between these.
const NUMBERED: u64 = 1;

/// Letters, or digits; what is neither parts them. Each with the place where it begins.
fn runs(name: &str) -> Vec<(usize, &str)> {
    let kind = |c: char| if c.is_ascii_digit() { 1 } else { 2 * u8::from(c.is_alphanumeric()) };
    let mut out: Vec<(usize, &str)> = Vec::new();
    let mut begin = None;
    for (at, c) in name.char_indices().chain([(name.len(), ' ')]) {
        if let Some((from, of)) = begin.filter(|(_, of)| *of != kind(c)) {
            if of > 0 {
                out.push((from, &name[from..at]));
            }
            begin = None;
        }
        begin = begin.or(Some((at, kind(c))));
    }
    out
}

/// Which state of a run a name is of: what it is called without the state, and the order of the state, later ones being greater.
pub(super) fn of_name(name: &str) -> Option<(String, Vec<u64>)> {
    let lower = name.to_ascii_lowercase();
    let runs = runs(&lower);
    let is = |words: &[&str], word: &str| words.contains(&word);
    let counted = runs.iter().position(|(_, word)| is(&COUNTED, word) || *word == "global");
    if let Some(first) = counted {
        let tail = &runs[first..];
        let number = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
        if tail.iter().all(|(_, word)| is(&COUNTED, word) || is(&BETWEEN, word) || number(word))
            && tail.iter().any(|(_, word)| is(&COUNTED, word))
        {
            let numbers = tail.iter().filter(|(_, word)| number(word)).map(|(_, word)| word.parse().ok());
            let numbers = numbers.collect::<Option<Vec<u64>>>().filter(|numbers| !numbers.is_empty());
            if let Some(numbers) = numbers {
                return Some((base(&lower[..runs[first].0]), [vec![NUMBERED], numbers].concat()));
            }
        }
    }
    let (named, order) = runs.iter().find_map(|(_, word)| NAMED.iter().find(|(name, _)| name == word))?;
    let plain = runs.iter().all(|(_, word)| word == named || is(&COUNTED, word) || is(&BETWEEN, word));
    plain.then(|| (String::new(), vec![*order]))
}

/// The same of the name of a file. kohya-ss numbers the epochs before the last as `NAME-000005`.
pub(super) fn of_stem(stem: &str) -> Option<(String, Vec<u64>)> {
    of_name(stem).or_else(|| {
        let (before, number) = stem.rsplit_once('-')?;
        let six = number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|_| six && !before.is_empty())?;
        Some((base(&before.to_ascii_lowercase()), vec![NUMBERED, number]))
    })
}

/// Whether two files of one folder may be states of one run by their names.
pub(super) fn may_be_of_one_run(a: &str, b: &str) -> bool {
    match (of_stem(a), of_stem(b)) {
        (Some((a, _)), Some((b, _))) => a == b,
        (Some((base_of, _)), None) => base_of == base(&b.to_ascii_lowercase()),
        (None, Some((base_of, _))) => base_of == base(&a.to_ascii_lowercase()),
        (None, None) => false,
    }
}

fn base(text: &str) -> String {
    text.trim_end_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

/// A folder of a run's state: the folder of the run, what a state is called there, the order of this one, and the folder in it.
pub(super) struct StateFolder {
    pub(super) above: String,
    pub(super) base: String,
    pub(super) order: Vec<u64>,
    pub(super) below: String,
}

pub(super) fn of_folder(folder: &str) -> Option<StateFolder> {
    let parts: Vec<&str> = folder.split('/').collect();
    parts.iter().enumerate().find_map(|(at, part)| {
        let number = || {
            let in_series = at > 0 && of_name(&format!("{}-1", parts[at - 1])).is_some_and(|(base, _)| base.is_empty());
            let order = part.parse().ok().filter(|_| in_series && part.bytes().all(|b| b.is_ascii_digit()))?;
            Some((String::new(), vec![NUMBERED, order]))
        };
        let (base, order) = of_name(part).or_else(number)?;
        Some(StateFolder { above: parts[..at].join("/"), base, order, below: parts[at + 1..].join("/") })
    })
}

#[cfg(test)]
mod tests {
    use super::{may_be_of_one_run, of_folder, of_name};

    #[test]
    fn names_of_states() {
        let told = |name: &str| of_name(name);
        let some = |base: &str, order: &[u64]| Some((base.to_owned(), order.to_vec()));
        assert_eq!(told("checkpoint-500"), some("", &[1, 500]));
        assert_eq!(told("global_step500"), some("", &[1, 500]));
        assert_eq!(told("iter_0001000"), some("", &[1, 1000]));
        assert_eq!(told("epoch=3-step=1000"), some("", &[1, 3, 1000]));
        assert_eq!(told("run7-step-20"), some("run7", &[1, 20]));
        assert_eq!(told("Epoch-3"), some("", &[1, 3]));
        assert_eq!(told("last"), some("", &[2]));
        assert_eq!(told("final_model"), some("", &[3]));
        for other in ["model-1", "llama-7b", "v2", "finalists", "step-by-step", "global", "checkpoint"] {
            assert_eq!(told(other), None, "{other}");
        }
        let state = of_folder("out/checkpoints/000500/pretrained_model").unwrap();
        assert_eq!((state.above.as_str(), state.below.as_str()), ("out/checkpoints", "pretrained_model"));
        assert!(of_folder("out/000500").is_none());
        assert!(may_be_of_one_run("style-000002", "style") && may_be_of_one_run("m-step-1", "m-step-2"));
        assert!(!may_be_of_one_run("a-step-1", "b-step-2") && !may_be_of_one_run("a", "b"));
    }
}
