"""evaluated_rows.parquet: what the model and its rivals predicted for each evaluated sample, for later comparisons."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import StorageError
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.evaluation.rivals import CONTROL, Rivals
from ktrdr.evaluation.verdict import YARDSTICKS
from ktrdr.training.files import EVALUATED_ROWS, write_file

if TYPE_CHECKING:
    import polars as pl

# A predictor's name alone is the column of what it predicted; `name.class` holds the probability of a class.
_MODEL = "model"
_FIXED = ("part", "timestamp", "symbol", "span", "look_back", "scale", "label")


def write_rows(folder: Path, parts: Sequence[EvaluatedRows]) -> None:
    import polars as pl

    buffer = io.BytesIO()
    pl.concat([_table(rows) for rows in parts]).write_parquet(buffer)
    write_file(folder / EVALUATED_ROWS, buffer.getvalue())


def read_rows(folder: Path, part: str) -> EvaluatedRows | None:
    """The rows of one part; None where there are none, or where an older version wrote no file.

    Raises StorageError for a damaged file.
    """
    import polars as pl

    path = folder / EVALUATED_ROWS
    try:
        table = pl.read_parquet(path.read_bytes()).filter(pl.col("part") == part)
        return _rows(table, part) if len(table) else None
    except FileNotFoundError:
        return None
    except (OSError, pl.exceptions.PolarsError, KeyError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}", path=str(path)) from error


def _table(rows: EvaluatedRows) -> pl.DataFrame:
    import polars as pl

    guesses = {_MODEL: rows.model, **rows.rivals.by_name}
    return pl.DataFrame(
        {
            "part": pl.Series([rows.part] * len(rows)),
            "timestamp": pl.Series(rows.timestamps).dt.replace_time_zone("UTC"),
            "symbol": rows.symbols,
            "span": rows.spans.astype(np.int32),
            "look_back": rows.look_back.astype(np.int32),
            "scale": rows.scales,
            "label": _named(rows.labels, rows.class_names),
            **{
                column: values
                for name, guess in guesses.items()
                for column, values in _columns(name, guess, rows.class_names).items()
            },
        }
    )


def _columns(name: str, guess: Guess, class_names: Sequence[str]) -> dict[str, NDArray[Any]]:
    predicted = {name: _named(guess.predicted, class_names)}
    if guess.probabilities is None:
        return predicted
    by_class = zip(class_names, guess.probabilities.T, strict=True)
    return predicted | {f"{name}.{one}": values.astype(np.float32) for one, values in by_class}


def _named(values: NDArray[Any], class_names: Sequence[str]) -> NDArray[Any]:
    return np.array(class_names)[values] if class_names else values


def _rows(table: pl.DataFrame, part: str) -> EvaluatedRows:
    names = [name for name in table.columns if name not in _FIXED]
    class_names = tuple(name.removeprefix(f"{_MODEL}.") for name in names if name.startswith(f"{_MODEL}."))
    guesses = {name: _guess(table, name, class_names) for name in names if "." not in name}
    model = guesses.pop(_MODEL)
    return EvaluatedRows(
        part=part,
        class_names=class_names,
        timestamps=table["timestamp"].to_numpy().astype("datetime64[us]"),
        symbols=table["symbol"].to_numpy().astype(np.str_),
        spans=table["span"].to_numpy().astype(np.int64),
        labels=_values(table["label"], class_names),
        scales=table["scale"].to_numpy(),
        folds=np.zeros(len(table), np.int64),
        look_back=table["look_back"].to_numpy().astype(np.int64),
        model=model,
        rivals=_rivals(guesses),
    )


def _rivals(guesses: Mapping[str, Guess]) -> Rivals[Guess]:
    yardsticks = {name: guess for name, guess in guesses.items() if name in YARDSTICKS}
    naive = {name: guess for name, guess in guesses.items() if name not in yardsticks and name != CONTROL}
    return Rivals(naive, yardsticks, guesses.get(CONTROL))


def _guess(table: pl.DataFrame, name: str, class_names: Sequence[str]) -> Guess:
    columns = [f"{name}.{one}" for one in class_names]
    has_probabilities = bool(columns) and columns[0] in table.columns
    return Guess(
        _values(table[name], class_names),
        table.select(columns).to_numpy().astype(np.float64) if has_probabilities else None,
    )


def _values(column: pl.Series, class_names: Sequence[str]) -> NDArray[Any]:
    if not class_names:
        return column.to_numpy().astype(np.float64)
    return column.replace_strict(list(class_names), range(len(class_names))).to_numpy().astype(np.int64)
