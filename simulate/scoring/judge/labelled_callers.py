"""How well rules and a reading model together tell callers who left their part, on labelled turns."""

from __future__ import annotations

import asyncio
from pathlib import Path

from simulate.conversation.callers.labelled import GuardAgreement, TurnAtItsPlace, labelled
from simulate.errors import Fault
from simulate.scoring.judge.caller_review import review_caller
from simulate.scoring.judge.judge import Judge


async def check_with(judge: Judge, path: Path) -> GuardAgreement:
    """Like `labelled.check`, with what the rules let through read by a model, as before an agent is blamed.

    Raises InputError where the file cannot be read or has another shape."""
    result = GuardAgreement()
    turns = labelled(path)
    for each, (label, why) in zip(turns, await _all_read(judge, turns), strict=True):
        result.count(each.turn, why if label == "yes" else None)
        if label == "cannot tell":
            result.undecided.append(f"{each.turn.kind}: {each.turn.line!r}: {why}")
    return result


async def _all_read(judge: Judge, turns: list[TurnAtItsPlace]) -> list[tuple[str, str]]:
    # the first goes ahead, so that the judge is put to the proof once
    first = next((each for each in turns if not each.doubts), None)
    if first is not None:
        await _read(judge, first)
    return await asyncio.gather(*(_read(judge, each) for each in turns))


async def _read(judge: Judge, each: TurnAtItsPlace) -> tuple[str, str]:
    if each.doubts:
        return "yes", f"{each.doubts[0].fault}: {each.doubts[0].evidence}"
    try:
        found = await review_caller(judge, each.scenario, each.persona, each.conversation)
    except Fault as fault:
        return "cannot tell", fault.message
    return found.label, found.reason
