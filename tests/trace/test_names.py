"""Names of people are found by the real Presidio on the real spaCy, with a language model of three names.

It runs where the extra is installed: ``pip install 'simulate-agents[pii]'``. The models that find any name
(``python -m spacy download en_core_web_lg``) weigh 400 MB and are tried by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import InputError, MissingExtra
from simulate.interfaces.cli.main import main
from simulate.trace import read
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.redaction import people
from simulate.trace.span import Span

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    people._engine.cache_clear()
    yield
    people._engine.cache_clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    said = [{"role": "user", "parts": [{"type": "text", "content": "I am Maria Schneider, order 4711."}]}]
    raw = {"gen_ai.input.messages": json.dumps(said), "user.id": "u-17", "note": "ask Maria Schneider again"}
    write_otlp_jsonl(tmp_path / "t", [Span(TRACE, SPAN, "chat", None, 1, 2, raw)])
    return tmp_path / "t"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed model of spaCy that knows three people."""
    pytest.importorskip("presidio_analyzer", reason="pip install 'simulate-agents[pii]'")
    spacy: Any = pytest.importorskip("spacy")
    made = spacy.blank("en")
    known = [{"label": "PERSON", "pattern": name} for name in ("Maria Schneider", "John Smith", "Anna")]
    made.add_pipe("entity_ruler").add_patterns(known)
    package = tmp_path / "site" / "en_core_web_sm"
    package.mkdir(parents=True)
    made.to_disk(package / "data")
    (package / "__init__.py").write_text(
        "from pathlib import Path\nimport spacy\n"
        "def load(**given):\n    return spacy.load(Path(__file__).parent / 'data', **given)\n"
    )
    about = tmp_path / "site" / "en_core_web_sm-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: en_core_web_sm\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(people, "MODELS", ("en_core_web_sm",))


@pytest.mark.usefixtures("model")
@pytest.mark.filterwarnings("ignore")  # of spaCy and its parts
def test_names_go_and_everything_else_stays(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.with_name("clean")
    assert main(["trace", "redact", str(file), "-o", str(out), "--names"]) == 0
    assert "2 × name" in capsys.readouterr().err
    (span,) = read(out)[0].spans
    assert b"Schneider" not in out.read_bytes()
    (message,) = json.loads(span.attributes["gen_ai.input.messages"])
    text = message["parts"][0]["content"]
    placeholder = text.removeprefix("I am ").removesuffix(", order 4711.")
    assert placeholder.startswith("<name:")
    assert span.attributes["note"] == f"ask {placeholder} again"  # the same person, the same placeholder
    assert (span.attributes["user.id"], span.span_id) == ("u-17", SPAN)


def test_without_the_extra_it_says_which(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtra, match="pii"):
        people.finder()
    assert main(["trace", "redact", str(file), "--names", "-o", str(file.with_name("clean"))]) == 2
    assert "pii" in capsys.readouterr().err
    assert not file.with_name("clean").exists()


def test_without_a_model_it_says_how_to_get_one_and_downloads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("presidio_analyzer", reason="pip install 'simulate-agents[pii]'")
    monkeypatch.setattr(people, "MODELS", ("en_core_web_absent",))
    with pytest.raises(InputError, match="needs a language model") as refused:
        people.finder()
    assert "spacy download" in (refused.value.hint or "")
