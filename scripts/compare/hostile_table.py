#!/usr/bin/env python3
"""Makes docs/hostile.md: the hostile corpus as weigh judges it, beside other readers.

usage: hostile_table.py ROWS BASELINE > docs/hostile.md

ROWS is the file that `tests/hostile/run.py WEIGH CORPUS --json ROWS` writes; BASELINE is tests/hostile/baseline.json (outcome
of each reader for each case).
"""
import collections, json, sys


def outcomes(baseline):
    """{reader: {case: outcome}}."""
    table = {}
    for case, by in baseline.items():
        for reader, outcome in by.items():
            table.setdefault(reader, {})[case] = outcome
    return table


def main():
    rows, baseline = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
    readers = outcomes(baseline)
    names = list(readers)
    print("# The hostile corpus\n")
    print("%d malformed and hostile files, shard indexes and folders, written by `tests/hostile/gen.py`, each with an expectation and its" % len(rows))
    print("reason. `weigh audit` is held to all of them by `tests/hostile.rs`. This page is made by `scripts/compare/hostile_table.py`.")
    print("Seconds are of the processor (at most 5), memory is the peak resident set (at most 256 MiB); a run of a minute by the clock is a hang.\n")
    good = sum(not r["problems"] for r in rows)
    print("| | weigh audit |\n| --- | ---: |")
    print("| cases as expected | %d of %d |" % (good, len(rows)))
    print("| panics, signals, hangs | %d |" % sum(any("signal" in p or "panic" in p for p in r["problems"]) for r in rows))
    slow, big = max(rows, key=lambda r: r["cpu"]), max(rows, key=lambda r: r["mib"])
    print("| slowest | %.2f s (%s) |" % (slow["cpu"], slow["id"]))
    print("| most memory (peak resident set) | %d MiB (%s) |\n" % (big["mib"], big["id"]))
    print("## Other readers on the same files\n")
    print("Outcomes as they were recorded, counted over the cases each reader was given. A reader that refuses a file it should refuse and takes one it")
    print("should take does well; the expectation of `warn` asks for a report, which a loader does not make.\n")
    expect = {r["id"]: r["expect"] for r in rows}
    print("| reader | cases | takes what is to be rejected | refuses what is to be accepted | crash, hang or over the limits |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for reader in names:
        got = {c: o for c, o in readers[reader].items() if c in expect and o not in ("n/a", "skip", "none")}
        takes = sum(expect[c] == "reject" and o.lower() in ("accept", "ok", "accepted") for c, o in got.items())
        refuses = sum(expect[c] == "accept" and o.lower() in ("reject", "rejected", "error") for c, o in got.items())
        worse = sum(o.lower() not in ("accept", "ok", "accepted", "reject", "rejected", "error", "warn") for o in got.values())
        print("| %s | %d | %d | %d | %d |" % (reader, len(got), takes, refuses, worse))
    print("\n## Every case\n")
    print("The last column names the readers that take what is to be rejected, refuse what is to be accepted, crash, or do not end.\n")
    print("| case | what is wrong | expected | weigh | s | MiB | others |\n| --- | --- | --- | --- | ---: | ---: | --- |")
    for r in rows:
        by = {}
        for name in names:
            got = readers[name].get(r["id"])
            if got and got not in ("accept", "reject"):
                by.setdefault("fails", []).append(name)
            elif got == "accept" and r["expect"] == "reject":
                by.setdefault("takes", []).append(name)
            elif got == "reject" and r["expect"] == "accept":
                by.setdefault("refuses", []).append(name)
        others = "; ".join("%s: %s" % (k, ", ".join(v)) for k, v in by.items())
        wrong = r["wrong"].replace("|", "\\|").replace("<", "&lt;")
        mark = r["outcome"] if not r["problems"] else "**%s**" % r["outcome"]
        print("| %s | %s | %s | %s | %.2f | %d | %s |" % (r["id"], wrong, r["expect"], mark, r["cpu"], r["mib"], others))


if __name__ == "__main__":
    main()
