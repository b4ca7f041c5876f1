"""The pages are what the docstrings say."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path("docs/evaluators")


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_evaluator_pages", FOLDER / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES: dict[str, str] = generator().pages()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_current(name: str) -> None:
    """`python docs/evaluators/generate.py` brings it up to date."""
    assert (FOLDER / name).read_text("utf-8") == PAGES[name]


def test_there_is_no_page_of_an_evaluator_that_is_gone() -> None:
    assert {file.name for file in FOLDER.glob("*.md")} == set(PAGES)


def test_every_link_leads_somewhere() -> None:
    import re

    for text in PAGES.values():
        for target in re.findall(r"\]\(([\w.]+)\)", text):
            assert (FOLDER / target).exists(), target
