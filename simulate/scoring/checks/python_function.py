"""Loads the function of ``python: module:function`` under ``expect:``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulate.errors import AddressError
from simulate.load_object import load_object
from simulate.model.expect import PythonCheck


def load_function(expectation: PythonCheck, root: Path | None) -> Callable[..., Any]:
    """The function, which takes the evidence and ``args:``. Raises AddressError where it cannot."""
    name = f"python: {expectation.python}"
    found = load_object(expectation.python, name, root)
    if not callable(found):
        raise AddressError(f"{name}: is of type {type(found).__name__}; a check is a function")
    try:
        inspect.signature(found).bind(None, **expectation.args)
    except TypeError as error:
        raise AddressError(f"{name}: must take the evidence and its args: ({error})") from None
    except ValueError:
        pass  # a builtin without a signature
    return found
