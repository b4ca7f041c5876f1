"""Reads scenario and persona files, and tells all that is wrong in all of them at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from simulate.errors import AddressError, FileProblems, InputError, Problem
from simulate.model.agent_address import kind_of
from simulate.model.base import FilePlace, ScenarioModel, Strict
from simulate.model.loading import cases
from simulate.model.loading.places import SUFFIXES, Surroundings, read_bytes, scenario_files
from simulate.model.loading.problems import problems_of
from simulate.model.loading.yaml_reader import MOST_PROBLEMS, Document, read_documents
from simulate.model.nearest import did_you_mean
from simulate.model.shapes import is_list, list_of, object_of
from simulate.model.units import as_written, plain

PersonaT = TypeVar("PersonaT", bound=Strict)
ScenarioT = TypeVar("ScenarioT", bound=ScenarioModel)


@dataclass(frozen=True)
class ReadScenario(Generic[ScenarioT]):
    """A scenario with its place, and one of its cases filled in."""

    scenario: ScenarioT
    file: str
    line: int
    case: str | None
    row: cases.Row | None
    written: ScenarioT
    """The same before the files that it names were found."""
    text: str  # its document in the file, as it is written


class PersonaReader(Generic[PersonaT]):
    """Reads files of personas and keeps what is wrong in them until ``done()``.

    It is given the models' classes, whose own ``load`` calls it."""

    def __init__(self, persona: type[PersonaT]) -> None:
        self._persona_type = persona
        self._problems: dict[Problem, None] = {}
        self._personas: dict[Path, PersonaT | None] = {}

    def load_persona(self, path: Path | str) -> PersonaT:
        """The persona of a file; raises FileProblems with all that is wrong in it."""
        persona = self.persona(Path(path))
        self.done()
        assert persona is not None  # done() has raised where there is none
        return persona

    @property
    def problems(self) -> list[Problem]:
        """All that was found wrong, in the order of the files' lines."""
        return sorted(self._problems, key=lambda p: (p.file, p.line or 0, p.column or 0))

    def done(self) -> None:
        """Raise all that was found wrong."""
        if self._problems:
            raise FileProblems(self.problems)

    def persona(self, path: Path) -> PersonaT | None:
        """The persona of a file, read once; None where it is wrong."""
        if path not in self._personas:
            self._personas[path] = self._read_persona(path)
        return self._personas[path]

    def _note(self, problems: Sequence[Problem]) -> None:
        self._problems.update(
            dict.fromkeys(problems[: 2 * MOST_PROBLEMS])
        )  # the cases of one scenario share most of theirs

    def _documents(self, data: bytes, file: str) -> list[Document] | None:
        try:
            return read_documents(data, file)
        except FileProblems as error:
            self._note(error.problems)
            return None

    def _read_persona(self, path: Path) -> PersonaT | None:
        try:
            data = read_bytes(path)
        except FileProblems as error:
            self._note(error.problems)
            return None
        documents = self._documents(data, _shown(path))
        if documents is None:
            return None
        if len(documents) != 1 or documents[0].mapping() is None:
            self._note([Problem("a persona file holds one persona, a mapping", _shown(path))])
            return None
        try:
            return self._persona_type.model_validate(documents[0].value, by_alias=True, by_name=False)
        except ValidationError as error:
            self._note(problems_of(error, self._persona_type, documents[0]))
            return None


