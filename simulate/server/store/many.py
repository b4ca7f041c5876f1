"""Many rows with one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Insert
from sqlalchemy.engine import Connection

from simulate.server.store.schema import clean_text


def execute_many(connection: Connection, statement: Insert, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, which have the same columns. To SQLite they go past SQLAlchemy, which takes longer to go
    through the values than SQLite to keep them."""
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(statement, rows)
        return
    compiled: Any = statement.compile(dialect=connection.dialect, column_keys=list(rows[0]))
    values = [
        tuple(
            [
                clean_text(value) if type(value) is str else value
                for value in map(row.get, compiled.positiontup)
            ]
        )
        for row in rows
    ]
    connection.exec_driver_sql(compiled.string, values)
