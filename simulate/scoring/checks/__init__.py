"""One class a word of ``expect:``; each looks at the evidence and gives a verdict."""

from __future__ import annotations

from simulate.scoring.checks.check import CHECKS, Check, Evidence, check_all

__all__ = ["CHECKS", "Check", "Evidence", "check_all"]
