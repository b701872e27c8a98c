#!/usr/bin/env python3
"""Makes fixtures/python_json.json: texts, and what Python's own json reads of each. Python 3.11, standard library alone.

usage: make_python_json.py OUT

Per case: `text` (as hexadecimal bytes), and `value`, or `error` with the byte at which Python stopped (`null` where the text is no
UTF-8 or a number is refused, of which Python names no place). In `value`, what strict JSON cannot hold stands as text: NaN,
Infinity, -Infinity, whole numbers beyond every float by their digits; half of a surrogate pair is U+FFFD."""
import json
import math
import random
import sys

BY_HAND = [
    '{"a": [0.0, Infinity], "b \\" NaN": -Infinity, "c": "Infinity \\\\", "d": NaN}', 'NaN', '-NaN', '+Infinity', 'Infinity',
    '-Infinity', 'Infinit', '[NaN, NaN]', '[NaNNaN]', '[NaN1]', '[1NaN]', '[-Infinityx]', '{NaN: 1}', '{"NaN": "NaN"}',
    '[nan]', '[inf]', '[- Infinity]', '[1-Infinity]', '1e400', '-1e400', '[1e-400, -0.0, -0, 0e0]', '9' * 309, '1' + '0' * 400,
    '-' + '8' * 4300, '7' * 4301, '[18446744073709551615, 18446744073709551616, -9223372036854775809]',
    '{"a": 1, "a": 2, "b": {"a": 3}, "a": [4]}', '"\\ud800"', '"\\udc00"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00\\ud83d"',
    '"\\ud83d\\ud83d\\ude00"', '"\\ud83d\\n"', '"\\ud83dx"', '"\\ud83d\\u0041"', '"\\uD83D\\uDE0"', '"\\u12g4"', '"\\u+123"',
    '{"\\udc00": "\\ud800 \\ud800\\udc00"}', '\ufeff{}', ' \ufeff{}', '{}\ufeff', '[1]\x0c', '\u00a0[1]', '', ' ', '\t\r\n[ ]\r\n',
    '[1,]', '{"a":1,}', '{,}', '[01]', '[1.]', '[.5]', '[+1]', '[1e]', '[1e+]', '[-]', '{"a" 1}', '{a:1}', "{'a':1}", '[1 2]',
    '{} {}', '["\\x"]', '["a\nb"]', '["a\tb"]', '["a\x00b"]', '["a\x7fb"]', '[tru]', '[nul', ']', '[}', '{]', '{"a":}', '[1]//x',
    '{"a":1 "b":2}', '[,1]', 'nullx', '[true,false,null]', '[True]', '[None]', '"unfinished', '"\\', '{"a": 1', '{"a"', '{"a":',
    '[1, [2, [3, {"x": [4.5e3, -1E+2, 0.1]}]]]', '"\u00e9\u2028\U0001f600"', '[' * 100 + ']' * 100, '[1\n, 2\n,, 3]',
    '{"k": "caf\u00e9 caf\u00e9",\n "l": nope}', '{"time_step_limit": [\n0.0,\nInfinity\n],\n"x": ?}',
]
RAW = [b'"\xff"', b'{"a": "\xc3"}', b'["\xed\xa0\x80"]', b'\xff\xfe{\x00}\x00', b'[1]\x80', b'\xef\xbb\xbf{"a": 1}', b'\xef\xbb\xbf']
PIECES = ['{', '}', '[', ']', ',', ':', '"', '\\', ' ', '\n', '0', '1', '-', '.', 'e', 'NaN', 'Infinity', '-Infinity', 'null', 'true',
          '"a"', '"\\ud800"', '\\u', 'dc00', '1e999', '\ufeff', 'x', '\u00e9']


def mutated(count):
    random.seed(8)
    whole = '{"a": [1, -2.5e3, NaN, "x\\ud83d\\ude00\\n"], "b": {"c": -Infinity, "d": null}, "a": true, "e": "\\udc00"}'
    for _ in range(count):
        text = whole
        for _ in range(random.randint(1, 2)):
            at, cut = random.randrange(len(text) + 1), random.choice((0, 0, 1, 2, 5))
            text = text[:at] + random.choice(PIECES + ['']) + text[at + cut:]
        yield text


def plain(value):
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        return ''.join('\ufffd' if '\ud800' <= c <= '\udfff' else c for c in value)
    if isinstance(value, int):
        try:
            float(value)
        except OverflowError:
            return str(value)
        return value if -2**63 <= value < 2**64 else float(value)
    if math.isfinite(value):
        return value
    return 'NaN' if value != value else 'Infinity' if value > 0 else '-Infinity'


def main(out):
    cases, seen = [], set()
    for text in [t.encode() for t in BY_HAND] + RAW + [t.encode() for t in mutated(300)]:
        if text in seen:
            continue
        seen.add(text)
        case = {'text': text.hex()}
        try:
            case['value'] = plain(json.loads(text.decode('utf-8')))
        except json.JSONDecodeError as e:
            case['error'] = len(e.doc[:e.pos].encode())
        except ValueError:
            case['error'] = None
        cases.append(case)
    about = 'What CPython %d.%d reads of each text (scripts/truth/make_python_json.py).' % sys.version_info[:2]
    with open(out, 'w') as f:
        f.write('{"about": %s,\n"cases": [\n' % json.dumps(about))
        f.write(',\n'.join(json.dumps(c, allow_nan=False) for c in cases) + '\n]}\n')


main(sys.argv[1])
