"""A table of runs as CSV."""

from __future__ import annotations

import csv
import io

from ktrdr.payloads.runs import RunTable, Value
from ktrdr.run_table.query import as_text

# A spreadsheet takes a text that begins so for a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def csv_of(table: RunTable) -> str:
    """One line for each run below the names of the columns; lists with commas, and nothing for no value."""
    content = io.StringIO()
    lines = csv.writer(content, lineterminator="\n")
    lines.writerow(column.name for column in table.columns)
    lines.writerows(map(_cell, row.values) for row in table.rows)
    return content.getvalue()


def _cell(value: Value) -> str:
    text = as_text(value)
    return f"'{text}" if isinstance(value, str | tuple) and text.startswith(_FORMULAS) else text
