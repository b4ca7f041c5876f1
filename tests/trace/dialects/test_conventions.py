"""The names that we write exist: in OpenTelemetry's GenAI conventions, or in the list that the project
declares.

The conventions are taken from the installed ``opentelemetry-semantic-conventions``; what is newer than that
package, and what is ours, must be declared in ``docs/trace-shape.md``, so that whoever reads our traces
finds it there.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

import simulate
from simulate.trace.reading import dialects

ROOT = Path(__file__).parents[3]
DOCUMENTED = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", (ROOT / "docs" / "trace-shape.md").read_text()))
OFFICIAL = {
    value
    for name, value in vars(gen_ai_attributes).items()
    if name.startswith("GEN_AI_") and isinstance(value, str)
}
PREFIXES = (
    "gen_ai.",
    "fi.",
    "agent.trajectory",
    "evaluator.",
    "cohort.",
    "experiment.",
    "feature.",
    "tenant.",
)
PACKAGE = Path(simulate.__file__).parent
EMITTING = [
    path
    for room in ("conversation", "integrations", "llm", "replay", "scoring/evaluators", "trace/capture")
    for path in sorted((PACKAGE / room).rglob("*.py"))
]


SEED = {
    "fi.span.kind",
    "gen_ai.cost.total",
    "gen_ai.server.time_to_first_token",
    "agent.trajectory.step",
    "prompt.version",
    "feature.id",
    "tenant.id",
    "experiment.id",
    "cohort.name",
    "evaluator.score.threshold",
}
"""Names of the project's founding document, which the conventions do not have."""
ELSEWHERE = {
    "gen_ai.evaluation.result",  # an event of the conventions; the package lists attributes only
    "gen_ai.span.kind",  # of fi-instrumentation-otel from 1.1 on, beside fi.span.kind
}
FOUNDING = ROOT.parent / "shared" / "seed" / "what-is-llm-tracing.txt"


def names_in(path: Path) -> set[str]:
    """Every text literal of a module that is an attribute's or event's name of these families."""
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(PREFIXES)
        and re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", node.value)
    }


def test_the_conventions_are_there() -> None:
    assert {"gen_ai.operation.name", "gen_ai.request.model", "gen_ai.usage.input_tokens"} <= OFFICIAL
    assert {"fi.span.kind", "agent.trajectory.step", "gen_ai.evaluation.result"} <= DOCUMENTED


@pytest.mark.parametrize("path", EMITTING, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names_that_we_write_exist(path: Path) -> None:
    assert names_in(path) <= OFFICIAL | DOCUMENTED


def test_what_we_write_beyond_the_conventions_is_counted_out() -> None:
    """Documenting a name of one's own does not make it one that others know."""
    written = set[str]().union(*(names_in(path) for path in EMITTING))
    assert written - OFFICIAL <= SEED | ELSEWHERE
    assert SEED | ELSEWHERE <= DOCUMENTED


@pytest.mark.skipif(not FOUNDING.exists(), reason="the founding document is not beside the checkout")
def test_the_founding_document_has_these_names() -> None:
    text = FOUNDING.read_text()
    assert {name for name in SEED if name not in text} == set()


def test_names_of_the_conventions_mapper_are_official_or_documented() -> None:
    genai = next(dialect for dialect in dialects() if dialect.name == "genai")
    keys = {
        source if isinstance(source, str) else source[0] for row in genai.fields.values() for source in row
    }
    older = {key for key in keys if key not in OFFICIAL | DOCUMENTED}
    # read for the sake of older or newer instrumentations, never written by us
    assert all(key.startswith(("gen_ai.usage.", "gen_ai.client.")) for key in older), older
