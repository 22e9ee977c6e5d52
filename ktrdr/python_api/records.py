"""What was tried so far: the ledger and the table of runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ktrdr.python_api.inputs import open_home
from ktrdr.settings import read_settings

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.payloads.looks import Look


def looks(*, home: Path | str | None = None) -> pl.DataFrame:
    """The ledger: one row for each look at held-out rows, in the order in which they were opened.

    `account` is the id of the first look at the same bars, whatever these were called. Columns are those of
    `ktrdr.payloads.looks.Look` and `LookFigures`, but for its tests; figures of looks that never came to an end are
    null. Raises StorageError.
    """
    import polars as pl

    from ktrdr.ledger.store import Ledger
    from ktrdr.payloads.looks import Look, LookFigures

    tests = {"tests", "against_zero", "against_holding"}
    about = [name for name in Look.model_fields if name != "figures"]
    figures = [name for name in LookFigures.model_fields if name not in tests]
    with closing(Ledger(open_home(home).ledger)) as ledger:
        accounts = ledger.accounts()
    rows = [
        (account.account_id, *(getattr(look, name) for name in about), *_figures(look, figures))
        for account in accounts
        for look in account.entries
    ]
    table = pl.DataFrame(rows, schema=["account", *about, *figures], orient="row", infer_schema_length=None)
    return table.sort("opened_at", maintain_order=True)


def _figures(look: Look, names: Sequence[str]) -> list[object]:
    return [getattr(look.figures, name, None) for name in names]


def runs(
    query: str = "",
    *,
    where: str | Sequence[str] = (),
    sort: str | Sequence[str] = (),
    columns: Sequence[str] = (),
    limit: int | None = None,
    home: Path | str | None = None,
) -> pl.DataFrame:
    """All trainings, folds and trials of a home as `ktrdr runs` lists them: one row each, one column a setting.

    `where` are conditions such as "training.learning_rate<0.01", `sort` columns such as "-lead"; newest first by
    default, and all columns that have values. Reads the registry itself, so no server need run; one may.
    Raises InputError and StorageError.
    """
    from ktrdr.run_table.frame import frame_of
    from ktrdr.run_table.home import read_home
    from ktrdr.run_table.query import EVERY, Condition, Order, RunQuery

    settings, opened = read_settings(), open_home(home)
    asked = RunQuery(
        text=query,
        where=[Condition.parse(each) for each in ([where] if isinstance(where, str) else where)],
        order=Order.parse([sort] if isinstance(sort, str) else sort),
        columns=tuple(columns) or EVERY,
        limit=sys.maxsize if limit is None else limit,
    )
    database_url = "" if home else settings.ktrdr_database_url
    return frame_of(read_home(opened.registry, database_url).select(asked))
