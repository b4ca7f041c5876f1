"""Stores of every earlier schema open, and say what they said."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from simulate.errors import InputError
from simulate.server.assembler import put_away_all
from simulate.server.store import Store
from simulate.server.store.find import Wanted, find
from simulate.server.store.incoming import put, span_row
from simulate.server.store.schema import metadata
from simulate.server.store.search import parse_search
from simulate.server.store.store import migrate
from simulate.trace.span import Span


def test_the_tables_are_those_of_the_schema(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _ours})
        assert compare_metadata(context, metadata) == []


def _ours(name: str | None, kind: str, parents: object) -> bool:
    return kind != "table" or name in metadata.tables


def test_a_store_of_the_first_schema_opens_with_its_traces(url: str, make: Callable[..., list[Span]]) -> None:
    old = Store(url)
    put(old, [span_row("default", f"{1:032x}", make(1), time.time_ns())])
    put_away_all(old)
    with old.write() as connection:
        migrate(connection, "0001")
    old.close()
    new = Store(url)
    assert [row.trace_id for row in find(new, Wanted("default", parse_search("user=u-7"))).rows] == [
        f"{1:032x}"
    ]
    with new.read() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _ours})
        assert compare_metadata(context, metadata) == []
    new.close()


def test_a_store_of_a_later_version_is_refused(url: str) -> None:
    store = Store(url)
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(InputError, match="a later version"):
        Store(url)


def test_a_database_of_somebody_else_is_left_alone(url: str) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE traces (mine TEXT)"))
    engine.dispose()
    with pytest.raises(InputError, match="not ours"):
        Store(url)


@pytest.mark.parametrize("wrong", ["mysql://x/y", "nonsense", "sqlite"])
def test_what_is_no_address_of_a_store_is_refused(wrong: str) -> None:
    with pytest.raises(InputError):
        Store(wrong)
