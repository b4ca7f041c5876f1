"""Golden datasets with their labels, and searches with a name."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def upgrade() -> None:
    op.create_table(
        "cases",
        Column("id", Id, primary_key=True, autoincrement=True),
        *(_text(name) for name in ("project", "dataset", "name", "trace_id", "users", "state")),
        *(_text(name) for name in ("scenario", "origin")),
        Column("data", LargeBinary, nullable=False),
        Column("added_ns", BigInteger, nullable=False),
        _text("added_by"),
        Column("reviewed_ns", BigInteger),
        Column("reviewed_by", Text),
    )
    op.create_index("cases_name", "cases", ["project", "dataset", "name"], unique=True)
    op.create_table(
        "labels",
        Column("id", Id, primary_key=True, autoincrement=True),
        Column("case", Id, nullable=False),
        *(_text(name) for name in ("said", "agent", "label", "by")),
        Column("at_ns", BigInteger, nullable=False),
    )
    op.create_index("labels_case", "labels", ["case"])
    op.create_table(
        "views",
        Column("project", Text, primary_key=True, nullable=False),
        Column("name", Text, primary_key=True, nullable=False),
        *(_text(name) for name in ("query", "saved_by")),
    )


def downgrade() -> None:
    for table in ("views", "labels", "cases"):
        op.drop_table(table)
