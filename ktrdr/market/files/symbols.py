"""Whose bars a file holds: a column, or a line of the header, that names symbols must agree with the command."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from ktrdr.errors import BarsError
from ktrdr.market.files.columns import Columns
from ktrdr.market.files.names import fold
from ktrdr.market.files.table import Table

# Names of columns that may as well hold the name of a company, of a venue or of a segment.
_VAGUE = ("name", "market", "code", "pair")
_SYMBOLS_NAMED = 5


def symbol_of_header(table: Table, symbol: str, only: str) -> str:
    """The symbol whose columns are meant, as the header writes it; empty where it names none. Raises BarsError."""
    held = list(dict.fromkeys(filter(None, table.symbols)))
    return _chosen(held, "the header", symbol, only) if held else ""


def rows_of_symbol(table: Table, columns: Columns, symbol: str, only: str) -> Table:
    """The rows of the symbol that is asked for; all rows where no column names symbols.

    Raises BarsError where the column holds other symbols than the command names.
    """
    column = columns.symbol
    if column is None:
        if only and not table.symbols:
            raise BarsError(f"there is no column of symbols to take {only} from", hint="leave --only out")
        return table
    values = table.column(column).cast(pl.String).str.strip_chars()
    # A line of words below the table has no prices.
    is_bar = table.column(columns.prices["close"]).is_not_null()
    held = values.filter(is_bar).drop_nulls().unique(maintain_order=True).to_list()
    name = table.names[column - 1] if table.names else str(column)
    if not held or (not only and len(held) == 1 and fold(name) in _VAGUE):
        return table
    chosen = _chosen(held, f"column {name}", symbol, only)
    return table if len(held) == 1 else table.with_frame(table.frame.filter(values == chosen))


def _chosen(held: Sequence[str], where: str, symbol: str, only: str) -> str:
    if only:
        matching = [each for each in held if each.casefold() == only.casefold()] or [
            each for each in held if _is_same(each, only)
        ]
        if len(matching) == 1:
            return matching[0]
        raise BarsError(f"{where} does not hold {only}, but {_listed(held)}", hint="name one of those with --only")
    if len(held) == 1 and _is_same(held[0], symbol):
        return held[0]
    same = [each for each in held if _is_same(each, symbol)]
    meant = (same or list(held))[0]
    raise BarsError(
        f"{where} holds {_listed(held)}" + (f", and {symbol} is asked for" if not same else ""),
        hint=f"take the rows of one of them with: --only {meant}"
        if len(held) > 1
        else f"import it as {meant}, or say that these are the bars of {symbol} with: --only {meant}",
        symbols=list(held[:_SYMBOLS_NAMED]),
    )


def _listed(held: Sequence[str]) -> str:
    named = [each[:32] for each in held[:_SYMBOLS_NAMED]]
    if len(held) > _SYMBOLS_NAMED:
        return f"{', '.join(named)} and {len(held) - _SYMBOLS_NAMED:,} more symbols"
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))


def _is_same(theirs: str, ours: str) -> bool:
    """Whether two spellings mean one symbol: BTC/USDT and BTC-USDT, ACME.US and ACME, NASDAQ:ACME and ACME."""
    spellings = (_plain(theirs), _plain(ours))
    if spellings[0] == spellings[1]:
        return True
    if _has_ending(theirs) != _has_ending(ours):
        return _plain(_without_ending(theirs)) == _plain(_without_ending(ours))
    return False


def _plain(symbol: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", symbol.upper().rpartition(":")[2].partition("=")[0])


def _has_ending(symbol: str) -> bool:
    """Of an exchange, as in ACME.US; a letter behind a point may be a class of shares, as in BRK.B."""
    return re.search(r"\.([A-Z]{2,4}|[FLTV])$", symbol.upper()) is not None


def _without_ending(symbol: str) -> str:
    return symbol.rpartition(".")[0] if _has_ending(symbol) else symbol
