#!/usr/bin/env python3
"""Compare what `weigh` says about the fetched real checkpoints with the figures
in fixtures/truth/checkpoints.json, which other tools counted. Exactly.

    scripts/compare/compare_checkpoints.py [--weigh target/release/weigh] [ID...]

Run scripts/fetch_checkpoints.py first. One line per checkpoint; the last line
is `N passed, N failed, N skipped`. Exit 1 on any failure.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRUTH = ROOT / "fixtures" / "truth" / "checkpoints.json"
FOLDER = Path(os.environ.get("WEIGH_CHECKPOINTS") or ROOT / "target" / "checkpoints")


class Wrong(Exception):
    """weigh did not answer as it should."""


def weigh(program, exit_code, *args):
    result = subprocess.run([program, *args, "--format", "json", "--no-progress"],
                            capture_output=True, text=True, encoding="utf-8", errors="replace")
    if result.returncode != exit_code:
        last = result.stderr.strip().splitlines()[-1:] or [""]
        raise Wrong(f"`{args[0]}` exited {result.returncode}, expected {exit_code}: {last[0]}")
    try:
        return json.loads(result.stdout)
    except ValueError as error:
        raise Wrong(f"`{args[0]}` printed no JSON document: {error}")


def shown(program, path, exit_code):
    """Header facts by `weigh show`, keyed by where they belong in the truth file."""
    show = weigh(program, exit_code, "show", str(path))
    totals = show["totals"]
    facts = {
        "format": show["format"],
        "tensors": totals["tensors"],
        "total_params": totals["stored_elements"],
        "tensor_bytes": totals["tensor_bytes"],
        "file_bytes": totals["file_bytes"],
    }
    for row in show["dtypes"]:
        facts |= {(row["dtype"], "tensors"): row["tensors"],
                  (row["dtype"], "params"): row["stored_elements"],
                  (row["dtype"], "bytes"): row["bytes"]}
    regions = [sum(f["regions"].values()) for f in show["files"]]
    facts["regions_sum"] = sum(regions)
    facts["missing_bytes"] = sum(f["missing_bytes"] or 0 for f in show["files"])
    return facts


def scanned(program, path):
    """Value counts by `weigh scan`."""
    scan = weigh(program, 0, "scan", str(path), "--tensors")["scan"]
    if not scan["complete"]:
        raise Wrong("the scan is not complete")
    rows = scan["tensors"]
    facts = {"scan_tensors": len(rows)}

    def counts(stats):
        return {"params": stats["elements"], "zeros": stats["zeros"], "nan": stats["nan"],
                "inf": stats["pos_inf"] + stats["neg_inf"]}

    def put(dtype, found, where):
        for field, value in found.items():
            facts[(dtype, f"{where}_{field}")] = value

    for row in scan["dtypes"]:
        put(row["dtype"], counts(row), "scan")
    # The tensors of a dtype must add up to its row.
    sums = {}
    for row in rows:
        if not row["scanned"]:
            raise Wrong(f"tensor {row['name']!r} of dtype {row['dtype']} was not scanned")
        sums.setdefault(row["dtype"], Counter()).update(counts(row) | {"tensors": 1})
    for dtype, found in sums.items():
        put(dtype, found, "rows")
    total = counts(scan["totals"])
    facts |= {"scan_total_params": total["params"], "zeros": total["zeros"],
              "nan": total["nan"], "inf": total["inf"]}
    return facts


def expected(truth):
    """The same keys from the truth file."""
    keys = {key: truth[key] for key in
            ("format", "tensors", "total_params", "tensor_bytes", "file_bytes")}
    keys["regions_sum"] = truth["file_bytes"]
    keys["missing_bytes"] = 0
    if truth.get("truncated"):
        keys["missing_bytes"] = truth["expected_file_bytes"] - truth["file_bytes"]
    for dtype, row in truth.get("per_dtype_header_only", truth.get("per_dtype", {})).items():
        keys |= {(dtype, field): row[field] for field in ("tensors", "params", "bytes")}
    if truth.get("truncated"):
        return keys
    keys |= {"scan_tensors": truth["tensors"], "scan_total_params": truth["total_params"],
             "zeros": truth.get("zeros", 0), "nan": truth.get("nan", 0),
             "inf": truth.get("inf", 0)}
    for dtype, row in truth["per_dtype"].items():
        keys[(dtype, "rows_tensors")] = row["tensors"]
        for field in ("params", "zeros", "nan", "inf"):
            keys[(dtype, f"scan_{field}")] = keys[(dtype, f"rows_{field}")] = row[field]
    return keys


def differences(want, got):
    def label(key):
        return " ".join(key) if isinstance(key, tuple) else key
    for key in sorted(want.keys() | got.keys(), key=label):
        if want.get(key) != got.get(key):
            yield f"{label(key)}: {got.get(key, 'absent')}, expected {want.get(key, 'absent')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weigh", default=str(ROOT / "target" / "release" / "weigh"),
                        help="the program (target/release/weigh)")
    parser.add_argument("ids", nargs="*", metavar="ID")
    args = parser.parse_args()
    checkpoints = json.loads(TRUTH.read_text(encoding="utf-8"))["checkpoints"]
    if unknown := set(args.ids) - {c["id"] for c in checkpoints}:
        parser.error(f"no such checkpoint: {', '.join(sorted(unknown))}")
    if not os.access(args.weigh, os.X_OK):
        parser.error(f"there is no program {args.weigh}")

    passed = failed = skipped = 0
    for truth in checkpoints:
        if args.ids and truth["id"] not in args.ids:
            continue
        path = FOLDER / truth["id"] / truth["file"]
        if not path.is_file():
            skipped += 1
            print(f"SKIP  {truth['id']}: not fetched")
            continue
        truncated = truth.get("truncated", False)
        try:
            got = shown(args.weigh, path, 2 if truncated else 0)
            if not truncated:
                got |= scanned(args.weigh, path)
            wrong = list(differences(expected(truth), got))
        except Wrong as error:
            wrong = [str(error)]
        except (KeyError, TypeError, AttributeError) as error:
            wrong = [f"the document lacks something: {type(error).__name__} {error}"]
        if wrong:
            failed += 1
            print(f"FAIL  {truth['id']}: {'; '.join(wrong)}")
        else:
            passed += 1
            what = "header facts" if truncated else f"{truth.get('zeros', 0):,} zeros"
            print(f"ok    {truth['id']}: {truth['tensors']:,} tensors, "
                  f"{truth['total_params']:,} elements, {what}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
