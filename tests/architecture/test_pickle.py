"""Nothing that is read can run code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "ktrdr"
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# torch.load and numpy.load unpickle; a strategy is read by ruamel's parser alone, which constructs nothing.
CALLS = {"torch.load", "torch.save", "np.load", "np.save", "yaml.load", "pl.deserialize", "eval", "exec", "compile"}


def unsafe(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.partition(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
                yield module
            case ast.Call(func=func) if ast.unparse(func) in CALLS:
                yield ast.unparse(func)


def test_the_probe_sees_what_is_unsafe() -> None:
    assert list(unsafe("import pickle\nfrom dill import load\ntorch.load(x)\nmodel.eval()")) == [
        "pickle",
        "dill",
        "torch.load",
    ]


def test_no_file_is_unpickled_or_evaluated() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): sorted(names)
        for path in PACKAGE.rglob("*.py")
        if (names := list(unsafe(path.read_text("utf-8"))))
    }

    # The one place that runs code from outside: files that a local setting names, and that nobody else can write.
    assert found == {"plugins/loading.py": ["compile", "exec"]}