class ScenarioReader(PersonaReader[PersonaT], Generic[ScenarioT, PersonaT]):
    """Reads files of scenarios, too. With ``agents``, a scenario's ``agent:`` must be one of these names, or
    an address. ``masked`` takes secrets out of a case's label."""

    def __init__(
        self,
        scenario: type[ScenarioT],
        persona: type[PersonaT],
        *,
        agents: Collection[str] | None = None,
        masked: Callable[[str], str] = str,
    ) -> None:
        super().__init__(persona)
        self._masked = masked
        self._scenario_type = scenario
        self._agents = agents
        self._folders: dict[Path, Surroundings] = {}
        self._texts: dict[str, list[str]] = {}
        """The lines of each file."""

    def load(self, paths: Sequence[Path | str]) -> list[ReadScenario[ScenarioT]]:
        """Every scenario of files and folders, once for each case; raises FileProblems, or InputError where a
        path leads nowhere."""
        found = [each for path in scenario_files(paths) for each in self.scenarios(path)]
        self.done()
        if not found:
            raise InputError("no scenario in these files", where=", ".join(map(str, paths)))
        return found

    def load_scenario(self, path: Path | str) -> ScenarioT:
        """The one scenario of a file; raises InputError where there are several."""
        found = self.load([path])
        if len(found) > 1:
            names = ", ".join(each.scenario.name for each in found[:5]) + (", …" if len(found) > 5 else "")
            raise InputError(
                f"{len(found)} scenarios where one is wanted: {names}",
                where=str(path),
                hint="simulate.scenario_files.load_scenarios reads them all",
            )
        return found[0].scenario

    def scenarios(self, path: Path) -> Iterator[ReadScenario[ScenarioT]]:
        """The scenarios of one file that are right."""
        try:
            data = read_bytes(path)
        except FileProblems as error:
            self._note(error.problems)
            return
        yield from self.scenarios_in(data, path)

    def scenarios_in(self, data: bytes, path: Path) -> Iterator[ReadScenario[ScenarioT]]:
        """The scenarios of a file's bytes that are right."""
        names: dict[str, int] = {}
        budget = cases.MAX_FILLED
        # 7B is the code of a brace, which YAML may spell by it
        has_holes = b"{{" in data or b"7b" in data.lower()
        documents = self._documents(data, str(path))
        self._texts[str(path)] = data.decode("utf-8-sig", "replace").split("\n")
        if documents == []:
            self._note([Problem("holds no scenario", str(path))])
        before = len(self._problems)
        for document in documents or ():
            if len(self._problems) - before > MOST_PROBLEMS:
                self._note(
                    [document.problem([], "there are so many problems above that the rest was not read")]
                )
                return
            raw = document.mapping()
            if raw is None:
                self._note([document.problem([], "a scenario is a mapping: name, goal, expect …")])
                continue
            name = as_written(raw.get("name"))
            if isinstance(name, str) and names.setdefault(name, document.line) != document.line:
                message = f'the name "{name}" is used twice in this file'
                hint = f"first in line {names[name]}"
                self._note([document.problem(["name"], message, hint=hint)])
            rows = self._rows(raw, document, path)
            template = {key: value for key, value in raw.items() if key not in ("cases", "personas")}
            holes = list(cases.placeholders(template)) if has_holes else []
            callers = self._callers(raw, document)
            budget -= len(callers) * cases.filled_size(template, rows, len(holes))
            if budget < 0:
                self._note([document.problem(["cases"], "the cases of this file are too much data")])
                return
            if rows and (self._columns_exist(holes, rows, document) or rows == [None]):
                yield from self._filled(template, rows, callers, document, path, has_holes=has_holes)
            else:
                self._note(self._unknown_words(template, document))

    def _around(self, path: Path) -> Surroundings:
        if path.parent not in self._folders:
            self._folders[path.parent] = Surroundings(path)
        return self._folders[path.parent]

    def _rows(self, raw: dict[str, Any], document: Document, path: Path) -> list[cases.Row | None]:
        """The cases of one scenario; one None where it has none."""
        given = raw.get("cases")
        if given is None:
            return [None]
        if is_list(given):
            rows = given
            if not rows:
                self._note([document.problem(["cases"], "an empty list makes no test")])
            wrong = [index for index, row in enumerate(rows) if not isinstance(row, dict)]
            if wrong:
                message = "a row is a mapping of columns"
                self._note([document.problem(["cases", index], message) for index in wrong[:MOST_PROBLEMS]])
                return []
        else:
            file = self._around(path).find(str(as_written(given)))
            if file is None:
                name = f'no data file "{given[:100]}"; ' if isinstance(given, str) else ""
                message = f"{name}a list of rows, or a data file that exists, is wanted"
                self._note([document.problem(["cases"], message)])
                return []
            try:
                rows = cases.read_rows(file, _shown(file))
            except FileProblems as error:
                self._note(error.problems)
                return []
        return list(rows)

    def _callers(self, raw: dict[str, Any], document: Document) -> list[tuple[dict[str, Any], Document]]:
        """What each of ``personas:`` makes of the scenario; one empty mapping where there are none."""
        given = raw.get("personas")
        if given is None:
            return [({}, document)]
        wrong = None
        if "persona" in raw:
            wrong = "persona: and personas: both say who calls"
        elif not isinstance(given, list) or not given:
            wrong = "a list of personas is wanted: names, or personas written here"
        if wrong is not None:
            self._note([document.problem(["personas"], wrong)])
            return []
        return [
            ({"persona": each}, document.with_key("persona", ["personas", place]))
            for place, each in enumerate(cast("list[Any]", given))
        ]

    def _columns_exist(
        self, holes: Sequence[cases.Hole], rows: Sequence[cases.Row | None], document: Document
    ) -> bool:
        """Whether every row has every column; the first row that lacks one is told."""
        for number, row in enumerate(rows, 1):
            problems = (
                document.problem(path, *told)
                for path, column, asked in holes
                if (told := cases.lacks(row, number, column, asked)) is not None
            )
            if first := list(islice(problems, MOST_PROBLEMS)):
                self._note(first)
                return False
        return True

    def _filled(
        self,
        template: dict[str, Any],
        rows: Sequence[cases.Row | None],
        callers: Sequence[tuple[dict[str, Any], Document]],
        document: Document,
        path: Path,
        *,
        has_holes: bool,
    ) -> Iterator[ReadScenario[ScenarioT]]:
        labels: set[str] = set()
        lines = document.node.start_mark.line, document.node.end_mark.line
        text = "\n".join(self._texts[document.file][slice(*lines)])
        for (caller, placed), (number, row) in itertools.product(callers, enumerate(rows, 1)):
            asked = template | caller
            filled = cast("dict[str, Any]", cases.fill(asked, row or {})) if has_holes else asked
            made = self._scenario(filled, placed, path)
            if made is None:
                continue
            scenario, written = made
            label = None if row is None else cases.label(row, number, self._masked)
            if caller:
                label = ", ".join(filter(None, (_caller_label(filled, scenario, self._masked), label)))
            if label in labels:
                label = f"{label} ({number})"
            if label is not None:
                labels.add(label)
            yield ReadScenario(scenario, str(path), document.line, label, plain(row), written, text)

    def _scenario(
        self, raw: dict[str, Any], document: Document, path: Path
    ) -> tuple[ScenarioT, ScenarioT] | None:
        problems: list[Problem] = []
        for where, message, hint in islice(self._scenario_type.contradictions(raw), MOST_PROBLEMS):
            problems.append(document.problem(where, message, hint=hint, key=bool(where)))
        resolved = {**raw, "persona": self._persona_of(raw, document, path, problems)}
        files = self._check_files(raw, document, path, problems)
        self._check_agent(raw, document, problems)
        try:
            scenario = self._scenario_type.model_validate(resolved, by_alias=True, by_name=False)
        except ValidationError as error:
            told = problems_of(error, self._scenario_type, document)
            said = {problem.message for problem in problems}
            problems += [problem for problem in told if problem.message not in said]
            scenario = None
        self._note(problems)
        if problems or scenario is None:
            return None
        return (scenario.with_files(files) if files else scenario), scenario

    def _persona_of(
        self, raw: dict[str, Any], document: Document, path: Path, problems: list[Problem]
    ) -> Any:
        given = raw.get("persona")
        if given is None:
            return self._persona_type()
        name = as_written(given)
        if not isinstance(name, str):
            return given
        around = self._around(path)
        file = around.find_persona(name)
        if file is not None:
            return self.persona(file) or self._persona_type()  # what is wrong in the file is noted there
        where = "file" if name.endswith(SUFFIXES) else "persona"
        message = f'no {where} "{name[:100]}"{did_you_mean(name, around.personas())}'
        hint = None if where == "file" else f"a persona is a file personas/{name}.yaml, or is written here"
        problems.append(document.problem(["persona"], message, hint=hint))
        return self._persona_type()

    def _check_files(
        self, raw: dict[str, Any], document: Document, path: Path, problems: list[Problem]
    ) -> dict[FilePlace, str]:
        """Where the recorded traces of ``matches_trace`` and the attachments lie."""
        found: dict[FilePlace, str] = {}
        for place, where, kind, name in _named_files(raw):
            if len(problems) > 2 * MOST_PROBLEMS:
                break
            file = self._around(path).find(name)
            if file is None:
                problems.append(document.problem(where, f'no {kind} "{name[:100]}"'))
            else:
                found[place] = str(file)
        return found

    def _check_agent(self, raw: dict[str, Any], document: Document, problems: list[Problem]) -> None:
        name = as_written(raw.get("agent"))
        if not isinstance(name, str) or (self._agents is not None and name in self._agents):
            return
        if ":" in name:
            try:
                kind_of(name, "voice" if raw.get("medium") == "voice" else "text")
            except AddressError as error:
                problems.append(document.problem(["agent"], error.message, hint=error.hint))
        elif self._agents is not None:
            message = f'no agent "{name[:100]}"{did_you_mean(name, self._agents)}'
            hint = "name it in pyproject.toml under [tool.simulate.agents], or write its address"
            problems.append(document.problem(["agent"], message, hint=hint))

    def _unknown_words(self, template: dict[str, Any], document: Document) -> list[Problem]:
        """What is wrong whatever the cases hold, where they cannot be filled in."""
        try:
            self._scenario_type.model_validate(template, by_alias=True, by_name=False)
        except ValidationError as error:
            found = problems_of(error, self._scenario_type, document)
            return [problem for problem in found if problem.message.startswith("unknown ")]
        return []


