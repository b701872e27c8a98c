//! Imports that pickles made to do harm use, and what they can do.
//!
//! Gathered from the lists of picklescan ([`crate::pins::PICKLESCAN`]), modelscan ([`crate::pins::MODELSCAN`]) and fickling
//! ([`crate::pins::FICKLING`]). Leaving a name out says nothing in its favour.

/// Names of a module that count.
enum Names {
    /// All of it, and of the modules below it.
    All,
    /// These.
    These(&'static [&'static str]),
}

use Names::{All, These};

const COMMANDS: &str = "can run commands";
const CODE: &str = "can run code";
const INDIRECT: &str = "can reach any function";
const NETWORK: &str = "can reach the network";
const FILES: &str = "can read or write files";
const NESTED: &str = "can load a further pickle";
const NATIVE: &str = "can call native code";

/// What of the built-in module can do harm; the rest of it is containers and numbers.
#[rustfmt::skip]
const BUILTINS: Names = These(&[
    "eval", "exec", "execfile", "compile", "__import__", "getattr", "setattr", "delattr", "apply", "open", "file", "input", "raw_input",
    "breakpoint", "globals", "locals", "vars", "reload", "help",
]);

#[rustfmt::skip]
const ROWS: &[(&[&str], Names, &str)] = &[
    (&["builtins", "__builtin__", "__builtins__"], BUILTINS, CODE),
    (&["os", "posix", "nt", "posixpath", "ntpath", "subprocess", "_posixsubprocess", "_winapi", "commands", "popen2", "pty"], All, COMMANDS),
    (&["pexpect", "platform", "multiprocessing", "distutils", "setuptools", "ensurepip", "venv", "pip", "asyncio"], All, COMMANDS),
    (&["sys", "runpy", "code", "codeop", "importlib", "_frozen_importlib", "_frozen_importlib_external", "imp", "_imp", "pkgutil"], All, CODE),
    (&["zipimport", "bdb", "pdb", "cProfile", "profile", "timeit", "trace", "doctest", "unittest", "pydoc", "idlelib", "lib2to3"], All, CODE),
    (&["site", "compileall", "marshal", "types", "inspect", "gc", "atexit", "signal", "threading", "_thread", "logging.config"], All, CODE),
    (&["ctypes", "_ctypes", "cffi"], All, NATIVE),
    (&["socket", "_socket", "ssl", "_ssl", "http", "httplib", "urllib", "urllib2", "urllib3", "requests", "httpx", "aiohttp"], All, NETWORK),
    (&["ftplib", "smtplib", "imaplib", "poplib", "nntplib", "telnetlib", "xmlrpc", "socketserver", "webbrowser"], All, NETWORK),
    (&["shutil", "tempfile", "glob", "fileinput", "filecmp", "linecache", "sqlite3", "_sqlite3"], All, FILES),
    (&["io", "_io", "codecs"], These(&["open", "open_code", "FileIO"]), FILES),
    (&["pickle", "_pickle", "cPickle", "dill", "cloudpickle", "shelve"], All, NESTED),
    (&["torch", "torch.serialization", "joblib", "numpy"], These(&["load"]), NESTED),
    (&["torch.storage"], These(&["_load_from_bytes"]), NESTED),
    (&["torch.jit", "torch.package", "torch.distributed.checkpoint"], These(&["load", "jit_module_from_flatbuffer", "PackageImporter"]), NESTED),
    (&["torch.ops", "torch._ops", "torch.classes", "torch._classes", "numpy.ctypeslib"], All, NATIVE),
    (&["torch.utils.cpp_extension", "torch.utils.model_zoo", "torch.multiprocessing", "torch.distributed.rpc", "torch.distributed.launch"], All, CODE),
    (&["numpy.lib", "numpy.distutils", "numpy.compat"], All, FILES),
    (&["numpy"], These(&["fromfile", "memmap", "DataSource", "loadtxt", "genfromtxt", "save", "savez", "savetxt", "fromregex"]), FILES),
    (&["yaml", "ruamel", "jsonpickle", "pandas.io", "pandas.compat.pickle_compat"], All, NESTED),
    (&["pandas"], These(&["read_pickle", "eval"]), NESTED),
    (&["IPython", "jinja2", "mako", "sympy", "numexpr", "hydra", "fire", "invoke", "fabric", "paramiko", "psutil", "pkg_resources"], All, CODE),
    (&["huggingface_hub", "transformers.dynamic_module_utils", "fsspec", "boto3", "botocore"], All, NETWORK),
    (&["torch"], These(&["compile"]), CODE),
    (&["torch.hub", "torch._dynamo", "torch._inductor", "torch.jit.unsupported_tensor_ops", "torch.utils.bottleneck", "torch.utils.collect_env"], All, CODE),
    (&["torch.fx.experimental.symbolic_shapes", "torch.utils._config_module", "torch.utils.data.datapipes.utils.decoder"], All, CODE),
    (&["numpy.testing._private.utils", "numpy.f2py", "numpy.distutils"], All, CODE),
    (&["operator", "_operator"], These(&["attrgetter", "itemgetter", "methodcaller"]), INDIRECT),
    (&["functools", "_functools"], These(&["partial", "reduce", "partialmethod"]), INDIRECT),
];

/// What an import can be used for, if it is on the list; `None` says nothing in its favour.
pub(crate) fn danger(module: &str, name: &str) -> Option<&'static str> {
    let listed = |module: &str, name: &str| {
        ROWS.iter().find(|(modules, names, _)| match names {
            All => modules.iter().any(|m| module.strip_prefix(m).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))),
            These(names) => modules.contains(&module) && names.contains(&name.split('.').next().unwrap_or(name)),
        })
    };
    // A dotted name walks through attributes, and modules hold the modules that they import: `torch.serialization` holds `os`.
    let parts: Vec<&str> = name.split('.').collect();
    let detours = (1..parts.len()).find_map(|i| listed(parts[i - 1], parts[i]));
    listed(module, name).or(detours).map(|(.., what)| *what)
}

#[cfg(test)]
mod tests {
    use super::danger;

    #[test]
    fn modules_functions_and_detours_are_known() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("__builtin__", "getattr"),
            ("subprocess", "Popen"),
            ("importlib.util", "find_spec"),
            ("torch.serialization", "os.system"),
            ("collections", "abc.sys.modules"),
            ("runpy", "_run_code"),
            ("operator", "attrgetter"),
        ] {
            assert!(danger(module, name).is_some(), "{module}.{name}");
        }
        for (module, name) in [
            ("torch._utils", "_rebuild_tensor_v2"),
            ("collections", "OrderedDict"),
            ("builtins", "set"),
            ("builtins", "print"),
            ("torch", "FloatStorage"),
            ("torch.storage", "UntypedStorage"),
            ("torch.jit._pickle", "build_intlist"), // in every TorchScript archive
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
            ("oslo.config", "system"),
            ("transformers.training_args", "TrainingArguments"),
        ] {
            assert_eq!(danger(module, name), None, "{module}.{name}");
        }
    }
}
