"""What differs between two outputs, piece by piece, and of what kind each piece is.

A kind is a difference without what is peculiar to one output: numbers are `#`, names are `NAME`, places in lists are `[]`. One change
of the program thus gives one kind (in JSON, or a few in text), however many outputs it hits.
"""

import difflib
import json
import re
from collections import Counter
from dataclasses import dataclass

SHOWN = 400  # characters kept of a piece
LINES = 4000  # beyond so many lines, or so many words below, pieces are told by what only one side has, not by their order
WORDS = 6000


@dataclass(frozen=True)
class Piece:
    """One difference: its kind (where it stands and what became what, generalised), and the two texts."""
    where: str
    what: str
    old: str
    new: str


def outputs(form, old, new):
    """The pieces in which two texts of an output form differ; at least one if the texts do."""
    none = True
    if form in ("json", "sarif"):
        try:
            documents_of = json.loads(old), json.loads(new)
        except (ValueError, RecursionError):
            documents_of = None
        if documents_of:
            for piece in documents(*documents_of):
                none = False
                yield piece
    # The same values, or no JSON: then it is the text that differs.
    if none:
        for piece in texts(old, new):
            none = False
            yield piece
    if none:
        yield Piece("", "bytes", repr(old[:SHOWN]), repr(new[:SHOWN]))


# JSON -----------------------------------------------------------------------------------------------------------------------

# Fields that say which row of a list an object is.
IDENTITY = ("name", "path", "file", "tensor", "scheme", "engine", "recipe", "code", "id", "ruleId", "spec", "form", "rule", "order",
            "budget", "role", "dtype", "layer", "label", "kind", "container", "name_b", "device")


def documents(old, new, where=""):
    if isinstance(old, dict) and isinstance(new, dict):
        yield from objects(old, new, where)
    elif isinstance(old, list) and isinstance(new, list):
        yield from lists(old, new, where)
    elif old != new or type(old) is not type(new):
        yield Piece(where, changed(old, new), brief(old), brief(new))


def objects(old, new, where):
    inner = f"{where}." if where else ""
    for key in old:
        at = inner + place(key)
        if key not in new:
            yield Piece(at, "gone", brief(old[key]), "")
        else:
            yield from documents(old[key], new[key], at)
    for key in new:
        if key not in old:
            yield Piece(inner + place(key), "added", "", brief(new[key]))
    if old.keys() == new.keys() and list(old) != list(new):
        yield Piece(where, "order of keys", ", ".join(old)[:SHOWN], ", ".join(new)[:SHOWN])


def place(key):
    """A field; a key that is a name or a number itself stands for all like it."""
    return key if re.fullmatch(r"[A-Za-z][A-Za-z_]*", key) else mask(key)


def identity(value):
    """Which row this is, as far as the row says it."""
    if isinstance(value, dict):
        return tuple((k, value[k]) for k in IDENTITY if isinstance(value.get(k), (str, int)))
    return (json.dumps(value, sort_keys=True),)


def lists(old, new, where):
    at = f"{where}[]"
    if len(old) == len(new) and not any(isinstance(v, (dict, str)) for v in old + new):
        for a, b in zip(old, new):
            yield from documents(a, b, at)
        return
    waiting = {}
    for i, value in enumerate(new):
        waiting.setdefault(identity(value), []).append(i)
    pairs, gone = [], []
    for value in old:
        same = waiting.get(identity(value))
        if same:
            pairs.append((value, same.pop(0)))
        else:
            gone.append(value)
    left = sorted(i for same in waiting.values() for i in same)
    # Rows whose identity itself changed, as a text that was reworded, are told as such while both sides have some.
    for value, i in zip(gone, left):
        yield from documents(value, new[i], at)
    for value in gone[len(left):]:
        yield Piece(at, f"gone: {kind_of(value)}", brief(value), "")
    for i in left[len(gone):]:
        yield Piece(at, f"added: {kind_of(new[i])}", "", brief(new[i]))
    for value, i in pairs:
        yield from documents(value, new[i], at)
    order = [i for _, i in pairs]
    if order != sorted(order):
        yield Piece(at, "order of rows", "", "")


def kind_of(value):
    if isinstance(value, dict):
        # What the reader knows a row by, without names of files and tensors.
        known = [f"{k} {value[k]}" for k in ("code", "ruleId", "severity", "engine", "scheme", "form", "kind") if isinstance(value.get(k), str)]
        return mask(", ".join(known)) or "a row"
    return masked(value)


