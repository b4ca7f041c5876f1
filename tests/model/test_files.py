"""Loading files and folders: what is found, what it is called, and what is told when it is wrong."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.errors import FileProblems, InputError
from simulate.model.base import WORDS
from simulate.model.loading.project import Project
from simulate.model.persona import Persona
from simulate.model.scenario import Line, Scenario
from simulate.model.tool_pin import ToolPin
from simulate.model.trial import TrialSpec
from simulate.scenario_files import load_scenarios, scenario_reader

GOOD = "name: {name}\ngoal: g\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that is also the working directory."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: str, text: str) -> str:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return file


def load(text: str, file: str = "s.yaml", **options: object) -> list[TrialSpec]:
    return load_scenarios([write(file, text)], **options)  # type: ignore[arg-type]


def complaint(text: str, file: str = "s.yaml", **options: object) -> str:
    with pytest.raises(FileProblems) as caught:
        load(text, file, **options)
    return str(caught.value)


def test_text_is_taken_as_written(project: Path) -> None:
    (found,) = load(
        "name: 4417\ngoal: 42.50\nopens_with: true\ndescription: 012\n"
        "expect:\n  - called: 12:30\n    with: {id: 4417, text: '4417', total: 42.50}\n  - said: no\n"
    )
    made = found.scenario
    assert (made.name, made.goal, made.opens_with, made.description) == ("4417", "42.50", "true", "012")
    assert made.model_dump(by_alias=True)["expect"][0]["with"] == {"id": 4417, "text": "4417", "total": 42.5}
    assert type(made.expect[0].with_["total"]) is float  # type: ignore[union-attr]
    assert made.expect[1].said == "no"  # type: ignore[union-attr]


def test_everything_wrong_is_told_at_its_place(project: Path) -> None:
    write("personas/hurried.yaml", "name: Dana\nspeeks: {pace: quick}\n")
    text = """\
name: One
gaol: x
persona: hurried
agent: suport
medium: texts
expect:
  - caled: x
  - called: y
    wiht: {a: 1}
  - dtmf: 12#
  - called: a
    said: b
  - matches_trace: nope.json
trials: "4"
limits: {time: 90}
---
name: Two
opens_with: Hi {{name}}
persona: huried
script:
  - says:
