#!/usr/bin/env python3
"""Runs `weigh audit` over the hostile corpus and judges every case by its manifest.

usage: run.py WEIGH CORPUS [--json FILE] [--only PREFIX]

A case passes when the outcome is one that the manifest allows, a word of `must_mention` stands in a finding (or in the one
line on stderr), no finding names an error where it is to be accepted, nothing panics or is killed, and it stays under 5 s
and 256 MiB of memory (peak resident set, of which mapped file pages are no part here, as nothing is mapped without --scan).
Seconds are of the processor (user and system), so that other work on the machine does not count; a run that takes a minute by the
clock hangs.
"""
import json, os, signal, subprocess, sys, time

CLOCK = 60  # seconds by the clock after which a run is ended
NEEDS_VALUES = {"st-nan_inf", "st-bool_values", "st-sparse_hole_data"}


def run(weigh, path, scan, user=None):
    cmd = [weigh, "audit", path, "--format", "json", "--no-progress"] + (["--scan"] if scan else [])
    extra = {"user": user, "group": user, "extra_groups": []} if user else {}
    with open(os.devnull) as null:
        p = subprocess.Popen(cmd, stdin=null, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **extra)
    try:
        o, e = p.communicate(timeout=CLOCK)
    except subprocess.TimeoutExpired:
        p.kill(); o, e = p.communicate()
    return p.returncode, o, e


def measured(weigh, path, scan, user=None):
    """Exit code of one run (negative: the signal), peak resident set, seconds by the clock, those of the processor, by wait4."""
    pid = os.fork()
    if pid == 0:
        try:
            fd = os.open(os.devnull, os.O_RDWR)
            for n in (0, 1, 2): os.dup2(fd, n)
            if user: os.setgroups([]); os.setgid(user); os.setuid(user)
            signal.alarm(CLOCK)  # outlives exec: the kernel ends a run that hangs
            os.execv(weigh, [weigh, "audit", path, "--format", "json", "--no-progress"] + (["--scan"] if scan else []))
        finally:
            os._exit(127)
    start = time.monotonic()
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss, time.monotonic() - start, usage.ru_utime + usage.ru_stime


def judge(case, code, out, err, cpu, kib):
    problems = []
    text = err.decode("utf-8", "replace")
    if code < 0: problems.append("killed by signal %d" % -code)
    if "panicked" in text: problems.append("panic: " + text[:200])
    if cpu > 5: problems.append("%.1f s" % cpu)
    if kib > 256 * 1024: problems.append("%d MiB" % (kib // 1024))
    try:
        doc = json.loads(out) if out else None
    except ValueError:
        doc = None
        problems.append("stdout is no JSON")
    findings = doc["findings"] if doc else []
    if doc is None and not text: problems.append("no report and no message")
    errors = [f for f in findings if f["severity"] == "error"]
    warnings = [f for f in findings if f["severity"] == "warning"]
    outcome = "reject" if code != 0 else "warn" if warnings else "accept"
    if code == 0 and errors: problems.append("errors, but exit 0")
    allowed = [case["expect"]] + case.get("also_ok", [])
    if outcome not in allowed:
        problems.append("%s instead of %s" % (outcome, "/".join(allowed)))
    words = " ".join(" ".join(str(f[k]) for k in ("file", "tensor", "message", "help") if f[k]) for f in errors + warnings) + text
    must = case["must_mention"]
    if outcome != "accept" and must and not any(m.lower() in words.lower() for m in must):
        problems.append("mentions none of %s: %s" % (must, words[:300]))
    if outcome == "reject" and case["expect"] == "reject" and not errors and not text:
        problems.append("rejected without an error")
    if any(ord(c) < 32 and c not in "\n" or 0x7f <= ord(c) < 0xa0 for c in text): problems.append("control characters on stderr")
    return outcome, problems


def main():
    args = sys.argv[1:]
    weigh, corpus = os.path.abspath(args[0]), args[1]
    only = args[args.index("--only") + 1] if "--only" in args else ""
    manifest = json.load(open(os.path.join(corpus, "manifest.json")))
    rows, bad = [], 0
    for case in manifest["cases"]:
        if not case["id"].startswith(only): continue
        path = os.path.join(corpus, case["path"])
        scan = case["id"] in NEEDS_VALUES
        user = 65534 if case.get("needs") == "not-root" and os.getuid() == 0 else None
        code, out, err = run(weigh, path, scan, user)
        again, kib, seconds, cpu = measured(weigh, path, scan, user)
        outcome, problems = judge(case, min(code, again), out, err, cpu, kib)
        rows.append(dict(id=case["id"], wrong=case["wrong"], expect=case["expect"], outcome=outcome, seconds=round(seconds, 3), cpu=round(cpu, 3), mib=kib // 1024, problems=problems))
        if problems:
            bad += 1
            print(case["id"], "|", case["wrong"], "|", "; ".join(problems))
    worst = sorted(rows, key=lambda r: -r["cpu"])[:3]
    large = sorted(rows, key=lambda r: -r["mib"])[:3]
    print("%d of %d as the manifest says" % (len(rows) - bad, len(rows)))
    print("slowest:", [(r["id"], r["cpu"]) for r in worst], "largest:", [(r["id"], r["mib"]) for r in large])
    if "--json" in args:
        json.dump(rows, open(args[args.index("--json") + 1], "w"), indent=1)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
