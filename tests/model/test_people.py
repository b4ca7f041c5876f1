"""Faker fills what a persona leaves open; the same seed gives the same person."""

import json
import os
import subprocess
import sys

import pytest

from simulate.model.locales import check_locale
from simulate.model.persona import Persona
from simulate.model.persona_details import fill

FACTS = {"full_name", "email", "phone", "address", "date_of_birth"}


def test_what_is_open_is_filled() -> None:
    person = fill(Persona(), 7)
    assert person.name and person.knows.keys() == FACTS
    assert person.knows["full_name"] == person.name
    assert person.knows["email"].endswith("@example.com")
    assert "\n" not in person.knows["address"]


def test_what_is_given_stays() -> None:
    given = Persona(name="Dana Ruiz", knows={"email": "d@x.org", "order_id": "4417"}, speaks={"pace": "fast"})
    person = fill(given, 7)
    assert (person.name, person.knows["full_name"]) == ("Dana Ruiz", "Dana Ruiz")
    assert (person.knows["email"], person.knows["order_id"]) == ("d@x.org", "4417")
    assert person.speaks == given.speaks
    assert given.knows.keys() == {"email", "order_id"}


@pytest.mark.parametrize("fact", ["full_name", "name"])
def test_a_name_that_is_known_is_the_name(fact: str) -> None:
    assert fill(Persona(knows={fact: "Ana Roy"}), 1).name == "Ana Roy"


def test_giving_one_fact_changes_no_other() -> None:
    drawn, given = fill(Persona(), 3).knows, fill(Persona(name="X", knows={"phone": "1"}), 3).knows
    assert drawn["address"] == given["address"] and drawn["date_of_birth"] == given["date_of_birth"]


def test_seeds_differ() -> None:
    assert len({fill(Persona(), seed).name for seed in range(20)}) > 15


def test_the_same_person_in_every_process() -> None:
    code = (
        "import json; from simulate.model.persona_details import fill;"
        "from simulate.model.persona import Persona;"
        "print(json.dumps([fill(Persona(locale=l), 42).model_dump() for l in ('en_US', 'de_DE', 'ja_JP')]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    here = [fill(Persona(locale=locale), 42).model_dump() for locale in ("en_US", "de_DE", "ja_JP")]
    assert [json.loads(each) for each in said] == [here]


def test_the_order_of_personas_changes_nothing() -> None:
    alone = fill(Persona(locale="fr_FR"), 5)
    for seed in range(3):
        fill(Persona(), seed)
    assert fill(Persona(locale="fr_FR"), 5) == alone


@pytest.mark.parametrize(
    ("language", "locale"),
    [("es", "es_ES"), ("pt-BR", "pt_BR"), ("ja", "ja_JP"), ("en", "en_US"), ("tlh", "en_US")],
)
def test_the_locale_follows_the_language(language: str, locale: str) -> None:
    assert fill(Persona(speaks={"language": language}), 1).locale == locale


def test_every_locale_of_faker_is_known_without_importing_it() -> None:
    from faker.config import AVAILABLE_LOCALES

    named = [locale for locale in AVAILABLE_LOCALES if "_" in locale]
    assert [check_locale(locale) for locale in named] == named


@pytest.mark.parametrize("locale", ["de_DE", "ja_JP", "ar_AA", "pl_PL", "zh_CN", "en_IN"])
def test_people_of_other_places(locale: str) -> None:
    assert all(fill(Persona(locale=locale), 1).knows[fact] for fact in FACTS)


def test_an_unknown_locale_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r'no locale "de_ED"; did you mean "de_\w\w"\?'):
        check_locale("de_ED")


def test_loading_imports_no_faker() -> None:
    code = "import sys, simulate.scenario_files, simulate.model.locales as p;"
    code += "p.check_locale('de_DE');"
    code += "print([m for m in ('faker', 'openai', 'opentelemetry', 'aiohttp') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
