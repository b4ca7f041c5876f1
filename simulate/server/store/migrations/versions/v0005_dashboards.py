"""Sums and sketches found by what a dashboard asks for, and not by the hour alone."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("rollups_name", "rollups", ["project", "name", "hour"])
    op.create_index("sketches_name", "sketches", ["project", "name", "measure", "hour"])


def downgrade() -> None:
    op.drop_index("sketches_name", "sketches")
    op.drop_index("rollups_name", "rollups")
