"""What the server keeps: SQLite by default, Postgres by URL, the same tables in both."""

from simulate.server.store.store import Store

__all__ = ["Store"]
