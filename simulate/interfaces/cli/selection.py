"""Which scenarios a run takes: ``-k`` with and, or and not; and those that did not pass in an earlier run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulate.errors import InputError

if TYPE_CHECKING:
    from simulate.model.trial import TrialSpec

Wanted = Callable[[Sequence[str]], bool]
"""Whether the texts that describe a scenario, without upper case, fit."""
_TOKEN = re.compile(r"""[()]|"[^"]*"|'[^']*'|[^\s()]+""")
_WORDS = ("and", "or", "not")


def selected(scenarios: Sequence[TrialSpec], expression: str | None) -> list[TrialSpec]:
    """The scenarios whose name, case, file or a tag fit; InputError where none does."""
    if expression is None:
        return list(scenarios)
    wanted = parse(expression)
    kept = [
        each
        for each in scenarios
        if wanted(
            [
                part.casefold()
                for part in (each.scenario.name, each.case or "", each.id, each.file, *each.scenario.tags)
            ]
        )
    ]
    if not kept:
        raise InputError(f"-k {expression}: none of the {len(scenarios)} scenarios matches")
    return kept


def parse(expression: str) -> Wanted:
    """``refund and not (voice or "two words")``. Words side by side are one text, and so is an expression
    without and, or and not, whatever else stands in it. Raises InputError."""
    tokens: list[str] = _TOKEN.findall(expression)
    if not any(token.casefold() in _WORDS for token in tokens):
        return _holds(expression)
    return _Parser(expression, tokens).parse()


class _Parser:
    """Recursive descent: or, and, not, parentheses, texts."""

    def __init__(self, expression: str, tokens: list[str]) -> None:
        self._expression, self._tokens = expression, tokens

    def parse(self) -> Wanted:
        wanted = self._any()
        if self._tokens:
            raise self._wrong(f"and, or, or the end is expected at {self._tokens[0]}")
        return wanted

    def _any(self) -> Wanted:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return lambda texts: any(part(texts) for part in parts)

    def _all(self) -> Wanted:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return lambda texts: all(part(texts) for part in parts)

    def _one(self) -> Wanted:
        if self._take("not"):
            inner = self._one()
            return lambda texts: not inner(texts)
        if self._take("("):
            inner = self._any()
            if not self._take(")"):
                raise self._wrong("a ) is missing")
            return inner
        words: list[str] = []
        while self._tokens and self._tokens[0].casefold() not in (*_WORDS, "(", ")"):
            words.append(self._tokens.pop(0).strip("\"'"))
        if not words:
            raise self._wrong(f"a text is expected before {self._tokens[0] if self._tokens else 'the end'}")
        return _holds(" ".join(words))

    def _take(self, word: str) -> bool:
        if not self._tokens or self._tokens[0].casefold() != word:
            return False
        del self._tokens[0]
        return True

    def _wrong(self, why: str) -> InputError:
        return InputError(
            f"-k {self._expression}: {why}",
            hint='a text that holds one of these words is quoted: "trial and error"',
        )


def _holds(text: str) -> Wanted:
    wanted = text.casefold()
    return lambda texts: any(wanted in part for part in texts)


def not_passed(scenarios: Sequence[TrialSpec], run: Path) -> list[TrialSpec]:
    """The scenarios and cases of which a trial of ``run`` did not pass; InputError where there is none.

    What was known to fail, or was quarantined, is left out."""
    from simulate.run_folder import RunFolder

    bad = {
        Path(outcome.folder or outcome.key).name.rpartition("-")[0]
        for outcome in RunFolder(run).outcomes()
        if outcome.standing in ("failed", "error", "not_run", "flaky")
    }
    if not bad:
        raise InputError(f"--failed: every outcome of {run} passed")
    kept = [each for each in scenarios if each.id in bad]
    if not kept:
        raise InputError(
            f"--failed: what did not pass in {run} is not among the {len(scenarios)} scenarios given",
            hint=f"it was: {', '.join(sorted(bad)[:5])}",
        )
    return kept
