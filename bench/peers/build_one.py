"""Inside a peer's virtual environment: calls one function of a file in ``builders/``, and nothing else.

    python build_one.py builders/onnxruntime.py default MODEL WINDOWS OUT

Imports nothing of phiz. The whole process is what is timed, as a user would wait for it.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its files must not hide anybody's modules
    file, function, *places = sys.argv[1:]
    spec = spec_from_file_location("builder", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["builder"] = module
    spec.loader.exec_module(module)
    getattr(module, function)(*map(Path, places))
