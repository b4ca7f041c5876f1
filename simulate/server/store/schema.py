"""The tables as they are now; `migrations` makes them, and makes older stores like this.

Times are nanoseconds since the Unix epoch, durations seconds, costs US dollars; NULL is unknown, never zero.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

from simulate.trace.otlp.ids import clean


class StoredText(TypeDecorator[str]):
    """A text as both databases can hold it: an agent's words may be anything, a NUL or half an emoji too."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Called by SQLAlchemy for each value that goes in, or that is compared with."""
        return None if value is None else clean_text(value)


def clean_text(text: str) -> str:
    """The text without what a database refuses."""
    if "\0" in text:
        text = text.replace("\0", "�")
    return clean(text)


metadata = MetaData()
Id = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, **more: Any) -> Column[str]:
    return Column(name, StoredText, nullable=False, **more)


def _time(name: str, **more: Any) -> Column[int]:
    return Column(name, BigInteger, nullable=False, **more)


settings = Table("settings", metadata, _text("name", primary_key=True), _text("value"))
"""What the store itself must remember: keys of redaction and of cookies."""

keys = Table(
    "keys", metadata,
    _text("id", primary_key=True), _text("hash"), _text("project"), _text("role"), _text("name"),
    _time("created_ns"), Column("revoked_ns", BigInteger),
)  # fmt: skip

incoming = Table(
    "incoming", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _text("trace_id"), _time("received_ns"), Column("spans", Integer, nullable=False),
    _text("what"), Column("data", LargeBinary, nullable=False),
    Index("incoming_trace", "project", "trace_id"),
)  # fmt: skip
"""What was acknowledged and is not part of a trace yet: ``what`` is ``spans`` or ``score``."""

unread = Table(
    "unread", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _time("received_ns"), _text("path"), _text("content_type"), _text("why"),
    Column("data", LargeBinary, nullable=False),
)  # fmt: skip
"""Requests that nothing here could read, redacted, as they came otherwise."""

traces = Table(
    "traces", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _text("trace_id"), _time("began_ns"), Column("ended_ns", BigInteger),
    _time("sealed_ns"), _text("name"), Column("failing", StoredText), Column("seconds", Float),
    Column("first_token", Float), Column("tokens", BigInteger), Column("dollars", Float),
    Column("spans", Integer, nullable=False), Column("breached", Integer, nullable=False),
    Column("feedback", StoredText), Column("is_kept", Boolean, nullable=False), _text("why_kept"),
    _text("about"), _text("rolled"), Column("bytes", Integer, nullable=False),
    Index("traces_id", "project", "trace_id", unique=True),
    Index("traces_time", "project", "is_kept", "began_ns"),
)  # fmt: skip
"""One row a trace. One that sampling dropped keeps this row, so that late spans know and rates stay true."""

contents = Table(
    "contents", metadata,
    Column("trace", Id, primary_key=True, autoincrement=False), Column("data", LargeBinary, nullable=False),
)  # fmt: skip
"""The spans of a trace: OTLP protobuf, zlib."""

spans = Table(
    "spans", metadata,
    Column("trace", Id, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    _text("span_id"), _text("kind"), _text("name"), Column("model", StoredText), Column("tool", StoredText),
    Column("agent", StoredText), Column("failed", Boolean, nullable=False), Column("seconds", Float),
    Column("input_tokens", BigInteger), Column("output_tokens", BigInteger), Column("dollars", Float),
    Index("spans_kind", "kind", "output_tokens"), Index("spans_tool", "tool"), Index("spans_name", "name"),
    Index("spans_failed", "failed", "trace"), Index("spans_output", "output_tokens"),
)  # fmt: skip

tags = Table(
    "tags", metadata,
    Column("trace", Id, primary_key=True, autoincrement=False),
    _text("name", primary_key=True), _text("value", primary_key=True), _text("project"), _time("began_ns"),
    Index("tags_value", "project", "name", "value", "began_ns"),
)  # fmt: skip
"""Whom and what a trace is about: user, session, prompt, model, tool …; each with all its values."""

scores = Table(
    "scores", metadata,
    Column("trace", Id, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    _text("project"), _time("began_ns"), _text("span_id"), _text("name"), Column("value", Float),
    Column("threshold", Float), Column("passed", Boolean), Column("label", StoredText),
    Index("scores_name", "project", "name", "began_ns"),
)  # fmt: skip

rollups = Table(
    "rollups", metadata,
    _text("project", primary_key=True), Column("hour", Integer, primary_key=True, autoincrement=False),
    _text("name", primary_key=True), _text("value", primary_key=True),
    Column("traces", Integer, nullable=False), Column("errors", Integer, nullable=False),
    Column("priced", Integer, nullable=False), Column("succeeded", Integer, nullable=False),
    Column("breached", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False), Column("dollars", Float, nullable=False),
    Index("rollups_name", "project", "name", "hour"),
)  # fmt: skip
"""Sums by hour since the epoch and by tag (name ``all``: everything), counted before sampling. ``priced`` is
how many of the traces have a known cost, which ``dollars`` adds up."""

sketches = Table(
    "sketches", metadata,
    _text("project", primary_key=True), Column("hour", Integer, primary_key=True, autoincrement=False),
    _text("name", primary_key=True), _text("value", primary_key=True), _text("measure", primary_key=True),
    Column("bin", Integer, primary_key=True, autoincrement=False), Column("count", Integer, nullable=False),
    Index("sketches_name", "project", "name", "measure", "hour"),
)  # fmt: skip
"""A DDSketch, one row a bin: adding rows up merges sketches, and taking away is adding a negative count."""

feedback = Table(
    "feedback", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _time("at_ns"), Column("trace", Id), Column("trace_id", StoredText),
    Column("session", StoredText), Column("user", StoredText), _text("rating"), Column("comment", StoredText),
    Index("feedback_trace", "trace"),
)  # fmt: skip

audit = Table(
    "audit", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _time("at_ns"), _text("who"), _text("action"), _text("what"),
)  # fmt: skip

alerts = Table(
    "alerts", metadata,
    _text("project", primary_key=True), _text("name", primary_key=True),
    Column("is_firing", Boolean, nullable=False), _time("since_ns"), Column("value", Float),
    Column("trace_id", StoredText), Column("is_told", Boolean, nullable=False), Column("problem", StoredText),
)  # fmt: skip
"""How each rule stands. One row a rule: whoever looks at it twice tells nobody twice."""

cases = Table(
    "cases", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _text("dataset"), _text("name"), _text("trace_id"), _text("users"), _text("state"),
    _text("scenario"), _text("origin"), Column("data", LargeBinary, nullable=False),
    _time("added_ns"), _text("added_by"),
    Column("reviewed_ns", BigInteger), Column("reviewed_by", StoredText),
    Index("cases_name", "project", "dataset", "name", unique=True),
)  # fmt: skip
"""Cases of golden datasets. They outlive the traces that they were made from, and hold all that a dataset's
files do: ``data`` is the redacted trace, ``users`` whom it is about, to be forgotten by."""

labels = Table(
    "labels", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("case", Id, nullable=False), _text("said"), _text("agent"), _text("label"), _text("by"),
    _time("at_ns"),
    Index("labels_case", "case"),
)  # fmt: skip
"""What people decided about the answers of a case, to measure judges by."""

views = Table(
    "views", metadata,
    _text("project", primary_key=True), _text("name", primary_key=True), _text("query"), _text("saved_by"),
)  # fmt: skip
"""Searches that somebody gave a name."""
