"""The traces that a server keeps, as the numbers that a gate decides on."""

from __future__ import annotations

from typing import Any

from simulate.errors import InputError
from simulate.scoring.gate.measured import Measured
from simulate.server.client import Client

_PAGE = "1000"
_WHOLE = ("all are kept", "kept before")


def measured_on(server: Client, filter: str, since: str) -> Measured:
    """The traces that a filter such as ``prompt=v4`` finds on the server, each a case of one trial: whether
    it succeeded, what it cost, and its scores.

    Raises InputError where sampling chose what is there: it keeps failures and drops most of the rest, so no
    rate of what is left says anything of production."""
    found = Measured(f"{filter or 'every trace'} on {server.address}, since {since}")
    for row in _rows(server, filter, since):
        if row["why_kept"] not in _WHOLE:
            raise InputError(
                "the server keeps a sample that favours failures; a gate on it would judge the sampling",
                hint="a gate needs a server without keep: in its configuration, or the dashboard's sums",
            )
        case = str(row["trace_id"])
        found.total += 1
        found.passes[case] = [1.0 if row["succeeded"] else 0.0]
        if row["dollars"] is not None:
            found.cost[case] = [float(row["dollars"])]
        elif row["models"]:
            found.unknown["cost"] = found.unknown.get("cost", 0) + 1
            found.lacking["cost"] = "some traces have no known cost"
        for name, value in row["scores"].items():
            found.scores.setdefault(name, {})[case] = [float(value)]
    if not found.total:
        raise InputError(
            "no trace is like that", where=filter or "every trace", hint="look further back: --since 30d"
        )
    found.lacking["latency"] = "a trace of production does not tell the seconds of its replies"
    return found


def _rows(server: Client, filter: str, since: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    before: str | None = None
    while True:
        page = server.get(
            "/api/v1/traces", {"filter": filter, "since": since, "limit": _PAGE, "before": before}
        )
        rows += page["traces"]
        before = page["next"]
        if before is None:
            if page["unseen"]:
                raise InputError(
                    "the server found no time to read every trace", hint="take a shorter --since"
                )
            return rows