def _named_files(raw: dict[str, Any]) -> Iterator[tuple[FilePlace, list[str | int], str, str]]:
    """The files that a scenario names: the place, its path in the document, what it is, and its name."""
    expect: Any = raw.get("expect")
    for index, item in enumerate(list_of(expect)):
        name = object_of(item).get("matches_trace")
        if isinstance(name, str):
            yield ("expect", index, 0), ["expect", index, "matches_trace"], "trace file", name
    script: Any = raw.get("script")
    for index, line in enumerate(list_of(script)):
        attached: Any = object_of(line).get("attachments")
        for place, written in enumerate(list_of(attached)):
            name = as_written(written)
            if isinstance(name, str):
                yield ("script", index, place), ["script", index, "attachments", place], "file", name


def _caller_label(raw: dict[str, Any], scenario: ScenarioModel, masked: Callable[[str], str]) -> str:
    """What a report calls the persona: as the scenario names it, or as it names itself."""
    given = as_written(raw["persona"])
    if isinstance(given, str):
        return masked(Path(given).stem if given.endswith(SUFFIXES) else given)
    persona: Any = getattr(scenario, "persona", None)
    return masked(str(persona.name or persona.description or "persona"))[:40]


def _shown(path: Path) -> str:
    """A path as a person in the working directory would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
