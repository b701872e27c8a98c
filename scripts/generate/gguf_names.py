#!/usr/bin/env python3
"""What GGUF names mean to the converter and to llama.cpp.

    gguf_names.py LLAMA_CPP OUT VERSION

LLAMA_CPP is the folder of the llama.cpp sources inside the sdist of llama-cpp-python. Writes into OUT:
  gguf_architectures.rs  every `general.architecture` that llama.cpp loads (`LLM_ARCH_NAMES` of llama-arch.cpp) or that gguf-py writes
  gguf_tensors.rs        the tensors an architecture may have (`MODEL_TENSORS`) and the Hugging Face names of each (`TensorNameMap`)
"""

import importlib
import re
import sys
import types
from pathlib import Path

import rust


def load(folder):
    """gguf-py's two tables, without the package around them (its readers and writers take numpy)."""
    package = types.ModuleType("gguf")
    package.__path__ = [str(folder)]
    sys.modules["gguf"] = package
    constants = importlib.import_module("gguf.constants")
    mapping = importlib.import_module("gguf.tensor_mapping")
    return constants, mapping.TensorNameMap


def architectures(llama_cpp, constants, source):
    text = (llama_cpp / "src" / "llama-arch.cpp").read_text(encoding="utf-8")
    table = re.search(r"LLM_ARCH_NAMES = \{(.*?)\n\};", text, re.S).group(1)
    loaded = [name for name in re.findall(r'\{\s*LLM_ARCH_\w+,\s*"([^"]+)"\s*\}', table) if name != "(unknown)"]
    written = [name for name in constants.MODEL_ARCH_NAMES.values() if name not in loaded]
    out = rust.head("gguf_names.py", "Values of `general.architecture`.", source)
    out += "/// Those that llama.cpp loads, in the order of `LLM_ARCH_NAMES`.\npub(in crate::families) const LOADED: &[&str] = &[\n"
    out += "".join(f"    {rust.text(name)},\n" for name in loaded) + "];\n\n"
    out += "/// Further ones that gguf-py has a name for: files that hold no language model.\npub(in crate::families) const WRITTEN: &[&str] = &[\n"
    out += "".join(f"    {rust.text(name)},\n" for name in sorted(written)) + "];\n"
    return out


def pattern(name):
    """A name with `{}` for the number of the block."""
    assert "{}" not in name, name
    return name.replace("{bid}", "{}")


def tensors(constants, names, source):
    gguf = {tensor: pattern(name) for tensor, name in constants.TENSOR_NAMES.items()}
    numbers = {tensor: number for number, tensor in enumerate(gguf)}
    of_arch = sorted((constants.MODEL_ARCH_NAMES[arch], sorted(numbers[t] for t in allowed if t in numbers)) for arch, allowed in constants.MODEL_TENSORS.items())
    # Python's dictionary keeps the last tensor of a name, so the order of the tables decides where one name stands for several tensors.
    rows = []
    for table in (names.mappings_cfg, names.block_mappings_cfg):
        for tensor, keys in table.items():
            for key in keys:
                rows.append((pattern(key), numbers[tensor]))
    own = []
    for arch, table in names.arch_block_mappings_cfg.items():
        for tensor, keys in table.items():
            own.append((constants.MODEL_ARCH_NAMES[arch], numbers[tensor], [pattern(key) for key in keys]))
    rows = list(dict.fromkeys(rows))
    rows = sorted(enumerate(rows), key=lambda row: (row[1][0], row[0]))
    out = rust.head("gguf_names.py", "Names of GGUF tensors, and the names under which the converter finds them.", source)
    out += "/// Tensors by number; `{}` stands for the number of the block.\npub(in crate::families) const TENSORS: &[&str] = &[\n"
    out += "".join(f"    {rust.text(name)},\n" for name in gguf.values()) + "];\n\n"
    out += "/// The tensors that an architecture may have, by its name.\npub(in crate::families) const ALLOWED: &[(&str, &[u16])] = &[\n"
    for arch, allowed in of_arch:
        out += f"    ({rust.text(arch)}, &[{', '.join(map(str, allowed))}]),\n"
    out += "];\n\n"
    out += (
        "/// Names outside GGUF, sorted, each with the tensor that it stands for. Where a name stands for several, the last one that the\n"
        "/// architecture may have counts.\npub(in crate::families) const NAMES: &[(&str, u16)] = &[\n"
    )
    out += "".join(f"    ({rust.text(name)}, {tensor}),\n" for _, (name, tensor) in rows) + "];\n\n"
    out += (
        "/// Architectures whose files have names of their own for a tensor, in place of those in [`NAMES`].\n"
        "pub(in crate::families) const OWN_NAMES: &[(&str, u16, &[&str])] = &[\n"
    )
    for arch, tensor, keys in own:
        out += f"    ({rust.text(arch)}, {tensor}, &[{', '.join(map(rust.text, keys))}]),\n"
    return out + "];\n"


def main():
    llama_cpp, folder, version = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    constants, names = load(llama_cpp / "gguf-py" / "gguf")
    source = f"the llama.cpp sources in the sdist of llama-cpp-python {version}"
    rust.write(folder / "gguf_architectures.rs", architectures(llama_cpp, constants, source))
    rust.write(folder / "gguf_tensors.rs", tensors(constants, names, source))


if __name__ == "__main__":
    main()
