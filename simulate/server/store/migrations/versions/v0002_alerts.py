"""How each alert stands."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        Column("project", Text, primary_key=True, nullable=False),
        Column("name", Text, primary_key=True, nullable=False),
        Column("is_firing", Boolean, nullable=False),
        Column("since_ns", BigInteger, nullable=False),
        Column("value", Float),
        Column("trace_id", Text),
        Column("is_told", Boolean, nullable=False),
        Column("problem", Text),
    )


def downgrade() -> None:
    op.drop_table("alerts")
