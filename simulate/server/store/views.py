"""Searches that somebody gave a name."""

from __future__ import annotations

from sqlalchemy import delete, select

from simulate.errors import InputError
from simulate.server.store.schema import views
from simulate.server.store.store import Store

LONGEST = 60
"""Characters of a name."""


def save_view(store: Store, project: str, name: str, query: str, by: str) -> None:
    """Keep the query of a list of traces, in place of one of the same name. Raises InputError for no name."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST:
        raise InputError(f"a view needs a name of at most {LONGEST} characters")
    new = store.insert(views).values(project=project, name=name, query=query, saved_by=by)
    replaced = {column: new.excluded[column] for column in ("query", "saved_by")}
    with store.write() as connection:
        connection.execute(new.on_conflict_do_update(index_elements=("project", "name"), set_=replaced))


def drop_view(store: Store, project: str, name: str) -> None:
    """Remove a view; one that is not there is removed already."""
    with store.write() as connection:
        connection.execute(delete(views).where(views.c.project == project, views.c.name == name))


def saved_views(store: Store, project: str) -> dict[str, str]:
    """Name → query, by name."""
    query = select(views.c.name, views.c.query).where(views.c.project == project).order_by(views.c.name)
    with store.read() as connection:
        return {row.name: row.query for row in connection.execute(query)}
