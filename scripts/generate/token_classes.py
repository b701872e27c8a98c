#!/usr/bin/env python3
"""Special tokens that the fast tokenizer classes of transformers bring along, and the class of each model type.

    token_classes.py OUT VERSION

Classes are named without `Fast`, as tokenizer_config.json names them.
"""

import inspect
import sys
from pathlib import Path

import rust
import transformers
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

# The order in which `PreTrainedTokenizerFast` adds them.
KINDS = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"]


def defaults(cls):
    """(kind, text) of the constructor's defaults."""
    found = {}
    for part in reversed(cls.__mro__):
        if "__init__" in vars(part):
            # A constructor takes the place of its parent's; what it does not name goes on as the parent has it.
            for name, parameter in inspect.signature(part.__init__).parameters.items():
                if name.endswith("_token") and name[:-6] in KINDS:
                    found[name[:-6]] = parameter.default
    return [(kind, str(found[kind])) for kind in KINDS if found.get(kind) not in (None, inspect.Parameter.empty)]


def main():
    path, version = Path(sys.argv[1]), sys.argv[2]
    assert transformers.__version__ == version, f"{transformers.__version__} is installed, {version} is pinned"
    of_models, classes, without = {}, {}, []
    for kind, (_, fast) in TOKENIZER_MAPPING_NAMES.items():
        if fast is None or fast == "PreTrainedTokenizerFast":
            continue
        name = fast.removesuffix("Fast")
        try:
            cls = getattr(transformers, fast)
            classes[name] = defaults(cls)
        except Exception as problem:
            without.append((fast, type(problem).__name__))
            continue
        of_models.setdefault(name, []).append(kind)
    out = rust.head("token_classes.py", "Special tokens of tokenizer classes.", f"transformers {version}")
    out += "/// Classes, without `Fast`, sorted; kind and text of each token that the constructor names.\n"
    out += "pub const CLASSES: &[(&str, &[(&str, &str)])] = &[\n"
    for name in sorted(classes):
        out += f"    ({rust.text(name)}, &[" + ", ".join(f"({rust.text(k)}, {rust.text(t)})" for k, t in classes[name]) + "]),\n"
    out += "];\n\n/// Model types whose folders need not name their class, sorted.\npub const OF_MODELS: &[(&str, &str)] = &[\n"
    rows = sorted((kind, name) for name, kinds in of_models.items() for kind in kinds)
    out += "".join(f"    ({rust.text(kind)}, {rust.text(name)}),\n" for kind, name in rows) + "];\n"
    rust.write(path, out)
    print(f"{path.name}: {len(classes)} classes; without a row: {without}")


if __name__ == "__main__":
    main()
