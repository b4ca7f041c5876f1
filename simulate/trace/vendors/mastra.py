"""Mastra: steps of its own between the spans that carry the conventions' names."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect

DIALECT = Dialect(
    name="mastra",
    version="1.0",
    rank=81,
    marks=("mastra.",),
    tells=False,
    kinds={"mastra.span.type": {}},  # every one that has no operation of the conventions is a step
)
