"""``only_writes``: what the agent changed is exactly this."""

from __future__ import annotations

from simulate.model.expect import OnlyWrites
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, at_span, judges
from simulate.scoring.checks.tools import BLIND
from simulate.scoring.checks.unread import unread_run
from simulate.scoring.writes import WriteTools, only_writes

UNLISTED = (
    "list the tools that write: `writes: [refund]` in the scenario, "
    'or `writes = ["refund"]` in pyproject.toml under [tool.simulate]'
)


@judges(OnlyWrites)
class OnlyWritesCheck(Check[OnlyWrites]):
    """The successful writes are exactly these; reads are ignored."""

    def describe(self) -> str:
        word = self.expectation
        if not word.only_writes:
            return "nothing is written"
        names = ", ".join(
            one.name if one.arguments is None else f"{one.name} {one.arguments}" for one in word.only_writes
        )
        return f"the only writes are {names}" + (", in this order" if word.in_order else "")

    def _unread(self, evidence: Evidence) -> str | None:
        """Why there may be more writes than were read."""
        names = dict.fromkeys([*(evidence.writes or ()), *(one.name for one in self.expectation.only_writes)])
        calls = {name: [call for call in evidence.tool_calls if call.name.matches(name)] for name in names}
        found = (unread_run(evidence.reading, name, calls[name]) for name in names)
        return next((why for why in found if why is not None), None)

    async def judge(self, evidence: Evidence) -> Verdict:
        word = self.expectation
        tools = WriteTools(evidence.writes, evidence.reading, [one.name for one in word.only_writes])
        hidden = evidence.no_tools_because or self._unread(evidence)
        found = only_writes(
            evidence.tool_calls, word.only_writes, tools, in_order=word.in_order, hidden=hidden
        )
        where = {} if found.call is None else at_span(found.call)
        if found.right is None:
            unlisted = found.call is not None and tools.writes(found.call.name) is not True
            return self.verdict("not_run", found.fact, hint=UNLISTED if unlisted else BLIND, **where)
        return self.verdict("passed" if found.right else "failed", found.fact, **where)
