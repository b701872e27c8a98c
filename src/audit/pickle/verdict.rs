//! What an import of a pickle is: what rebuilds tensors and containers, what harmful pickles use, or neither.

use super::Import;
use super::dangerous::danger;
use super::rebuilding::rebuilds;
use super::standard_library::is_standard;

/// What is known of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Pickles of tensors, arrays and plain values hold it.
    Rebuilds,
    /// What it can be used for; the end of a sentence that begins with its name and `which`.
    Harmful(&'static str),
    /// Neither: a class of the program that wrote the file, mostly.
    Unknown,
}

/// Words in the names of functions that act on something outside of the values they are given.
#[rustfmt::skip]
const ACTS: [&str; 40] = [
    "call", "check", "command", "compile", "connect", "delete", "download", "dump", "eval", "evaluate", "exec", "execute", "fetch",
    "file", "fromfile", "import", "inline", "install", "invoke", "lambdify", "load", "loads", "loadtxt", "memmap", "module", "open",
    "parse", "popen", "read", "remove", "request", "rmtree", "run", "save", "shell", "spawn", "sympify", "system", "unlink", "write",
];

/// Judges an import by its names alone: what it does with the arguments it is given is not known.
pub(crate) fn judge(import: &Import) -> Verdict {
    if import.cut {
        return Verdict::Harmful("is longer than is read and hides what it reaches");
    }
    judge_names(&import.module, &import.name)
}

fn judge_names(module: &str, name: &str) -> Verdict {
    // The list knows some of what rebuilds values as well: `builtins.getattr` is no container.
    if let Some(what) = danger(module, name) {
        return Verdict::Harmful(what);
    }
    if rebuilds(module, name) {
        return Verdict::Rebuilds;
    }
    // What of the built-in module does harm is on the list: the rest of it prints, counts and sorts.
    let is_built_in = matches!(module, "builtins" | "__builtin__") && !name.contains('.');
    if is_standard(module) && !is_built_in {
        return Verdict::Harmful("is of Python's own library and no part of what tensors and containers are rebuilt with");
    }
    // Classes inside of classes are named with points; a function or a module behind one is reached through what holds it.
    let mut parts = name.rsplit('.');
    let last = parts.next().unwrap_or(name);
    if parts.next().is_some() && !name.split('.').all(is_class) {
        return Verdict::Harmful("is reached through attributes of something else");
    }
    if !is_class(last) && acts(last) {
        return Verdict::Harmful("is a function that by its name loads, runs or writes something");
    }
    Verdict::Unknown
}

/// Whether a name is spelled as those of classes are.
fn is_class(name: &str) -> bool {
    name.trim_start_matches('_').starts_with(char::is_uppercase)
}

fn acts(name: &str) -> bool {
    name.split(|c: char| !c.is_alphabetic()).any(|word| ACTS.contains(&word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rebuilds_is_allowed_and_what_acts_is_not() {
        for (module, name) in [
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_parameter"),
            ("torch", "FloatStorage"),
            ("torch", "float8_e4m3fn"),
            ("collections", "OrderedDict"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "float32"),
            ("builtins", "set"),
            ("__builtin__", "set"),
            ("_codecs", "encode"),
            ("datetime", "datetime"),
        ] {
            assert_eq!(judge_names(module, name), Verdict::Rebuilds, "{module}.{name}");
        }
        for (module, name) in [
            ("transformers.training_args", "TrainingArguments"),
            ("ultralytics.nn.tasks", "DetectionModel"),
            ("accelerate.utils.dataclasses", "DistributedType"),
            ("sklearn.tree._tree", "Tree"),
            ("torch.nn.modules.linear", "Linear"),
            ("torch.nn.functional", "relu"),
            ("__main__", "Net"),
            ("builtins", "print"),
            ("models.yolo", "Model.Inner"),
        ] {
            assert_eq!(judge_names(module, name), Verdict::Unknown, "{module}.{name}");
        }
    }

    /// Other ways to the same harm: nested pickles, modules under other names, functions of libraries that load or run what they are given.
    #[test]
    fn ways_around_a_list_of_names() {
        let long = "torch.functional.".repeat(35) + "os.system";
        for (module, name) in [
            ("torch.storage", "_load_from_bytes"),
            ("random", "_os.system"),
            ("statistics", "random._os.system"),
            ("enum", "bltns.eval"),
            ("torch.functional", long.as_str()),
            ("torch.jit", "load"),
            ("torch.utils.cpp_extension", "load_inline"),
            ("torch.ops", "load_library"),
            ("numpy.lib.npyio", "load"),
            ("joblib.numpy_pickle", "load"),
            ("pathlib", "Path.unlink"),
            ("pandas", "read_pickle"),
            ("yaml", "unsafe_load"),
            ("logging", "FileHandler"),
            ("zipfile", "ZipFile"),
            ("concurrent.futures", "ProcessPoolExecutor"),
            ("collections", "_sys.exit"),
            ("torch", "serialization.load"),
            ("torch", "_utils.sys.exit"),
            ("keras.models", "load_model"),
            ("transformers.dynamic_module_utils", "get_class_from_dynamic_module"),
            ("transformers", "AutoModel.from_pretrained"),
            ("test.support.script_helper", "assert_python_ok"),
            ("numpy.ctypeslib", "load_library"),
            ("commands", "getoutput"),
            ("anything", "_private.os.system"),
            ("builtins", "str.format"),
            ("copyreg", "add_extension"),
        ] {
            assert!(matches!(judge_names(module, name), Verdict::Harmful(_)), "{module}.{name}");
        }
    }
}
