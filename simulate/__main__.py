"""``python -m simulate``: the command line."""

from __future__ import annotations

from simulate.interfaces.cli.main import entry

entry()
