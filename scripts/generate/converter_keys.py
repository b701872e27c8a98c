#!/usr/bin/env python3
"""Keys that the converter asks of config.json: every text in its sources that could be one, a line each.

    converter_keys.py LLAMA_CPP
"""

import ast
import re
import sys
from pathlib import Path

found = set()
for path in sorted((Path(sys.argv[1]) / "conversion").glob("*.py")):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z_][a-z0-9_]*", node.value):
            found.add(node.value)
print("\n".join(sorted(found - {"architectures", "model_type", "transformers_version", "dtype", "torch_dtype"})))
