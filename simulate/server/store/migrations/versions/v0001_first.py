"""The first schema. A copy, so that it stays as it was: the tables of today are in `schema`."""

from __future__ import annotations

from typing import Any

from alembic import op
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
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

metadata = MetaData()
Id = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, **more: Any) -> Column[str]:
    return Column(name, Text, nullable=False, **more)


def _time(name: str, **more: Any) -> Column[int]:
    return Column(name, BigInteger, nullable=False, **more)


Table("settings", metadata, _text("name", primary_key=True), _text("value"))

Table(
    "keys", metadata,
    _text("id", primary_key=True), _text("hash"), _text("project"), _text("role"), _text("name"),
    _time("created_ns"), Column("revoked_ns", BigInteger),
)  # fmt: skip

Table(
    "incoming", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _text("trace_id"), _time("received_ns"), Column("spans", Integer, nullable=False),
    _text("what"), Column("data", LargeBinary, nullable=False),
    Index("incoming_trace", "project", "trace_id"),
)  # fmt: skip

Table(
    "unread", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _time("received_ns"), _text("path"), _text("content_type"), _text("why"),
    Column("data", LargeBinary, nullable=False),
)  # fmt: skip

Table(
    "traces", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _text("trace_id"), _time("began_ns"), Column("ended_ns", BigInteger),
    _time("sealed_ns"), _text("name"), Column("failing", Text), Column("seconds", Float),
    Column("first_token", Float), Column("tokens", BigInteger), Column("dollars", Float),
    Column("spans", Integer, nullable=False), Column("breached", Integer, nullable=False),
    Column("feedback", Text), Column("is_kept", Boolean, nullable=False), _text("why_kept"),
    _text("about"), _text("rolled"), Column("bytes", Integer, nullable=False),
    Index("traces_id", "project", "trace_id", unique=True),
    Index("traces_time", "project", "is_kept", "began_ns"),
)  # fmt: skip

Table(
    "contents", metadata,
    Column("trace", Id, primary_key=True, autoincrement=False), Column("data", LargeBinary, nullable=False),
)  # fmt: skip

Table(
    "spans", metadata,
    Column("trace", Id, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    _text("span_id"), _text("kind"), _text("name"), Column("model", Text), Column("tool", Text),
    Column("agent", Text), Column("failed", Boolean, nullable=False), Column("seconds", Float),
    Column("input_tokens", BigInteger), Column("output_tokens", BigInteger), Column("dollars", Float),
    Index("spans_kind", "kind", "output_tokens"), Index("spans_tool", "tool"), Index("spans_name", "name"),
)  # fmt: skip

Table(
    "tags", metadata,
    Column("trace", Id, primary_key=True, autoincrement=False),
    _text("name", primary_key=True), _text("value", primary_key=True), _text("project"), _time("began_ns"),
    Index("tags_value", "project", "name", "value", "began_ns"),
)  # fmt: skip

Table(
    "scores", metadata,
    Column("trace", Id, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    _text("project"), _time("began_ns"), _text("span_id"), _text("name"), Column("value", Float),
    Column("threshold", Float), Column("passed", Boolean), Column("label", Text),
    Index("scores_name", "project", "name", "began_ns"),
)  # fmt: skip

Table(
    "rollups", metadata,
    _text("project", primary_key=True), Column("hour", Integer, primary_key=True, autoincrement=False),
    _text("name", primary_key=True), _text("value", primary_key=True),
    Column("traces", Integer, nullable=False), Column("errors", Integer, nullable=False),
    Column("priced", Integer, nullable=False), Column("succeeded", Integer, nullable=False),
    Column("breached", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False), Column("dollars", Float, nullable=False),
)  # fmt: skip

Table(
    "sketches", metadata,
    _text("project", primary_key=True), Column("hour", Integer, primary_key=True, autoincrement=False),
    _text("name", primary_key=True), _text("value", primary_key=True), _text("measure", primary_key=True),
    Column("bin", Integer, primary_key=True, autoincrement=False), Column("count", Integer, nullable=False),
)  # fmt: skip

Table(
    "feedback", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _text("project"), _time("at_ns"), Column("trace", Id), Column("trace_id", Text), Column("session", Text),
    Column("user", Text), _text("rating"), Column("comment", Text),
    Index("feedback_trace", "trace"),
)  # fmt: skip

Table(
    "audit", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _time("at_ns"), _text("who"), _text("action"), _text("what"),
)  # fmt: skip

_TEXT = {
    # what is searched for word by word; the rowid is the trace's id
    "sqlite": "CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'unicode61')",
    "postgresql": "CREATE TABLE words (trace BIGINT PRIMARY KEY, text TSVECTOR NOT NULL)",
}


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    op.execute(_TEXT[connection.dialect.name])
    if connection.dialect.name == "postgresql":
        op.execute("CREATE INDEX words_text ON words USING GIN (text)")


def downgrade() -> None:
    op.execute("DROP TABLE words")
    metadata.drop_all(op.get_bind())
