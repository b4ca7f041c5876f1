"""Versions by content: what was changed by hand counts only once somebody stands for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import FileProblems, InputError
from simulate.scoring.datasets import Dataset
from simulate.scoring.datasets.store import EMPTY
from simulate.scoring.evaluators import evaluate
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.span import Span

CASE = "name: {}\nscript:\n  - says: Hello.\nexpect:\n  - said: {{contains: {}}}\n"


def put(dataset: Dataset, name: str, said: str = "hello") -> None:
    dataset.put(name, scenario=CASE.format(name, said), origin={"trace": "ab"}, trace=b"{}\n")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = Dataset(tmp_path / "golden")
    put(made, "refund-late")
    put(made, "refund-lost")
    made.record("added two")
    return made


def edit(dataset: Dataset, name: str, said: str) -> None:
    path = dataset.file("cases", name)
    path.write_text(path.read_text("utf-8").replace("contains: hello", f"contains: {said}"), "utf-8")


def test_a_version_is_a_hash_of_what_is_there(dataset: Dataset, tmp_path: Path) -> None:
    twin = Dataset(tmp_path / "twin")
    for name in ("refund-lost", "refund-late"):
        put(twin, name)
        twin.record(f"added {name}")
    assert twin.version == dataset.version != EMPTY
    assert len(twin.versions()) == 2 and len(dataset.versions()) == 1
    assert dataset.record("nothing new").version == dataset.version
    assert len(dataset.versions()) == 1
    put(twin, "refund-lost", "hi")
    assert twin.record("changed").version != dataset.version
    put(twin, "refund-lost")
    assert twin.record("changed back").version == dataset.version
    twin.check()


def test_line_endings_are_gits_business(dataset: Dataset) -> None:
    for path in dataset.path.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    dataset.check()


@pytest.mark.parametrize("how", ["changed", "added", "removed"])
def test_what_was_changed_by_hand_is_refused_until_accepted(dataset: Dataset, how: str) -> None:
    if how == "changed":
        edit(dataset, "refund-lost", "money")
    elif how == "added":
        put(dataset, "refund-lost-2")
    else:
        dataset.drop("refund-lost")
    with pytest.raises(InputError, match=f"refund-lost.* was {how}.*\n.*accept"):
        dataset.check()
    version = dataset.accept("Ann")
    assert "by Ann" in version.change and "refund-lost" in version.change
    dataset.check()
    assert [each.version for each in dataset.versions()][-1] == version.version


@pytest.mark.parametrize("kind", ["cases", "origins", "traces"])
def test_every_file_of_a_case_counts(dataset: Dataset, kind: str) -> None:
    path = dataset.file(kind, "refund-late")
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")
    assert dataset.edited() == {"refund-late": "changed"}


@pytest.mark.parametrize(("text", "told"), [("a: [", "not YAML"), ("a: " + "[" * 5_000, "levels deep")])
def test_an_origin_that_cannot_be_read_is_refused(dataset: Dataset, text: str, told: str) -> None:
    dataset.file("origins", "refund-late").write_text(text, "utf-8")
    with pytest.raises(InputError, match=told):
        dataset.case("refund-late")


def test_verifying_is_a_version_too(dataset: Dataset) -> None:
    assert dataset.case("refund-lost").verified is None
    dataset.accept("Ann", ["lost"])
    assert dataset.case("refund-lost").verified == "Ann"
    assert dataset.case("refund-late").verified is None
    dataset.check()
    assert dataset.versions()[-1].change == "accepted refund-lost by Ann"


def test_nothing_broken_is_accepted(dataset: Dataset) -> None:
    edit(dataset, "refund-lost", "x}\n<<<<<<< HEAD")
    with pytest.raises(FileProblems, match="refund-lost"):
        dataset.accept("Ann")
    put(dataset, "refund-lost")
    dataset.file("traces", "refund-lost").unlink()
    with pytest.raises(InputError, match="refund-lost has no trace any more"):
        dataset.accept("Ann")


def test_a_case_is_found_by_a_part_of_its_name(dataset: Dataset) -> None:
    assert dataset.case("late").id == "refund-late"
    with pytest.raises(InputError, match="'refund' is in 2 cases: refund-late, refund-lost"):
        dataset.case("refund")
    with pytest.raises(InputError, match="did you mean"):
        dataset.case("refund-lots")


def test_no_dataset_is_no_empty_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset here"):
        Dataset.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be a dataset"), Dataset(tmp_path / "file").alone():
        pass


def git(folder: Path, *words: str, check: bool = True) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=check)
    return done.stdout + done.stderr


@pytest.fixture
def two_branches(dataset: Dataset) -> Dataset:
    """Two people add and change cases at once, and git cannot merge."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = dataset.path
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "two")
    git(folder, "checkout", "-qb", "ben")
    put(dataset, "exchange")
    dataset.record("added exchange")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "ben")
    git(folder, "checkout", "-q", "main")
    put(dataset, "cancel")
    edit(dataset, "refund-lost", "money")
    dataset.accept("Ann")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "ann")
    return dataset


