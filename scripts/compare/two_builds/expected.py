"""Differences that are wanted, each with its reason: a file that tells a mended fault from a broken figure."""

import fnmatch
import json
import re
from dataclasses import dataclass, field

HELP = """an expected difference is an object of a JSON list:
  {"reason": "why it is wanted", "command": "memory *", "stream": "stdout", "where": "engines[].*", "what": "# -> *",
   "old": "regular expression", "new": "regular expression"}
`reason` and at least one more are required. `command` is a pattern of the whole command line without `weigh` (`*` is any text, `?`
one character, and [ ] stand for themselves), `where` and `what` are patterns of the two parts of a kind as a report prints it; `old`
and `new` are searched for in the two texts. A difference is expected where all that is given fits; an output passes when each of its
differences is. Expectations that nothing met are named at the end."""

PATTERNS = ("command", "stream", "where", "what")
EXPRESSIONS = ("old", "new")


@dataclass
class Expectation:
    reason: str
    patterns: dict
    expressions: dict
    number: int = field(default=0)

    def fits(self, arguments, stream, piece):
        texts = {"command": " ".join(arguments), "stream": stream, "where": piece.where, "what": piece.what}
        return all(p.fullmatch(texts[k]) for k, p in self.patterns.items()) and all(
            e.search(getattr(piece, k)) for k, e in self.expressions.items())


def pattern(text):
    """A shell pattern in which brackets are plain, as kinds are full of them."""
    return re.compile(fnmatch.translate(text.replace("[", "[[]")), re.S)


def read(path):
    """The expectations of a file; a ValueError says what is wrong with it."""
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    if not isinstance(rows, list):
        raise ValueError("not a list")
    out = []
    for number, row in enumerate(rows, 1):
        known = {"reason", *PATTERNS, *EXPRESSIONS}
        if not isinstance(row, dict) or not all(isinstance(v, str) for v in row.values()):
            raise ValueError(f"entry {number}: not an object of texts")
        if unknown := row.keys() - known:
            raise ValueError(f"entry {number}: no such field: {', '.join(sorted(unknown))}")
        if not row.get("reason", "").strip() or len(row) < 2:
            raise ValueError(f"entry {number}: a reason is required, and something that it is the reason of")
        out.append(Expectation(row["reason"], {k: pattern(row[k]) for k in PATTERNS if k in row},
                               {k: re.compile(row[k], re.S) for k in EXPRESSIONS if k in row}, number))
    return out
