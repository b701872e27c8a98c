"""One case through both programs, and what came out."""

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import differences, running, volatile
from .differences import Piece

# Kept of one output: so many pieces of a kind, and so many kinds.
OF_A_KIND = 3
KINDS = 3000


@dataclass(frozen=True)
class Found:
    """A difference of one output."""
    step: str
    """Of a merge: the part, or the merge itself."""
    stream: str
    form: str
    piece: Piece
    expected: int | None
    """The number of the expectation that it meets."""


@dataclass
class Result:
    case: int
    codes: list
    """The exit code of every step with the old program."""
    runs: int
    found: list = field(default_factory=list)
    not_compared: str = ""
    """Why nothing can be said: both programs were ended by the clock."""


class Comparison:
    """What every case needs to know: the two programs and their surroundings."""

    def __init__(self, old, new, folder, home, seconds, expectations):
        self.programs, self.folder, self.seconds, self.expectations = (old, new), folder, seconds, expectations
        self.env = running.environment(home)

    def compare(self, number, case):
        # Relative to the inputs, as it stands in outputs; both programs use it in turn, so that they name the same paths.
        parts = Path(f".parts-{os.getpid()}")
        (Path(self.folder) / parts).mkdir(exist_ok=True)
        old, new = (self.outcomes(p, case, parts, self.seconds) for p in self.programs)
        runs = 2 * len(old)
        if any(o.ended != new[step].ended for step, o in old.items()):
            # A busy machine ends one and not the other: once more, with more time.
            old, new = (self.outcomes(p, case, parts, 3 * self.seconds) for p in self.programs)
            runs *= 2
        result = Result(number, [o.code for o in old.values()], runs)
        for step, before in old.items():
            after = new[step]
            if before.ended.startswith("not done") and before.ended == after.ended:
                result.not_compared = before.ended
                continue
            form = "json" if step.startswith("part") else case.form()
            result.found += self.kept(case, step, form, streams(before, after, form))
        return result

    def outcomes(self, program, case, parts, seconds):
        return running.outcomes(program, case, self.folder, parts, self.env, seconds)

    def kept(self, case, step, form, pieces):
        """Some of each kind, judged by the expectations one by one: a piece that nothing expects is never lost behind ones that are."""
        seen, out = Counter(), []
        for stream, piece in pieces:
            piece = placed(case, stream, form, piece)
            expected = self.expected(case, stream, piece)
            kind = (stream, piece.where, piece.what, expected)
            seen[kind] += 1
            if len(seen) > KINDS:
                out.append(Found(step, stream, "", Piece("", f"more than {KINDS} kinds of differences in one output", "", ""), None))
                break
            if seen[kind] <= OF_A_KIND:
                out.append(Found(step, stream, form if stream == "stdout" else "", piece, expected))
        return out

    def expected(self, case, stream, piece):
        fitting = (e.number for e in self.expectations if e.fits(case.arguments, stream, piece))
        return next(fitting, None)


# Bodies of documents of their own, which the whole report holds below these fields.
BODIES = re.compile(r"(?:show|project|memory|audit)\.")


def placed(case, stream, form, piece):
    """The same field of a body has the same place in every document; a line on stderr has none."""
    if stream == "stderr":
        return replace(piece, where="")
    if form == "json" and case.command == "report":
        return replace(piece, where=BODIES.sub("", piece.where, count=1) if BODIES.match(piece.where) else piece.where)
    return piece


def streams(before, after, form):
    """The differences of two outcomes, as (stream, piece)."""
    if before.ended != after.ended:
        yield "end", Piece("", "ended by the clock or for its length", before.ended or "by itself", after.ended or "by itself")
    elif before.code != after.code:
        yield "exit code", Piece("", f"{before.code} -> {after.code}", str(before.code), str(after.code))
    for stream, old, new, of in (("stdout", before.stdout, after.stdout, form), ("stderr", before.stderr, after.stderr, "text")):
        if old == new:
            continue
        old, new = volatile.steady(old), volatile.steady(new)
        if stream == "stdout" and not (old and new):
            yield stream, Piece("", "nothing -> output" if new else "output -> nothing", first_line(old), first_line(new))
        elif old != new:
            yield from ((stream, piece) for piece in differences.outputs(of, old, new))


def first_line(data):
    return data[:200].decode("utf-8", "replace").strip().partition("\n")[0]
