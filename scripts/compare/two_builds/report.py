"""What a comparison found, for reading: one paragraph for what goes together, not for each output."""

from collections import Counter, defaultdict

KINDS = 10  # shown of a paragraph
WIDTH = 200


def clean(text):
    """Text that may hold anything, on one line and without control characters."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in text)


def short(text):
    text = clean(" ".join(text.split()))
    return text if len(text) <= WIDTH else text[:WIDTH - 3] + "..."


def paragraphs(cases, results):
    """Differences that nobody expected, by kind; kinds that hit the very same inputs stand together, as one change gives them."""
    kinds = defaultdict(list)
    for result in results:
        for found in result.found:
            if found.expected is None:
                kinds[(found.stream, found.form, found.piece.where, found.piece.what)].append((result.case, found.piece))
    together = defaultdict(list)
    for kind, hits in kinds.items():
        together[frozenset(cases[case].target for case, _ in hits)].append((kind, hits))
    groups = [(targets, sorted(rows, key=lambda row: -len(row[1]))) for targets, rows in together.items()]
    return sorted(groups, key=lambda group: (-len({c for _, hits in group[1] for c, _ in hits}), sorted(group[0])[0]))


def write_paragraphs(out, cases, groups, show):
    for number, (targets, rows) in enumerate(groups[:show], 1):
        hit = sorted({case for _, hits in rows for case, _ in hits})
        by_command = Counter(cases[case].command for case in hit)
        counts = ", ".join(f"{command} {n:,}" for command, n in by_command.most_common())
        print(f"\n[{number}] {plural(len(hit), 'command line')} ({counts}) on {plural(len(targets), 'input')}", file=out)
        for (stream, form, where, what), hits in rows[:KINDS]:
            place = f"{' '.join(filter(None, (stream, form)))}  {clean(where)}".strip()
            print(f"    {place}: {clean(what)}   ({len({c for c, _ in hits}):,})", file=out)
            piece = hits[0][1]
            print(f"        - {short(piece.old)}\n        + {short(piece.new)}", file=out)
        if len(rows) > KINDS:
            print(f"    and {plural(len(rows) - KINDS, 'further kind')}", file=out)
        first = rows[0][1][0][0]
        print(f"    for example: {clean(cases[first].line())}", file=out)
    if len(groups) > show:
        print(f"\nand {plural(len(groups) - show, 'further paragraph')} (--show N, --list FILE)", file=out)


def write_list(out, cases, results):
    """Every difference of every output."""
    for result in results:
        for found in result.found:
            stream = " ".join(filter(None, (found.step, found.stream, found.form)))
            mark = "" if found.expected is None else f" (expected, {found.expected})"
            print(f"{clean(cases[result.case].line())}\n  {stream}{mark}  {clean(found.piece.where)}: {clean(found.piece.what)}", file=out)
            for sign, text in (("-", found.piece.old), ("+", found.piece.new)):
                for line in text.splitlines() or [""]:
                    print(f"    {sign} {clean(line)}", file=out)


def summary(out, cases, results, expectations, seconds, whole):
    """The counts. Gives whether something differs that nobody expected."""
    runs, lines, differing = Counter(), Counter(), Counter()
    codes, met = Counter(), Counter()
    for result in results:
        command = cases[result.case].command
        lines[command] += 1
        runs[command] += result.runs
        codes.update("ended" if c is None else c for c in result.codes)
        expected = [f.expected for f in result.found]
        met.update(set(filter(None, expected)))
        if any(e is None for e in expected):
            differing[command] += 1
    print(f"\n{'command':<10} {'lines':>8} {'runs':>8} {'differ':>8}", file=out)
    for command in lines:
        print(f"{command:<10} {lines[command]:>8,} {runs[command]:>8,} {differing[command]:>8,}", file=out)
    total = sum(lines.values())
    print(f"{'all':<10} {total:>8,} {sum(runs.values()):>8,} {sum(differing.values()):>8,}   in {seconds:.0f} s", file=out)
    listed = ", ".join(f"{code}: {n:,}" for code, n in sorted(codes.items(), key=lambda row: str(row[0])))
    print(f"exit codes of the old program: {listed}", file=out)
    # A few command lines may well all be refused; of the whole plan none should be.
    for pattern in without_result(cases, results) if whole else []:
        print(f"SAYS NOTHING: each run of `weigh {pattern}` ended with exit code 2", file=out)
    silent = [r for r in results if r.not_compared]
    if silent:
        print(f"not compared: {plural(len(silent), 'command line')}, ended by the clock with both programs, for example: "
              f"{clean(cases[silent[0].case].line())}", file=out)
    for expectation in expectations:
        n = met[expectation.number]
        print(f"expected, {plural(n, 'command line') if n else 'BUT NOT SEEN'}: {clean(expectation.reason)}", file=out)
    return bool(differing)


def without_result(cases, results):
    """Rows of the plan that no input answered: an option that the old program does not know compares nothing but its refusal."""
    answered = {}
    for result in results:
        if pattern := cases[result.case].pattern:
            answered[pattern] = answered.get(pattern, False) or result.codes[-1] != 2
    return [pattern for pattern, some in answered.items() if not some]


def plural(n, what):
    return f"{n:,} {what}{'' if n == 1 else 's'}"
