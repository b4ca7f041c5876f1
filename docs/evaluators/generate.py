"""A page for each evaluator from its docstring, and the lists of all: ``python docs/evaluators/generate.py``.

A test holds the pages to what this would write (`tests/evaluators/test_pages.py`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))

from simulate.scoring.evaluators import Evaluator, evaluators  # noqa: E402
from simulate.scoring.evaluators.evaluator import describe  # noqa: E402
from simulate.scoring.evaluators.prompts import prompt  # noqa: E402

GROUPS = {
    "Answers and context": "grounding retrieval",
    "Tools and ways": "tool_use trajectory",
    "The conversation": "conversation_quality",
    "Guards": "safety",
    "Speech": "speech",
}
HEADINGS = {
    "Formula": "How it is computed",
    "Range": "Range",
    "Reads": "What it reads",
    "Needs": "What it needs",
    "Costs": "What it costs",
    "Not for": "When not to use it",
}
_PART = re.compile(rf"^({'|'.join(HEADINGS)}): ", re.M)
NOTE = "<!-- made from the docstring by docs/evaluators/generate.py -->\n"


def parts(cls: type[Evaluator]) -> tuple[str, dict[str, str]]:
    """The first sentence, and the text of each part, of a docstring."""
    pieces = _PART.split(describe(cls))
    told = {pieces[at]: _plain(pieces[at + 1]) for at in range(1, len(pieces), 2)}
    missing = [name for name in HEADINGS if name not in told]
    if missing:
        raise SystemExit(f"{cls.__name__}: its docstring lacks {', '.join(missing)}")
    return _plain(pieces[0]), told


def _plain(text: str) -> str:
    text = " ".join(text.split()).replace("``", "`")
    text = re.sub(
        r"`([A-Z]\w+)`",
        lambda found: f"[{found[1]}]({found[1]}.md)" if found[1] in evaluators() else found[0],
        text,
    )
    return text[:1].upper() + text[1:]


def _judge(made: Evaluator) -> str:
    if made.judged():
        return "always"
    return "where neither ids nor deeds decide" if made.prompt else "never"


def page(cls: type[Evaluator]) -> str:
    """One evaluator's page."""
    first, told = parts(cls)
    made = cls()
    lines = [NOTE, f"# {made.name}\n", f"{first}\n", "| | |", "|---|---|"]
    lines += [
        f"| passes from | {made.threshold:g}, unless you say otherwise |",
        f"| version | {made.version} |",
        f"| judge | {_judge(made)} |",
        "",
    ]
    for name, heading in HEADINGS.items():
        lines += [f"## {heading}\n", f"{told[name]}\n"]
    if made.prompt:
        asked = prompt(made.prompt)
        lines += [
            "## What the judge is asked\n",
            f"`simulate/scoring/evaluators/prompts/{made.prompt}.toml`:\n",
        ]
        lines += [f"> {line}" for line in asked.question.splitlines()]
        lines += ["", "| answer | means | worth |", "|---|---|---|"]
        for name, label in asked.labels.items():
            worth = "left out" if label.value is None else f"{label.value:g}"
            quote = ", with a quote" if label.quote else ""
            lines.append(f"| {name} | {label.means} | {worth}{quote} |")
        lines.append("| cannot tell | the material does not decide it | undecided |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def index() -> str:
    """The list of all."""
    lines = [NOTE, (FOLDER / "introduction.txt").read_text(encoding="utf-8").rstrip(), ""]
    for heading, modules in GROUPS.items():
        lines += [f"## {heading}\n", "| | | judge | passes from |", "|---|---|---|---|"]
        for name, cls in evaluators().items():
            if cls.__module__.rpartition(".")[2] in modules.split():
                judge = "yes" if cls.judged() else "maybe" if cls().prompt else "no"
                lines.append(f"| [{name}]({name}.md) | {parts(cls)[0]} | {judge} | {cls.threshold:g} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def pages() -> dict[str, str]:
    """File name → what it holds."""
    return {f"{name}.md": page(cls) for name, cls in evaluators().items()} | {"README.md": index()}


def public_names(page: str) -> str:
    """``docs/api.md`` with the evaluators that there are."""
    names = ", ".join(f"`{name}`" for name in evaluators())
    return re.sub(r"^\| \| [^|]+ \| each \[evaluator\]", f"| | {names} | each [evaluator]", page, flags=re.M)


def main() -> None:
    """Write them all, with the list of public names, and remove pages of evaluators that are gone."""
    api = FOLDER.parent / "api.md"
    api.write_text(public_names(api.read_text("utf-8")), encoding="utf-8")
    made = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
