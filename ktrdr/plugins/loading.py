"""Runs the files of plugins in this process: in workers, in Python, and nowhere in the server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Self

from ktrdr.errors import PluginError, PluginMismatch
from ktrdr.payloads.plugins import PluginDeclaration, PluginFile, PluginKind, Plugins
from ktrdr.plugins.declaration import Declared, declared_by
from ktrdr.plugins.describing import DescribedPlugins
from ktrdr.plugins.failures import CHECK_HINT, MODULE_PREFIX, located
from ktrdr.plugins.files import Source, read_source
from ktrdr.settings import read_settings


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file that has run once without an error, and declares at least one plugin."""

    path: Path
    sha256: str
    code: CodeType
    plugins: tuple[PluginDeclaration, ...]

    @classmethod
    def of(cls, source: Source) -> Self:
        """Raises PluginError."""
        with located(source.path):
            code = compile(source.content, str(source.path), "exec", dont_inherit=True)
        functions = _run(source.path, source.sha256, code)
        declarations = tuple(each.declaration for each, _ in functions)
        _check(source.path, declarations)
        return cls(source.path, source.sha256, code, declarations)

    def fresh(self, kind: PluginKind, name: str) -> tuple[Declared, Callable[..., Any]]:
        """A plugin of a module that nothing has run in yet, so that nothing which it remembers reaches another call."""
        for declared, function in _run(self.path, self.sha256, self.code):
            if (declared.declaration.kind, declared.declaration.name) == (kind, name):
                return declared, function
        raise PluginError(f"{self.path.name} declares the {kind} {name} only at times", hint="declare it always")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin, ready to run.

    file: that declares it
    declaration: as it was when the file was read
    """

    file: LoadedFile
    declaration: PluginDeclaration

    def fresh(self) -> tuple[Declared, Callable[..., Any]]:
        return self.file.fresh(self.declaration.kind, self.declaration.name)

    def error(self, what: str) -> PluginError:
        """The error of a plugin that `what`, such as "returns None"."""
        about = self.declaration
        place = f"{self.file.path.name}, line {about.line}, in {about.function}"
        return PluginError(f"{place}: it {what}", hint=CHECK_HINT)


def loaded_plugins() -> Plugins:
    """What the files of the setting declare now; those that cannot be used have an error."""
    return load_plugins(read_settings().plugin_files)


def load_plugins(paths: Sequence[Path]) -> Plugins:
    return Plugins(files=tuple(map(_loaded, paths)))


def find_plugin(kind: PluginKind, name: str, sha256: str) -> Plugin:
    """The plugin of the file with this hash; once loaded it stays as it is, whatever becomes of the file.

    Raises PluginMismatch when the file has changed or is missing, and PluginError when it cannot be used.
    """
    if sha256 not in _files_by_hash:
        _load(_source_with(kind, name, sha256))
    file = _files_by_hash[sha256]
    for declared in file.plugins:
        if (declared.kind, declared.name) == (kind, name):
            return Plugin(file, declared)
    raise PluginMismatch(f"{file.path.name} declares no {kind} {name}", hint="see: ktrdr plugins list", plugin=name)


# A file's code never changes, so whoever needs this content may have it.
_files_by_hash: dict[str, LoadedFile] = {}


def used_plugins(uses: Iterable[tuple[PluginKind, str, str | None]]) -> Plugins:
    """The files of these plugins, each with its kind, its name and the hash of its file, as records name them."""
    files = {sha256: find_plugin(kind, name, sha256).file for kind, name, sha256 in uses if sha256}
    described = (PluginFile(path=file.path.name, sha256=file.sha256, plugins=file.plugins) for file in files.values())
    return Plugins(files=tuple(described))


def _source_with(kind: PluginKind, name: str, sha256: str) -> Source:
    """The file with this content; no other file runs here. Raises PluginMismatch where there is none."""
    paths = read_settings().plugin_files
    for path in paths:
        with suppress(PluginError):
            if (source := read_source(path)).sha256 == sha256:
                return source
    raise _mismatch(kind, name, sha256, DescribedPlugins(paths)())


def _loaded(path: Path) -> PluginFile:
    sha256 = ""
    try:
        source = read_source(path)
        sha256 = source.sha256
        return PluginFile(path=str(path), sha256=sha256, plugins=_load(source).plugins)
    except PluginError as error:
        return PluginFile(path=str(path), sha256=sha256, error=error.detail)


def _load(source: Source) -> LoadedFile:
    """Raises PluginError."""
    loaded = _load_once(source)
    if isinstance(loaded, PluginError):
        raise loaded
    return _files_by_hash.setdefault(loaded.sha256, loaded)


@lru_cache(maxsize=64)
def _load_once(source: Source) -> LoadedFile | PluginError:
    """A file that fails is not run again either."""
    try:
        return LoadedFile.of(source)
    except PluginError as error:
        return error


def _run(path: Path, sha256: str, code: CodeType) -> list[tuple[Declared, Callable[..., Any]]]:
    """Run a file as a new module, and return what it declares, in its order."""
    module = ModuleType(f"{MODULE_PREFIX}{path.stem}_{sha256[:8]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and typing look their own module up
    with located(path):
        exec(code, module.__dict__)
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    return [(declared, value) for value in own if (declared := declared_by(value))]


def _check(path: Path, declarations: Sequence[PluginDeclaration]) -> None:
    if not declarations:
        hint = "mark a function with @feature, @label or @network of ktrdr.plugins"
        raise PluginError(f"{path.name} declares no plugin", hint=hint)
    names = [(each.kind, each.name) for each in declarations]
    if twice := next((each for each in names if names.count(each) > 1), None):
        raise PluginError(f"{path.name} declares the {twice[0]} {twice[1]} twice", hint="give one another name")


def _mismatch(kind: PluginKind, name: str, sha256: str, now: Plugins) -> PluginMismatch:
    found, unusable = now.find(kind, name), "".join(f"; {error}" for error in now.errors())
    if found:
        file = found[0]
        then_and_now = f"{Path(file.path).name} is now {file.sha256[:12]}…, and was {sha256[:12]}…"
        what = f"is not the one that was used: {then_and_now}"
        hint = "name the file as it was in KTRDR_PLUGINS, or train again with the new one"
    else:
        what = f"was used, and no file of KTRDR_PLUGINS declares it{unusable}"
        hint = f"name its file there, the one with the SHA-256 {sha256[:12]}…"
    return PluginMismatch(f"the {kind} {name} {what}", hint=hint, plugin=name)
