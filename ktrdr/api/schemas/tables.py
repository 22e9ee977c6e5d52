"""Stored tables, whose rows say when they were known."""

from __future__ import annotations

from pydantic import BaseModel, Field

from ktrdr.payloads.payload import BarInstant
from ktrdr.payloads.tables import TableInfo, TableReading


class TableImport(TableReading):
    """The query of a table's import."""

    filename: str = Field(description="The file's name; its ending tells the format.", max_length=255)
    replace: bool = Field(False, description="Drop what is stored of the table and start it anew.")

    @property
    def reading(self) -> TableReading:
        return TableReading.model_validate(self.model_dump(include=set(TableReading.model_fields), exclude_unset=True))


class TableList(BaseModel):
    tables: list[TableInfo]


class TableRow(BaseModel):
    """One row of a table."""

    known_at: BarInstant = Field(description="Since when it was known.")
    period: BarInstant = Field(description="The period that it is about.")
    symbol: str | None = Field(None, description="The symbol that it is about; null in a table common to all.")
    values: list[float | None] = Field(description="In the order of the table's columns; null where nothing is known.")


class TableRows(BaseModel):
    """A table, and its newest rows in the order in which they were known."""

    table: TableInfo
    rows: list[TableRow]