def changed(old, new):
    """`# -> #`, `null -> #`, `"exact" -> "estimate"`; of long texts the words that changed."""
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > 24:
        return "; ".join(dict.fromkeys(what for what, *_ in words(split(old), split(new)))) or "text"
    return f"{masked(old)} -> {masked(new)}"


def masked(value):
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return "#"
    if isinstance(value, str):
        return mask(value)
    return "[..]" if isinstance(value, list) else "{..}"


def brief(value):
    return json.dumps(value, ensure_ascii=False)[:SHOWN]


# Texts ----------------------------------------------------------------------------------------------------------------------

WORD = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"|[^\s,|;:()\[\]\"`]+|[^\s]")
NUMBER = re.compile(r"[-+±]?\d[\d,.]*(?:[eE][-+]?\d+)?")
BARS = re.compile(r"[▏▎▍▌▋▊▉█]+")


def mask(text):
    """A word or short text without its numbers and names."""
    if re.fullmatch(r"[-+±]?\d[\d,.]*([eE][-+]?\d+)?", text):
        return "#"
    if re.fullmatch(r"[`\"].*[`\"]", text, re.S) or re.search(r"\w[./\\]\w", text) or re.fullmatch(r"\w*_\w*", text):
        return "NAME"
    return NUMBER.sub("#", BARS.sub("", text))


def split(text):
    return [m.group() for m in WORD.finditer(text)]


def words(old, new):
    """The runs of words that differ, as (kind, first word in the old, old text, new text)."""
    if len(old) + len(new) > WORDS:
        gone, added = Counter(old) - Counter(new), Counter(new) - Counter(old)
        first = next((i for i, w in enumerate(old) if w in gone), 0)
        yield f"{run_of(list(gone))} -> {run_of(list(added))}", first, " ".join(gone)[:SHOWN], " ".join(added)[:SHOWN]
        return
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield f"{run_of(old[a:b])} -> {run_of(new[c:d])}", a, " ".join(old[a:b])[:SHOWN], " ".join(new[c:d])[:SHOWN]


def run_of(run):
    """Masked words, repetitions folded: `NAME # NAME #` of a list of any length is one kind."""
    out = []
    for word in map(mask, run[:60]):
        if word and (not out or out[-1] != word):
            out.append(word)
    return " ".join(out)[:160] or "nothing"


HEADING = re.compile(r"^(?:#+ |\"# )|^[^\s|\-*\"].*[^,]$")


def texts(old, new):
    a, b = (t.decode("utf-8", "replace").splitlines() for t in (old, new))
    heads = headings(a)
    for at, removed, to, added in hunks(a, b):
        heading = heads[min(at, len(heads) - 1)] if heads else ""
        lines = [(n, w) for n, line in enumerate(removed) for w in split(line)]
        pieces = list(words([w for _, w in lines], split("\n".join(added))))
        old_text, new_text = "\n".join(removed)[:SHOWN], "\n".join(added)[:SHOWN]
        if not pieces:
            yield Piece(heading, "spaces and line breaks", old_text, new_text)
        for what, first, old_words, new_words in pieces:
            line = removed[lines[min(first, len(lines) - 1)][0]] if lines else ""
            where = f"{heading} / {label(line)}".strip(" /")
            # The whole lines where they are few, else the words.
            few = len(removed) <= 2 and len(added) <= 2
            yield Piece(where, what, old_text if few else old_words, new_text if few else new_words)


def headings(lines):
    """For each line the heading above it, without what is peculiar to one output."""
    out, current = [], ""
    for line in lines:
        if HEADING.match(line) and "," not in line.split('"')[0]:
            current = " ".join(mask(w) for w in split(line)[:6])
        out.append(current)
    return out


def label(line):
    """The first cell of a row, or the first words of a line."""
    cell = re.split(r"\s{2,}|\s*\|\s*|,|: ", line.strip(" |-"))[0]
    return " ".join(mask(w) for w in split(cell)[:4])


def hunks(a, b):
    """Runs of lines that differ, as (line in the old, its lines, line in the new, its lines)."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    a, b = a[start:len(a) - end], b[start:len(b) - end]
    if len(a) + len(b) > LINES:
        if len(a) == len(b):
            yield from ((start + i, [x], start + i, [y]) for i, (x, y) in enumerate(zip(a, b)) if x != y)
        else:
            gone, added = list((Counter(a) - Counter(b)).elements()), list((Counter(b) - Counter(a)).elements())
            yield start, gone, start, added
        return
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag != "equal":
            yield start + i, a[i:j], start + k, b[k:m]
