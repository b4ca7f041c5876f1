"""Loads ``module:name`` and ``path/to/file.py:name``: agents, bots, checks and evaluators of one's own."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from simulate import determinism
from simulate.errors import AddressError, SimulateError
from simulate.model.nearest import did_you_mean
from simulate.no_code import check_allowed
from simulate.user_code import meant_for_us


def load_object(target: str, address: str, root: Path | None = None) -> Any:
    """The object behind ``module:name`` or ``path/to/file.py:name``; ``name`` may have dots.

    ``root`` (default: the working directory) is where modules are looked for first and files lie; it goes to
    the front of ``sys.path``. A file becomes a module of a name of its own, so that ``voice/agents.py`` and a
    module ``agents`` may stand side by side, in any order. ``address`` is for messages.

    Raises InputError where no code may run (`simulate.no_code`), and AddressError with the traceback of the
    author's own code where that fails at its import."""
    module_name, separator, attribute = target.rpartition(":")
    if not separator or not module_name or not attribute:
        raise AddressError(f"{address}: not of the form module:name or path/to/file.py:name")
    check_allowed(address)
    root = Path(os.path.abspath(root or Path.cwd()))
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        load = _file if module_name.endswith(".py") else _module
        module = load(module_name, root, address)
    except SimulateError:
        raise
    except BaseException as error:
        if meant_for_us(error):
            raise
        raise AddressError(
            f"{address}: importing {module_name} raised {type(error).__name__}: {error}",
            proof=own_traceback(error),
        ) from error
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = did_you_mean(attribute, _callables(module))
            raise AddressError(f"{address}: {module_name} has no `{attribute}`{near}")
        found = getattr(found, part)
    return found


def _callables(module: ModuleType) -> list[str]:
    """What a module defines itself and could be an agent."""
    members = vars(module)
    return [
        name
        for name, value in members.items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", None) == module.__name__
    ]


def _module(name: str, root: Path, address: str) -> ModuleType:
    package = name.partition(".")[0]
    loaded = sys.modules.get(package)
    if loaded is None and importlib.util.find_spec(package) is None:
        raise AddressError(
            f"{address}: there is no module {name}",
            hint=f"modules are looked for in {root} and among what is installed",
        )
    here = PathFinder.find_spec(package, [str(root)])
    if loaded is not None and here is not None and not _is_from(loaded, here):
        # Python knows one module of a name: what is imported already would be taken for this one
        raise AddressError(
            f"{address}: another module {package} is imported already, from {loaded.__file__}",
            hint=f"write the file instead, such as {package}.py:name, or rename one of the two",
        )
    return importlib.import_module(name)


def _is_from(loaded: ModuleType, here: ModuleSpec) -> bool:
    """Whether a module is the one that was found, a package without ``__init__.py`` in any of its folders."""
    if here.origin is None:
        folders = set(here.submodule_search_locations or ())
        return not folders.isdisjoint(getattr(loaded, "__path__", ()))
    return loaded.__file__ is None or os.path.realpath(loaded.__file__) == os.path.realpath(here.origin)


def _file(name: str, root: Path, address: str) -> ModuleType:
    path = (root / name).resolve()
    if not path.is_file():
        raise AddressError(f"{address}: there is no file {name} in {root}")
    unique = f"simulate_{path.stem}_{determinism.derive_seed(path):x}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None  # its name ends with .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


def own_traceback(error: BaseException) -> str:
    """The traceback as the agent's author knows it: without our frames."""
    ours = str(Path(__file__).resolve().parent) + os.sep
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if not frame.filename.startswith((ours, "<frozen importlib")) and "/importlib/" not in frame.filename
    ]
    lines = traceback.format_list(theirs) + traceback.format_exception_only(error)
    return "".join(lines).rstrip()
