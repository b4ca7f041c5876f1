"""The page on which traces can be replayed is what the recordings say, and every refusal names what lacks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import NotReplayable
from simulate.replay.from_trace import cassette_of, missing
from simulate.trace import read

ROOT = Path(__file__).parents[2]


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate_replayable.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_from_the_recordings() -> None:
    generator = _generator()
    assert generator.PAGE.read_text("utf-8") == generator.page()


@pytest.mark.parametrize(
    ("recording", "attribute", "setting"),
    [
        ("otel_openai_v2_no_content", "gen_ai.input.messages", "CAPTURE_MESSAGE_CONTENT=SPAN_ONLY"),
        ("adk_native_default", "gen_ai.input.messages", "gen_ai_latest_experimental"),
        ("spring_ai", "gen_ai.input.messages", "log-prompt and log-completion write to the log"),
    ],
)
def test_a_refusal_names_the_attribute_and_the_setting(recording: str, attribute: str, setting: str) -> None:
    (trace, *_) = read(ROOT / "fixtures" / "traces" / f"{recording}.otlp.jsonl")
    assert missing(trace)
    with pytest.raises(NotReplayable, match=attribute) as error:
        cassette_of(trace)
    assert setting in str(error.value)
