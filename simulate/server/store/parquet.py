"""The rows of a store as Parquet files, zstd, in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Integer, select

from simulate.errors import MissingExtra
from simulate.server.store.schema import scores, spans, tags, traces
from simulate.server.store.store import Store

_AT_ONCE = 20_000


def export(store: Store, folder: Path) -> Iterator[tuple[Path, int]]:
    """Write each table and say where, and how many rows. Raises MissingExtra without pyarrow."""
    try:
        import pyarrow as pa  # an optional extra  # pyright: ignore[reportMissingTypeStubs]
        import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]
    except ModuleNotFoundError as error:
        raise MissingExtra("Parquet export", "parquet") from error
    arrow: Any = pa
    parquet: Any = pq
    folder.mkdir(parents=True, exist_ok=True)
    for table in (traces, spans, tags, scores):
        schema = arrow.schema([(column.name, _type(arrow, column)) for column in table.columns])
        path, count = folder / f"{table.name}.parquet", 0
        with parquet.ParquetWriter(path, schema, compression="zstd") as writer, store.read() as connection:
            rows = connection.execution_options(yield_per=_AT_ONCE).execute(select(table))
            for part in rows.mappings().partitions():
                writer.write_table(arrow.Table.from_pylist([dict(row) for row in part], schema))
                count += len(part)
        yield path, count


def _type(arrow: Any, column: Any) -> Any:
    kinds = (
        (Boolean, arrow.bool_()),
        (Float, arrow.float64()),
        (BigInteger, arrow.int64()),
        (Integer, arrow.int64()),
    )
    return next((made for kind, made in kinds if isinstance(column.type, kind)), arrow.string())
