"""``span`` and ``python``: queries on the trace, and functions of one's own."""

from __future__ import annotations

import inspect
from typing import Any

from simulate.errors import HarnessFault
from simulate.load_object import own_traceback
from simulate.model.expect import PythonCheck, SpanExists
from simulate.model.verdict import Verdict
from simulate.scoring.checks.check import Check, Evidence, allowed_times, judges, say_times
from simulate.scoring.checks.python_function import load_function
from simulate.trace.filter import parse
from simulate.user_code import failed, meant_for_us, skipped


@judges(SpanExists)
class SpanCheck(Check[SpanExists]):
    """The trace holds spans that a query finds."""

    def describe(self) -> str:
        query = ", ".join(f"{key}: {value}" for key, value in self.expectation.span.items())
        return f"the trace holds a span {{{query}}}{say_times(self.expectation.times)}"

    async def judge(self, evidence: Evidence) -> Verdict:
        if not evidence.trace.spans:
            return self.verdict("not_run", "there is no trace")
        if evidence.observed:
            return self.verdict(
                "not_run", "the agent left no spans; those of this trace are what was seen of it from outside"
            )
        found = parse(self.expectation.span).find(evidence.reading)
        least, most = allowed_times(self.expectation.times)
        passed = least <= len(found) <= (len(found) if most is None else most)
        names = ", ".join(dict.fromkeys(span.name for span in found[:20])) or "none"
        fact = f"{len(found)} of {len(evidence.trace)} spans: {names}"
        if evidence.spans_lost is not None and (len(found) < least or most is not None):
            fact += f"; {evidence.spans_lost}"
            if len(found) < least or (passed and evidence.turn_lost):
                return self.verdict("not_run", fact)
        return self.verdict(
            "passed" if passed else "failed",
            fact,
            span_id=found[0].span_id if found else None,
            expected={"at_least": least, "at_most": most},
            actual=len(found),
        )


@judges(PythonCheck)
class PythonFunctionCheck(Check[PythonCheck]):
    """A function of one's own looks at the evidence."""

    def describe(self) -> str:
        return f"{self.expectation.python} agrees"

    async def judge(self, evidence: Evidence) -> Verdict:
        function = load_function(self.expectation, evidence.project)
        try:
            answer = function(evidence, **self.expectation.args)
            if inspect.isawaitable(answer):
                answer = await answer
        except BaseException as error:
            if meant_for_us(error):
                raise
            if failed(error):
                return self.verdict("failed", str(error) or "its assertion does not hold")
            if skipped(error):
                return self.verdict("not_run", str(error) or "it was skipped")
            raise HarnessFault(
                f"{self.expectation.python} raised {type(error).__name__}: {error}",
                proof=own_traceback(error),
            ) from error
        return self._read(answer)

    def _read(self, answer: Any) -> Verdict:
        match answer:
            case Verdict():
                return answer
            case None | True:
                return self.verdict("passed", "it does")
            case False:
                return self.verdict("failed", "it does not")
            case str():
                return self.verdict("failed", answer)
            case _:
                raise HarnessFault(
                    f"{self.expectation.python} returned a {type(answer).__name__}",
                    hint="a check returns None, a bool, a text (why it failed) or a Verdict",
                )
