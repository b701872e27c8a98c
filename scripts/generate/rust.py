"""Rust source as the generators write it: a head that says what made the file, and texts as Rust spells them."""

from pathlib import Path


def head(script, what, source):
    """The first lines of a generated file; `source` names the package and its version."""
    return (
        f"//! {what}\n"
        "//!\n"
        f"//! Made by `scripts/generate/{script}` from {source}. Do not edit: `scripts/generate/check --write` makes it anew.\n"
        "\n"
    )


def text(value):
    """A string literal."""
    out = []
    for char in value:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif ord(char) < 32 or ord(char) == 127:
            out.append(f"\\u{{{ord(char):x}}}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def write(path, content):
    """Writes a generated file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content, encoding="utf-8")