"""
    with pytest.raises(FileProblems) as caught:
        load(text, agents=["support"])
    told = [str(problem).split("\n")[0] for problem in caught.value.problems]
    assert told == [
        'personas/hurried.yaml:2:1: unknown key "speeks"; did you mean "speaks"?',
        "s.yaml:1:1: the caller has nothing to say: no goal, script or opens_with",
        's.yaml:2:1: unknown key "gaol"; did you mean "goal"?',
        's.yaml:4:8: no agent "suport"; did you mean "support"?',
        's.yaml:5:9: medium: "texts" is none of text, voice; did you mean "text"?',
        's.yaml:7:5: unknown word "caled" under expect:; did you mean "called"?',
        's.yaml:9:5: unknown key "wiht"; did you mean "with"?',
        "s.yaml:11:5: called and said in one item",
        's.yaml:13:20: no trace file "nope.json"',
        's.yaml:14:9: trials: a whole number is wanted, not "4"',
        "s.yaml:15:16: limits.time: a duration needs a unit: 250ms, 1.5s, 2m or 1h",
        "s.yaml:18:13: {{name}} has no cases: to be filled from",
        's.yaml:19:10: no persona "huried"; did you mean "hurried"?',
        "s.yaml:21:5: script[1]: a line does one thing of says, dtmf, silent_for, backchannel, vocal_tic, "
        "aside, hold_music, hangs_up, goto; this one does nothing",
    ]


def test_every_file_is_read_before_anything_is_told(project: Path) -> None:
    write("scenarios/a.yaml", "name: a\ngoal: [")
    write("scenarios/b.yaml", "name: b\n")
    write("scenarios/c.yaml", "- x")
    with pytest.raises(FileProblems) as caught:
        load_scenarios(["scenarios"])
    assert [problem.file for problem in caught.value.problems] == [f"scenarios/{n}.yaml" for n in "abc"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\ngoal: y\nwith_: 1", 'unknown key "with_"'),
        ("name: x\ngoal: y\nexpect: [{called: a, with_: {}}]", 'unknown key "with_"; did you mean "with"?'),
        ("name: x\ngoal: y\nexpect: [foo]", "an item of expect: is a mapping"),
        ("name: x\ngoal: y\nexpect: [{}]", "an empty item under expect:"),
        ("name: x\ngoal: y\nexpect: called", 'expect: a list is wanted, not "called"'),
        ("name: x\ngoal: y\nexpect: [{said: {contians: a}}]", 'did you mean "contains"?'),
        ("name: x\ngoal: y\nexpect: [{heard: a}]", '"heard" is heard, not read: it needs medium: voice'),
        ("name: x\ngoal: y\npersona: {voice: {sped: 1}}", 'did you mean "speed"?'),
        ("name: x\ngoal: y\npersona: {locale: en_SU}", 'no locale "en_SU"; did you mean'),
        ("name: x\ngoal: y\ntools: {t: {cases: [{wen: {}}]}}", 'unknown key "wen"; did you mean "when"?'),
        ("name: x\ngoal: y\ntools: {t: {error: a, returns: b}}", "write {returns: …} around it"),
        ("name: x\ngoal: y\nscript: [{hangs_up: yes}]", "write true or false, without quotes"),
        (
            "name: x\ngoal: y\nexpect:\n- called: a\n  with:\n    b: [{matches: (}]",
            "s.yaml:6:9: expect[1].with.b[1]: '(' is not a regular expression",
        ),
        ("name: x\ngoal: y\nlimits:", "limits: a mapping is wanted, not nothing"),
        ("name: x\ngoal: y\npersona: [a]", "persona"),
        ("goal: y", '"name" is missing'),
        ("name: x\ngoal: y\n---\nname: x\ngoal: z", 's.yaml:4:7: the name "x" is used twice in this file'),
        ("- a", "a scenario is a mapping"),
        ("", "holds no scenario"),
        ("name: x\ngoal: y\nmedium: " + "z" * 300, "is none of text, voice"),
    ],
)
def test_refused(project: Path, text: str, told: str) -> None:
    assert told in complaint(text)


def test_personas_are_found_beside_and_above(project: Path) -> None:
    write("personas/far.yaml", "name: Far")
    write("a/personas/near.yml", "name: Near")
    write("a/b/own.yaml", "name: Own")
    text = "\n---\n".join(f"name: {p}\ngoal: g\npersona: {p}" for p in ("far", "near", "own.yaml"))
    found = load(text, "a/b/s.yaml")
    assert [each.scenario.persona.name for each in found] == ["Far", "Near", "Own"]  # type: ignore[union-attr]


def test_without_a_persona_there_is_one_to_fill(project: Path) -> None:
    assert load(GOOD.format(name="x"))[0].scenario.persona == Persona()


def test_an_unknown_persona_is_told_with_the_nearest(project: Path) -> None:
    write("personas/hurried_parent.yaml", "name: D")
    told = complaint("name: x\ngoal: g\npersona: huried_parent")
    assert 's.yaml:3:10: no persona "huried_parent"; did you mean "hurried_parent"?' in told


def test_the_recorded_trace_is_found(project: Path) -> None:
    write("fixtures/t.json", "{}")
    text = "name: x\ngoal: g\nexpect: [{matches_trace: fixtures/t.json}]"
    (found,) = load(text, "scenarios/deep/s.yaml")
    assert Path(found.scenario.expect[0].matches_trace) == project / "fixtures/t.json"  # type: ignore[union-attr]


def test_folders_are_walked_in_order_and_hidden_ones_passed_over(project: Path) -> None:
    for file in (
        "b.yaml",
        "a.yml",
        "sub/c.yaml",
        ".hidden/d.yaml",
        ".e.yaml",
        "personas/p.yaml",
        "cassettes/q.yaml",
    ):
        write(f"scenarios/{file}", GOOD.format(name=file[0]))
    write("scenarios/notes.txt", "x")
    found = load_scenarios(["scenarios", "scenarios/b.yaml"])
    assert [each.file for each in found] == ["scenarios/a.yml", "scenarios/b.yaml", "scenarios/sub/c.yaml"]


def test_paths_that_lead_nowhere(project: Path) -> None:
    write("scenarios/refund.yaml", GOOD.format(name="x"))
    Path("empty").mkdir()
    with pytest.raises(InputError, match=r'did you mean "refund.yaml"\?'):
        load_scenarios(["scenarios/refnd.yaml"])
    with pytest.raises(InputError, match="no scenario in this folder"):
        load_scenarios(["empty"])


def test_ids_are_unique_safe_and_in_no_order(project: Path) -> None:
    write("a.yaml", GOOD.format(name="Refund, it's lost!") + "---\n" + GOOD.format(name="Refund its lost"))
    write("b.yaml", GOOD.format(name="../../etc/passwd"))
    write("c.yaml", GOOD.format(name="../../etc/passwd"))
    write("d.yaml", GOOD.format(name="'" + "é" * 300 + "'"))
    write("e.yaml", GOOD.format(name="'?!'") + "---\n" + GOOD.format(name="CON"))
    files = ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"]
    ids = {each.id: each for each in load_scenarios(files)}
    assert set(ids) == {each.id for each in load_scenarios(files[::-1])}
    assert len(ids) == 7
    assert {
        "refund-it-s-lost",
        "refund-its-lost",
        "etc-passwd-b",
        "etc-passwd-c",
        "scenario",
        "scenario-con",
    } < set(ids)
    assert all(len(made.encode()) < 120 and "/" not in made for made in ids)


def test_a_digest_is_of_what_is_said_only(project: Path) -> None:
    write("personas/p.yaml", "name: Dana")
    (one,) = load("name: x\ngoal: g\npersona: p\nlimits: {turns: 20}")
    (same,) = load("# other\ngoal: 'g'\nname: x\npersona: {name: Dana}", "elsewhere/t.yaml")
    write("personas/p.yaml", "name: Dan")
    (other,) = load("name: x\ngoal: g\npersona: p")
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 64


def test_one_scenario_or_a_refusal(project: Path) -> None:
    assert Scenario.load(write("one.yaml", GOOD.format(name="x"))).name == "x"
    both = write("two.yaml", GOOD.format(name="x") + "---\n" + GOOD.format(name="y"))
    with pytest.raises(InputError, match="2 scenarios where one is wanted: x, y"):
        Scenario.load(both)


def test_a_persona_by_itself(project: Path) -> None:
    assert Persona.load(write("p.yaml", "name: 007\nknows: {pin: 0420}")).knows == {"pin": "0420"}
    with pytest.raises(FileProblems, match=r'q.yaml:1:1: unknown key "nam"; did you mean "name"\?'):
        Persona.load(write("q.yaml", "nam: x"))
    with pytest.raises(FileProblems, match="holds one persona"):
        Persona.load(write("r.yaml", "name: x\n---\nname: y"))
    with pytest.raises(FileProblems, match="is not a file"):
        Persona.load("nowhere.yaml")


class TestCases:
    """Rows fill `{{column}}`, and each is a test of its own."""

    def test_inline(self, project: Path) -> None:
        found = load(
            "name: Book {{city}}\ngoal: '{{city}} for {{n}} at {{price}}, \\{{plain}}'\n"
            "tools: {t: {n: '{{n}}', text: '{{ n | text }}', price: '{{price}}', on: '{{on}}'}}\n"
            "expect: [{called: t, times: '{{n}}'}]\n"
            "cases:\n  - {city: Rome, n: 3, price: 42.50, on: true}\n"
            "  - {city: Oslo, n: 1, price: 012, on: no}\n"
        )
        first, second = found
        assert first.scenario.goal == "Rome for 3 at 42.50, {{plain}}"
        assert first.scenario.tools["t"] == ToolPin(returns={"n": 3, "text": "3", "price": 42.5, "on": True})
        assert second.scenario.tools["t"] == ToolPin(
            returns={"n": 1, "text": "1", "price": "012", "on": "no"}
        )
        assert (first.scenario.name, second.scenario.name) == ("Book Rome", "Book Oslo")
        assert first.scenario.cases is None
        assert first.digest != second.digest

    @pytest.mark.parametrize(
        ("file", "data"),
        [
            ("rows.csv", 'city,n,zip,note\r\nRome,3,00100,\r\n\r\nOslo,1,0150,"a, b"\r\n'),
            (
                "rows.json",
                '[{"city":"Rome","n":3,"zip":"00100","note":""},'
                '{"city":"Oslo","n":1,"zip":"0150","note":"a, b"}]',
            ),
            (
                "rows.jsonl",
                '{"city":"Rome","n":3,"zip":"00100","note":""}\n\n'
                '{"city":"Oslo","n":1,"zip":"0150","note":"a, b"}',
            ),
        ],
    )
    def test_from_files(self, project: Path, file: str, data: str) -> None:
        write(f"scenarios/data/{file}", data)
        text = "name: x\ngoal: '{{city}} {{zip}} {{note}}'\ntools: {t: '{{n}}'}\n" + f"cases: data/{file}"
        found = load(text, "scenarios/s.yaml")
        assert [each.scenario.goal for each in found] == ["Rome 00100 ", "Oslo 0150 a, b"]
        assert [each.scenario.tools["t"].returns for each in found] == [3, 1]

    def test_labels(self, project: Path) -> None:
        text = "name: x\ngoal: '{{a}}'\ncases:\n  - {a: 1, case: Large order}\n  - {a: 2, name: y}\n"
        text += "  - {a: 3, b: zz}\n  - {a: 4, case: Large order}\n"
        found = load(text)
        assert [each.case for each in found] == ["Large order", "y", "3 3 zz", "Large order (4)"]
        assert [each.id for each in found] == ["x[large-order]", "x[y]", "x[3-3-zz]", "x[large-order-4]"]

    def test_a_mistake_in_every_case_is_told_once(self, project: Path) -> None:
        told = complaint("name: x\ngoal: '{{a}}'\nmedium: smoke\ncases: [{a: 1}, {a: 2}, {a: 3}]")
        assert told.count("s.yaml:") == 1

    def test_a_persona_by_case(self, project: Path) -> None:
        write("personas/p.yaml", "name: Dana")
        text = "name: x\ngoal: g\npersona: '{{who}}'\ncases: [{who: p}, {who: q}]"
        assert 's.yaml:3:10: no persona "q"' in complaint(text)

    @pytest.mark.parametrize(
        ("file", "data", "told"),
        [
            ("r.csv", "city,ctiy\nRome", "r.csv:2: 1 cells in a row of a table of 2 columns"),
            ("r.csv", "a,a\n1,2", 'r.csv:1: two columns "a"'),
            ("r.csv", "a,\n1,2", "a column without a name"),
            ("r.csv", 'a\n"x', "not CSV"),
            ("r.csv", "a\n", "holds no case"),
            ("r.csv", "a\n" + "1\n" * 10_001, "more than 10,000 cases"),
            ("r.json", "{}", "a list of objects"),
            ("r.json", '[{"a": NaN}]', "NaN is not JSON"),
            ("r.json", '[{"a": 1, "a": 2}]', 'the key "a" is given twice'),
            ("r.json", "[1]", "case 1 is not an object"),
            ("r.json", "[" * 100_000, "nested more than 100 levels"),
            ("r.json", '[{"a":' + "[" * 200 + "]" * 200 + "}]", "nested more than 100 levels"),
            ("r.jsonl", '{"a": 1}\n{"a": }', "r.jsonl:2:7: not JSON"),
            ("r.jsonl", '{"b": 1}', 'no column "a" in case 1'),
            ("r.txt", "a", "cases come from .csv, .json, .jsonl, .ndjson files"),
        ],
    )
    def test_bad_data(self, project: Path, file: str, data: str, told: str) -> None:
        write(file, data)
        assert told in complaint(f"name: x\ngoal: '{{{{a}}}}'\ncases: {file}")

    @pytest.mark.parametrize(
        ("cases", "told"),
        [
            ("[{city: x}]", 's.yaml:2:7: no column "cty" in case 1; did you mean "city"?'),
            ("[{cty: x}, {city: x}]", 'no column "cty" in case 2'),
            ("[]", "an empty list makes no test"),
            ("[1]", "s.yaml:3:9: a row is a mapping of columns"),
            ("nope.csv", 'no data file "nope.csv"; a list of rows, or a data file that exists'),
            ("{a: 1}", "a data file that exists"),
        ],
    )
    def test_bad_cases(self, project: Path, cases: str, told: str) -> None:
        assert told in complaint(f"name: x\ngoal: '{{{{cty}}}}'\ncases: {cases}")

    def test_blanks_without_end_are_no_placeholder(self, project: Path) -> None:
        (found,) = load("name: x\ngoal: 'a {{" + " " * 100_000 + "b'")
        assert found.scenario.goal is not None and found.scenario.goal.startswith("a {{")

    def test_mistakes_without_end_are_not_told_in_full(self, project: Path) -> None:
        with pytest.raises(FileProblems) as caught:
            load("".join(f"name: x{number}\ngoal: g\npersona: p\n---\n" for number in range(500)))
        assert len(caught.value.problems) < 250
        assert "the rest was not read" in str(caught.value)

    def test_too_many_values_are_refused(self, project: Path) -> None:
        write("r.json", json.dumps([{"a": n} for n in range(10_000)]))
        template = "name: x\ngoal: g\nknown: [" + "1," * 400 + "1]\ncases: r.json"
        assert "too much data" in complaint(template)
        wide = "name: x\ngoal: '" + "{{a}} " * 5_000 + "'\ncases: [{a: '" + "x" * 100_000 + "'}]"
        assert "too much data" in complaint(wide)


def test_the_documentation_is_right(project: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "scenarios.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    first, persona = blocks[0], blocks[-1]
    (writes,) = (block for block in blocks if "send_voucher" in block)
    (cases,) = (block for block in blocks if "cases: refund_rules.csv" in block)
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    write("pyproject.toml", toml)
    write("personas/hurried_parent.yaml", persona)
    write("refund_rules.csv", "case,order,total\nlost,4417,42.50\n")
    (loaded,) = load(first, agents=Project.find().agents)
    assert loaded.scenario.persona == Persona.load("personas/hurried_parent.yaml")
    (one,) = load(writes, "writes.yaml")
    assert one.scenario.writes == ["issue_refund", "send_voucher"]
    (case,) = load(cases, "cases.yaml")
    assert case.scenario.opens_with == "Please refund order 4417."
    assert case.scenario.tools["lookup_order"].returns == {"total": 42.5}


_keys = st.sampled_from(
    sorted(
        {
            *Scenario.model_fields,
            *Persona.model_fields,
            *WORDS,
            *Line.model_fields,
            *ToolPin.model_fields,
            "with",
        }
    )
)
_junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _keys | st.just("{{a}}"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_keys | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(Scenario.model_fields)), _junk, max_size=8))
def test_any_mapping_is_read_or_refused_at_a_place(document: dict[str, Any]) -> None:
    reader = scenario_reader(agents=("support",))
    found = list(reader.scenarios_in(yaml.safe_dump(document).encode(), Path("f.yaml")))
    with contextlib.suppress(FileProblems):
        reader.done()
        assert found
        return
    assert not found
    assert all(problem.line and problem.column for problem in reader.problems)


def test_a_line_of_a_script_that_is_a_bare_text_is_told_how_to_write_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('name: a\nscript: ["hello there"]\n')
    with pytest.raises(FileProblems) as caught:
        load_scenarios([tmp_path / "a.yaml"])
    assert [each.hint for each in caught.value.problems] == ["a line is a mapping: write says: hello there"]
