"""A dataset in a folder: its arrays as .npy, which any number of processes map into memory, the rest as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ktrdr.features.dataset import Dataset, LeftOut, Part, SymbolCoverage
from ktrdr.features.labels.label import Cuts
from ktrdr.features.scaling import Method, Scaler

_FACTS, _VALUES = "dataset.json", "values"
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a dataset holds beside its large arrays; the fields are its own, or those of its scaler."""

    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    sequence_length: int
    method: Method
    center: tuple[float, ...]
    scale: tuple[float, ...]
    cuts: Cuts | None
    target_scale: float
    symbols: tuple[str, ...]
    coverage: tuple[SymbolCoverage, ...]
    left_out: tuple[LeftOut, ...]
    bridges_holes: bool
    has_test: bool


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Raises OSError."""
    for name, array in _arrays(dataset):
        write_array(folder, name, array)
    (folder / _FACTS).write_bytes(TypeAdapter(_Facts).dump_json(_facts(dataset)))


def read_dataset(folder: Path) -> Dataset:
    """The dataset that `write_dataset` wrote, to the bit. Raises OSError, and ValueError for damaged files."""
    facts = TypeAdapter(_Facts).validate_json((folder / _FACTS).read_bytes())
    train, validation = _read_part(folder, "train"), _read_part(folder, "validation")
    return Dataset(
        values=read_array(folder, _VALUES),
        feature_names=facts.feature_names,
        class_names=facts.class_names,
        sequence_length=facts.sequence_length,
        train=train,
        validation=validation,
        test=_read_part(folder, "test") if facts.has_test else None,
        scaler=Scaler(facts.method, np.array(facts.center), np.array(facts.scale)),
        cuts=facts.cuts,
        target_scale=facts.target_scale,
        symbols=facts.symbols,
        coverage=facts.coverage,
        left_out=facts.left_out,
        bridges_holes=facts.bridges_holes,
    )


def write_array(folder: Path, name: str, array: NDArray[Any]) -> None:
    """Raises OSError."""
    with (folder / f"{name}.npy").open("wb") as file:
        npy.write_array(file, array, allow_pickle=False)


def read_array(folder: Path, name: str) -> NDArray[Any]:
    """Map an array into memory; pages that a process changes become its own.

    Raises OSError, and ValueError for a damaged file.
    """
    return np.asarray(npy.open_memmap(folder / f"{name}.npy", mode="c"))


def _arrays(dataset: Dataset) -> Iterator[tuple[str, NDArray[Any]]]:
    yield _VALUES, dataset.values
    for part_name in _PARTS:
        if (part := getattr(dataset, part_name)) is not None:
            yield from ((f"{part_name}.{field.name}", getattr(part, field.name)) for field in fields(Part))


def _facts(dataset: Dataset) -> _Facts:
    scaler = dataset.scaler
    return _Facts(
        feature_names=dataset.feature_names,
        class_names=dataset.class_names,
        sequence_length=dataset.sequence_length,
        method=scaler.method,
        center=tuple(scaler.center.tolist()),
        scale=tuple(scaler.scale.tolist()),
        cuts=dataset.cuts,
        target_scale=dataset.target_scale,
        symbols=dataset.symbols,
        coverage=dataset.coverage,
        left_out=dataset.left_out,
        bridges_holes=dataset.bridges_holes,
        has_test=dataset.test is not None,
    )


def _read_part(folder: Path, name: str) -> Part:
    return Part(**{field.name: read_array(folder, f"{name}.{field.name}") for field in fields(Part)})
