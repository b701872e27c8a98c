#!/usr/bin/env python3
"""Writes fixtures/pickles: small pickles, and the imports that picklescan and pickletools see in each. Nothing is ever unpickled.

usage: make_pickle_fixtures.py FOLDER      (Python 3.11; needs picklescan==0.0.30 and numpy==2.1.3)

`imports` are [module, name] pairs in sorted order, as picklescan's `_list_globals` gives them where it can follow the pickle, and
as written by hand (`by_hand`) where it cannot: it takes the escapes of text opcodes for what they are not.
"""
import collections, functools, io, json, os, pathlib, pickle, struct, sys, zipfile

import numpy
from picklescan.scanner import _list_globals


class Calls:
    """Pickled as a call; loading would make it, so nothing here is loaded."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def torch_archive(data):
    """What torch.save writes, in the little that matters: members stored, the pickle in data.pkl."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as z:
        for name, content in (("model/data.pkl", data), ("model/version", b"3\n"), ("model/data/0", bytes(64))):
            z.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    files, truth = {}, {}

    def add(name, content, dangerous, by_hand=None, pickles=None):
        (folder / name).write_bytes(content)
        seen = by_hand
        if seen is None:
            seen = sorted(_list_globals(io.BytesIO(pickles or content), multiple_pickles=True))
        truth[name] = {"imports": [list(pair) for pair in sorted(seen)], "dangerous": dangerous, "by_hand": by_hand is not None}

    state = collections.OrderedDict(weight=numpy.arange(4, dtype="float32"), shape=(2, 2), n=10**30, text="os\nsystem", none=None)
    for protocol in range(6):
        add(f"state_v{protocol}.pkl", pickle.dumps(state, protocol), False)
        add(f"calls_v{protocol}.pkl", pickle.dumps({"a": [Calls(os.system, "true")], "b": state}, protocol), True)
    add("memo_v4.pkl", pickle.dumps([Calls(os.getenv, "A"), Calls(os.system, "true"), Calls(os.getenv, "B")], 4), True)
    add("partial_v4.pkl", pickle.dumps(functools.partial(print, "x"), 4), True)
    add("eval_v2.pkl", pickle.dumps(Calls(eval, "1"), 2), True)
    add("archive.pt", torch_archive(pickle.dumps(state, 2)), False, pickles=pickle.dumps(state, 2))
    add("archive_calls.pt", torch_archive(pickle.dumps(Calls(os.system, "true"), 2)), True, pickles=pickle.dumps(Calls(os.system, "true"), 2))
    five = b"".join(pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, state, ["0"]))
    add("old_torch.bin", five + struct.pack("<Q4f", 4, 1, 2, 3, 4), False, pickles=five)
    add("inst_v0.pkl", b"(S'true'\nios\nsystem\n.", True)
    add("detour_v4.pkl", b"\x80\x04\x8c\x13torch.serialization\x8c\x09os.system\x93.", True)
    escaped = b"\x80\x04V\\u006f\\u0073\nS'sy\\x73tem'\n\x93."
    add("escapes_v4.pkl", escaped, True, by_hand=[("os", "system")])
    add("broken_calls.pkl", pickle.dumps(Calls(os.system, "true"), 2)[:-1] + b"\xff\xff", True, by_hand=[("posix", "system")])
    add("second_v0.pkl", pickle.dumps(1, 2) + b"cos\nsystem\n(S'true'\ntR.", True)
    (folder / "expected.json").write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
