"""Faker's locales, without importing Faker, which takes long."""

from __future__ import annotations

import functools
import re
from importlib.util import find_spec
from pathlib import Path

from simulate.model.nearest import did_you_mean

_LOCALE = re.compile(r"[a-z]{2,3}_[A-Z]{2,4}")


def check_locale(value: str) -> str:
    """Refuse a locale that Faker does not have."""
    if value != "en_US" and value not in _locales():
        raise ValueError(f'no locale "{value}"{did_you_mean(value, _locales())}')
    return value


def locale_of(language: str) -> str | None:
    """``es`` → ``es_ES``; a language whose country has another name gets its first locale."""
    code = language.replace("-", "_")
    if code in _locales():
        return code
    code = code.split("_", maxsplit=1)[0].lower()
    if code == "en":
        return None
    own = f"{code}_{code.upper()}"
    candidates = [name for name in _locales() if name.startswith(f"{code}_")]
    return min(candidates, key=lambda name: (name != own, name), default=None)


@functools.cache
def _locales() -> frozenset[str]:
    """Faker's locales, read from the folders of its providers."""
    spec = find_spec("faker")
    if spec is None or not spec.submodule_search_locations:
        return frozenset({"en_US"})
    folders = Path(spec.submodule_search_locations[0], "providers").glob("*/*/__init__.py")
    return frozenset(path.parent.name for path in folders if _LOCALE.fullmatch(path.parent.name))