def test_two_versions_in_conflict_are_told_and_merged_by_a_person(two_branches: Dataset) -> None:
    dataset = two_branches
    assert "CONFLICT" in git(dataset.path, "merge", "ben", check=False)
    with pytest.raises(InputError, match=r"versions.jsonl:2: two versions in conflict: git could not merge"):
        dataset.check()
    dataset.accept("Ann")
    dataset.check()
    assert dataset.ids() == ["cancel", "exchange", "refund-late", "refund-lost"]
    changes = [each.change for each in dataset.versions()]
    assert changes[0] == "added two" and changes[-1] == "accepted a merge by Ann"
    assert set(changes[1:-1]) == {"accepted cancel, refund-lost by Ann", "added exchange"}
    assert "money" in dataset.file("cases", "refund-lost").read_text("utf-8")


def test_lines_that_git_put_after_each_other_are_in_conflict_too(two_branches: Dataset) -> None:
    dataset = two_branches
    (dataset.path / ".gitattributes").write_text("versions.jsonl merge=union\n")
    git(dataset.path, "merge", "ben", check=False)
    with pytest.raises(InputError, match=r"follows \w+, and so does"):
        dataset.check()
    dataset.accept("Ann")
    dataset.check()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "not a version"),
        ("[]", "not a version"),
        ('{"version": "ab"}', "not a version"),
        (json.dumps({"version": 1, "parent": "a", "date": "b", "change": "c", "cases": {}}), "are texts"),
        (
            json.dumps({"version": "d", "parent": "ffff", "date": "b", "change": "c", "cases": {}}),
            "not there",
        ),
    ],
)
def test_a_line_that_is_no_version_is_told_with_its_place(dataset: Dataset, line: str, told: str) -> None:
    with dataset.log.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=told) as caught:
        dataset.versions()
    assert "versions.jsonl:2" in str(caught.value)


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    """Six processes add a case each to one dataset, at the same time."""
    code = (
        "import sys; from simulate.scoring.datasets import Dataset; d = Dataset(sys.argv[1])\n"
        "with d.alone():\n"
        "    d.put(sys.argv[2], scenario='name: x', origin={}, trace=b'{}'); d.record('added it')\n"
    )
    folder = str(tmp_path / "golden")
    running: list[subprocess.Popen[Any]] = [
        subprocess.Popen([sys.executable, "-c", code, folder, f"case-{n}"]) for n in range(6)
    ]
    assert [each.wait(60) for each in running] == [0] * 6
    dataset = Dataset.open(folder)
    dataset.check()
    assert len(dataset.versions()) == len(dataset.ids()) == 6


async def test_the_traces_of_cases_are_scored_with_what_the_cases_say_is_right(tmp_path: Path) -> None:
    made = Dataset(tmp_path / "golden")
    calls = [("lookup_order", ["lookup_order"]), ("issue_refund", ["lookup_order"])]
    for number, (called, right) in enumerate(calls):
        span = Span("ab" * 16, f"{number + 1:016x}", f"execute_tool {called}", end_ns=1)
        span.attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": called}
        write_otlp_jsonl(tmp_path / "trace", [span])
        expect = "".join(f"  - called: {name}\n" for name in right)
        scenario = f"name: {called}\nscript:\n  - says: Hello.\nexpect:\n{expect}"
        made.put(called, scenario=scenario, origin={}, trace=(tmp_path / "trace").read_bytes())
    made.record("added two")
    results = await evaluate(made.materials(), ["ToolSelectionAccuracy"])
    assert [result.value for result in results] == [0.0, 1.0], "in the order of the cases"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "simulate",
            "score",
            str(made.path),
            "--evaluators",
            "ToolSelectionAccuracy",
        ],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1 and "issue_refund" in done.stdout, done.stdout + done.stderr
    made.file("cases", "issue_refund").write_text("name: other\nscript:\n  - says: Hello.\n")
    with pytest.raises(InputError, match="issue_refund was changed"):
        await evaluate(made.materials())
