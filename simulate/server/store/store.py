"""A store: where it is, its two ways in (reading, writing), and that its tables are those of today."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, insert, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from simulate.errors import EnvironmentFault, InputError, MissingExtra
from simulate.server.store.recent import Recent
from simulate.server.store.schema import audit, metadata, settings
from simulate.trace.redaction.redact import Redactor

DEFAULT = "sqlite:///.simulate/traces.db"
_MIGRATIONS = Path(__file__).with_name("migrations")


class Store:
    """Traces in SQLite or Postgres; `close` it when done.

    ``url`` is SQLAlchemy's, such as ``sqlite:///traces.db`` or ``postgresql://user@host/name``. The tables
    are made or brought up to date. Raises InputError for an address that is none, EnvironmentFault where the
    database cannot be opened."""

    def __init__(self, url: str = DEFAULT) -> None:
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._lock = threading.Lock()
        self.recent = Recent()
        try:
            with self.write() as connection:
                migrate(connection)
            self._redaction_key = self.setting("redaction key")
        except InputError:
            self.engine.dispose()
            raise
        except DBAPIError as error:
            self.engine.dispose()
            raise EnvironmentFault(
                f"the store cannot be opened: {reason(error)}", where=self.engine.url.render_as_string()
            ) from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextlib.contextmanager
    def read(self) -> Generator[Connection]:
        """A connection to read with; what it sees does not change meanwhile."""
        with self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction: all that is done inside is kept, or nothing. SQLite has one at a time."""
        alone = self._lock if self.is_sqlite else contextlib.nullcontext()
        with alone, self.engine.connect() as connection:
            connection.info["writes"] = True
            try:
                with connection.begin():
                    yield connection
            finally:
                connection.info.pop("writes", None)

    def insert(self, table: Any) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that knows ``on_conflict_do_update``."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def setting(self, name: str) -> str:
        """A secret of the store, made at random when it is first asked for."""
        with self.write() as connection:
            value = secrets.token_hex(32)
            row = {"name": name, "value": value}
            connection.execute(self.insert(settings).values(row).on_conflict_do_nothing())
            found = connection.execute(select(settings.c.value).where(settings.c.name == name))
            return str(found.scalar_one())

    def redactor(self, patterns: Mapping[str, str] | None = None, paths: Iterable[str] = ()) -> Redactor:
        """A redactor whose placeholders are always the same in this store; the arguments are its own."""
        return Redactor(self._redaction_key, patterns, paths)

    def names(self, user: str) -> list[str]:
        """A person's id as it is given, and as it was kept where redaction took it for personal data."""
        return list(dict.fromkeys([user, self.redactor().text(user)]))

    def audit(self, who: str, action: str, what: str) -> None:
        """Write down who exported, deleted or changed something."""
        with self.write() as connection:
            row = {"at_ns": time.time_ns(), "who": who, "action": action, "what": what}
            connection.execute(insert(audit).values(row))


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        name = address.get_backend_name()
        if name not in ("sqlite", "postgresql"):
            raise InputError(f"a store is in sqlite or postgresql, not in {name}", where=url)
        if name == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
            return create_engine(
                address, pool_size=8, pool_pre_ping=True, connect_args={"connect_timeout": 5}
            )
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        hint = "write sqlite:///traces.db or postgresql://user@host/name"
        raise InputError(f"not the address of a store: {url}", hint=hint) from error
    except ModuleNotFoundError as error:
        raise MissingExtra("a store in Postgres", "postgres") from error
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, pool_size=8, connect_args={"timeout": 30, "check_same_thread": False})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # `_begin_sqlite` begins; Python's own way begins too late
    connection.execute("PRAGMA journal_mode = WAL")
    # an acknowledged span is on the disk, whatever happens to the machine
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA secure_delete = ON")  # what was forgotten is not left in free pages


def _begin_sqlite(connection: Connection) -> None:
    # who reads first and writes then may find that another has written meanwhile, and has to fail
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("writes") else "BEGIN")


def migrate(connection: Connection, to: str = "head") -> None:
    """Bring the tables to a revision: ``head`` is the newest. Raises InputError for a store that a later
    version has written."""
    from alembic import command  # an optional extra
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None and set(metadata.tables) & set(inspect(connection).get_table_names()):
        raise InputError("this database has tables of these names that are not ours", hint="name another one")
    if current is not None and current not in known:
        raise InputError(
            f"this store was written by a later version (schema {current})", hint="upgrade simulate-agents"
        )
    down = to != "head" and current is not None and to < current
    (command.downgrade if down else command.upgrade)(config, to)


def reason(error: DBAPIError) -> str:
    """Why the database refused, in one line."""
    return str(error.orig or error).splitlines()[0]
