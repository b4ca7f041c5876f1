"""Fills what a persona leaves open with Faker, from a seed."""

from __future__ import annotations

import functools
import random
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulate.determinism.context import derive_seed
from simulate.model.locales import locale_of
from simulate.model.persona import Persona

if TYPE_CHECKING:
    from faker import Faker

_BORN = (1950, 2004)
"""Years of birth. Fixed, and not counted from today: the same seed must give the same person tomorrow."""


def fill(persona: Persona, seed: int) -> Persona:
    """The same persona with a name, and with the facts that a caller is asked for: ``full_name``, ``email``,
    ``phone``, ``address`` and ``date_of_birth``, where they are not given.

    Each is drawn on its own, so that giving one of them changes none of the others. Email addresses are at
    example.com and lead nowhere (RFC 2606)."""
    locale = persona.locale
    if "locale" not in persona.model_fields_set:
        locale = locale_of(persona.speaks.language) or locale

    def draw(what: str, make: Callable[[Faker], str]) -> str:
        faker = _faker(locale)
        faker.seed_instance(derive_seed(seed, "person", what))
        return " ".join(make(faker).split())

    knows = dict(persona.knows)
    given = knows.get("full_name", knows.get("name"))
    name = persona.name or (given if isinstance(given, str) else None)
    name = name or draw("name", _name)
    facts: dict[str, Callable[[], Any]] = {
        "full_name": lambda: name,
        "email": lambda: f"{_mailbox(name)}{derive_seed(seed, 'mailbox') % 90 + 10}@example.com",
        "phone": lambda: draw("phone", lambda faker: faker.phone_number()),
        "address": lambda: draw("address", lambda faker: re.sub(r"\s*\n\s*", ", ", faker.address())),
        "date_of_birth": lambda: _date_of_birth(seed),
    }
    for fact, make in facts.items():
        if fact not in knows:
            knows[fact] = make()
    return persona.model_copy(update={"name": name, "locale": locale, "knows": knows})


def _name(faker: Faker) -> str:
    """Without the titles that Faker's own ``name()`` adds; family name first where that is the custom."""
    first, last = faker.first_name(), faker.last_name()
    family_first = faker.locales[0].split("_")[0] in ("hu", "ja", "ko", "vi", "zh")
    return f"{last} {first}" if family_first else f"{first} {last}"


def _date_of_birth(seed: int) -> str:
    chance = random.Random(derive_seed(seed, "person", "date_of_birth"))
    year, month, day = chance.randint(*_BORN), chance.randint(1, 12), chance.randint(1, 28)
    return f"{year:04d}-{month:02d}-{day:02d}"


def _mailbox(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return ".".join(re.findall(r"[a-z0-9]+", folded))[:40] or "caller"


@functools.lru_cache(maxsize=8)
def _faker(locale: str) -> Faker:
    from faker import Faker  # it takes a third of a second to import

    return Faker(locale)
