#!/usr/bin/env python3
"""What the configuration classes of transformers fill in where config.json is silent or says null.

    class_defaults.py OUT KEYS VERSION

KEYS is a file of keys, one a line: only these are written. Run with the transformers whose classes are wanted. A class is made three
times and more: bare, with each number changed (a default that follows another key shows itself so), and with each key null.

OUT has one JSON object a line: what made it, what every class has, and a class a line. A default is its value; in an array, the key that
it follows, or the two keys of which it is the quotient.
"""

import contextlib
import io
import json
import logging
import sys
from pathlib import Path

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

# Defaults that a class drops again unless a flag is set: they are read with the flag, for a file that sets it.
FLAGS = {"sliding_window": {"use_sliding_window": True}}


def made(cls, **given):
    """The settings of a class; `None` where it cannot be made so."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return cls(**given).to_dict()
        except Exception:  # Classes check their values in many ways; what cannot be made has no row.
            return None


def is_count(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# Stands for a default that has no row.
NO_ROW = object()


def literal(value):
    """A default as it is written; `NO_ROW` for lists and for objects that hold objects."""
    if is_count(value) and float(value).is_integer() and abs(value) < 9e15:
        return int(value)
    if isinstance(value, dict):
        flat = value and not any(isinstance(v, (dict, list)) for v in value.values())
        return dict(sorted(value.items())) if flat else NO_ROW
    return value if value is None or isinstance(value, (bool, int, float, str)) else NO_ROW


def follows(cls, base, key, keys):
    """The rule by which a default follows other keys, or `None` where it stands by itself."""
    drivers = {}
    for other in keys:
        if other == key or not is_count(base.get(other)) or not base[other]:
            continue
        value = int(base[other] * 2) if float(base[other]).is_integer() else base[other] * 2
        changed = made(cls, **{other: value})
        if changed is not None and changed.get(other) == value and changed.get(key) != base.get(key):
            drivers[other] = changed
    return rule(base, key, drivers)


def rule(base, key, drivers):
    """The keys that a default follows as a list; as a tuple where it is not known how."""
    if not drivers:
        return None
    names = sorted(drivers)
    if len(names) == 1 and all(d.get(key) == d.get(names[0]) for d in [base, *drivers.values()]):
        return names
    if len(names) == 2:
        for a, b in (names, reversed(names)):
            if all(is_count(d.get(key)) and d.get(b) and d[key] == d[a] // d[b] for d in [base, *drivers.values()]):
                return [a, b]
    return tuple(names)


def null_rule(cls, base, key, keys):
    """What a class makes of null under a key that has another default."""
    given = made(cls, **{key: None})
    if given is None or given.get(key) is None:
        return NO_ROW
    drivers = {}
    for other in keys:
        if other == key or not is_count(base.get(other)) or not base[other]:
            continue
        value = int(base[other] * 2) if float(base[other]).is_integer() else base[other] * 2
        changed = made(cls, **{key: None, other: value})
        if changed is not None and changed.get(other) == value and changed.get(key) != given.get(key):
            drivers[other] = changed
    return rule(given, key, drivers) or literal(given[key])


def text_part(base):
    """The class of the nested text configuration, where the file does not name it: the one that the bare class makes."""
    for key in ("text_config", "llm_config", "language_config", "thinker_config"):
        part = base.get(key)
        if isinstance(part, dict) and part.get("model_type"):
            return part["model_type"]
    return None


def main():
    path, keys, version = Path(sys.argv[1]), Path(sys.argv[2]).read_text().split(), sys.argv[3]
    assert transformers.__version__ == version, f"{transformers.__version__} is installed, {version} is pinned"
    logging.disable(logging.WARNING)
    rows = [{"made_by": "scripts/generate/class_defaults.py", "from": f"transformers {version}", "do_not_edit": "scripts/generate/check --write"}]
    settings = transformers.PretrainedConfig().to_dict()
    common = {key: literal(settings[key]) for key in sorted(settings) if key in keys and literal(settings[key]) is not NO_ROW}
    rows.append({"common": common})
    skipped, open_rules = [], []
    for kind in sorted(CONFIG_MAPPING_NAMES):
        try:
            cls = CONFIG_MAPPING[kind]
        except Exception as problem:
            skipped.append((kind, type(problem).__name__))
            continue
        base = made(cls)
        if base is None:
            skipped.append((kind, "cannot be made without arguments"))
            continue
        wanted = [key for key in keys if key in base]
        for key, flags in FLAGS.items():
            flagged = made(cls, **flags) if key in base and all(flag in base for flag in flags) else None
            base[key] = flagged.get(key) if flagged is not None else base.get(key)
            if key not in wanted:
                base.pop(key)
        missing, null = {}, {}
        for key in wanted:
            if literal(base[key]) is NO_ROW:
                continue
            found = follows(cls, base, key, wanted)
            if isinstance(found, tuple):
                open_rules.append((kind, key, found))
                continue
            if found or key not in common or common[key] != base[key] or type(settings[key]) is not type(base[key]):
                missing[key] = found or literal(base[key])
            of_null = NO_ROW if base[key] is None else null_rule(cls, base, key, wanted)
            if isinstance(of_null, tuple):
                open_rules.append((kind, f"{key}: null", of_null))
            elif of_null is not NO_ROW:
                null[key] = of_null
        rows.append({"model_type": kind, "text": text_part(base), "missing": missing, "null": null})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows), encoding="utf-8")
    print(f"{path.name}: {len(rows) - 2} classes; without a row: {skipped}; defaults that follow several keys and are left out: {open_rules}")


if __name__ == "__main__":
    main()
