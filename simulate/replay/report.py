"""What a replay came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulate.replay.matching.divergence import Divergence, JsonChange, Policy, Verdict


@dataclass(slots=True)
class ReplayReport:
    """One replayed conversation against its recording.

    ``verdict`` is that of the first divergence; ``identical`` where there is none. A refused live call counts
    as a failure, whatever the answers were.
    """

    verdict: Verdict
    first: Divergence | None
    divergences: list[Divergence]
    played: int
    recorded: int
    unplayed: list[str] = field(default_factory=list[str])
    tainted: int = 0
    """Answers given after the first divergence."""
    live_calls: int = 0
    """Requests that really went out; zero unless the policy allows them."""
    refused: list[str] = field(default_factory=list[str])
    """What tried to get past the replay, with the place in the code."""
    policy: Policy = "fail"
    notes: list[str] = field(default_factory=list[str])
    unreached: str | None = None
    """Why a model that was to be asked for real gave no answer."""
    side_cassette: str | None = None

    @property
    def passed(self) -> bool:
        """The agent took the recorded path, all of it, and nothing tried to get out."""
        return self.verdict in {"identical", "reordered"} and not self.refused

    def explain(self) -> str:
        """For a person: what diverged first, why, and what to do."""
        played = f"{self.played} of {self.recorded} recordings played"
        lines = [f"replay: {self.verdict}; {played}; live calls: {self.live_calls}"]
        if self.first is not None:
            lines.append(f"first divergence: {self.first}")
            lines.append("  " + self.advice())
        later = len(self.divergences) - 1
        if later > 0:
            lines.append(f"{later} more after it (tainted: they may only follow from the first)")
        lines += [f"refused: {text}" for text in self.refused]
        lines += [f"note: {text}" for text in self.notes]
        return "\n".join(lines)

    def advice(self) -> str:
        """What to do about the first divergence."""
        if self.first is None:
            return ""
        if self.first.by:
            return (
                "the simulated caller asks its model something new: record this cassette again; the agent is "
                "not to blame"
            )
        if self.first.verdict in {"unplayed"}:
            return "the agent no longer makes this call: mend it, or record again if that is meant"
        if self.first.verdict == "never_recorded" and self.first.asked.startswith("tool "):
            return (
                "a tool that a scenario pins is not in a recording: give the scenario with --scenario; else "
                "the agent makes a call that it did not make"
            )
        if self.first.verdict in {"exhausted", "never_recorded"}:
            return "the agent makes a call that it did not make: mend it, or record again if that is meant"
        return (
            f"if the change of the {self.first.component} is meant, record this cassette again"
            " (`simulate replay --stale` lists the others that it touches); if not, mend the agent"
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "verdict": self.verdict,
            "passed": self.passed,
            "policy": self.policy,
            "played": self.played,
            "recorded": self.recorded,
            "tainted": self.tainted,
            "live_calls": self.live_calls,
            "unplayed": self.unplayed,
            "refused": self.refused,
            "notes": self.notes,
            "side_cassette": self.side_cassette,
            "divergences": [told(one) for one in self.divergences],
        }


_TOLD = ("verdict", "asked", "component", "components", "turn", "by", "span_id", "nearest", "tainted")


def told(one: Divergence) -> dict[str, Any]:
    """A divergence as JSON."""
    changes = [{"path": each.path, "recorded": each.recorded, "now": each.now} for each in one.changes]
    return {**{name: getattr(one, name) for name in _TOLD}, "changes": changes}


def divergence_in(given: dict[str, Any]) -> Divergence:
    """The inverse of `told`."""
    fields: dict[str, Any] = {**given, "changes": [JsonChange(**one) for one in given["changes"]]}
    return Divergence(**fields)
