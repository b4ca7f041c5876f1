"""A gateway's calls that failed, and those that took over, which may be traces of their own."""

from __future__ import annotations

from dataclasses import dataclass

from simulate.trace.reading import TraceReading


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A gateway's call to one of its routes: its times, the route, a hash of what was asked."""

    start_ns: int
    end_ns: int
    route: str
    asked: int | None

    def follows(self, failed: GivenUp) -> bool:
        """Whether it may have taken over from that one: later, by another route, asked the same."""
        same = failed.asked is not None and failed.asked == self.asked
        return same and failed.end_ns <= self.start_ns and failed.route != self.route


def gateway_calls(reading: TraceReading) -> tuple[tuple[GivenUp, ...], tuple[GivenUp, ...]]:
    """The calls that failed, and those that say that they took over and not from which."""
    failed, after = list[GivenUp](), list[GivenUp]()
    for span, view in reading.llm_calls:
        took_over = view.gateway.get("fallback") is not None and not view.gateway.get("original_target")
        route = view.gateway.get("fallback" if took_over else "original_target")
        if route is None or not span.start_ns or span.end_ns is None or not (took_over or view.error):
            continue
        texts = tuple((message.role, message.text) for message in view.input or ())
        call = GivenUp(span.start_ns, span.end_ns, str(route), hash(texts) if texts else None)
        (after if took_over else failed).append(call)
    return tuple(failed), tuple(after)
