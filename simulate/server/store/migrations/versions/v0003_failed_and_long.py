"""Traces with a span that failed or said much are found without a look at every span."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("spans_failed", "spans", ["failed", "trace"])
    op.create_index("spans_output", "spans", ["output_tokens"])


def downgrade() -> None:
    op.drop_index("spans_output", "spans")
    op.drop_index("spans_failed", "spans")
