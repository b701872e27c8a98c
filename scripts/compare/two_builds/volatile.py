"""What two runs of one build may say differently: the rules by which it is made the same before outputs are compared."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Replaces what stands between the groups 1 and 2 of a pattern."""
    what: str
    pattern: re.Pattern
    instead: bytes

    def apply(self, data):
        return self.pattern.sub(rb"\g<1>" + self.instead + rb"\g<2>", data)


def number(what, fields):
    """The numbers of JSON fields. A null is kept: that there is no figure is no accident."""
    return Rule(what, re.compile(rf'("(?:{fields})":\s*)-?[0-9][0-9.eE+-]*()'.encode()), b'"varies"')


def phrase(what, pattern):
    return Rule(what, re.compile(pattern.encode()), b" (varies)")


RULES = [
    number("JSON: `seconds` and `bytes_per_second` of a scan", "seconds|bytes_per_second"),
    number("JSON: `cached_bytes`, `seconds_low` and `seconds_high` of the load time", "cached_bytes|seconds_low|seconds_high"),
    phrase("text and Markdown: time, rate and threads of a scan (`weights read in 3 ms at 890 MB/s, 2 threads`)",
           r"(of\s+weights\s+read)\s+in\s+[0-9.,]+\s+\w+(?:\s+at\s+[0-9.,]+\s+\w+/s)?,\s+\d+\s+threads?(,)\s+"),
    phrase("text and Markdown: how much lies in the page cache, and the load time that follows from it",
           r"(\bto\s+read,)\s[^;]{1,300};\s+copying\s+to\s+a\s+device\s+is\s+not\s+in\s+it()"),
]


def steady(data):
    """An output with everything that may vary replaced."""
    for rule in RULES:
        data = rule.apply(data)
    return data
