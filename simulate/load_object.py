"""Loads ``module:name`` and ``path/to/file.py:name``: agents, bots, checks and evaluators of one's own."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
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


def check_is_there(address: str, root: Path) -> None:
    """Raises AddressError where the module or the file that an agent's address names is not there; runs none
    of its code."""
    scheme, _, target = address.partition(":")
    if scheme not in ("python", "pipecat", "livekit"):
        return
    module_name = target if scheme == "livekit" else target.rpartition(":")[0]
    if module_name.endswith(".py"):
        _path(module_name, root, address)
    elif scheme != "livekit":
        package = module_name.partition(".")[0]
        if PathFinder.find_spec(package, [str(root)]) is None:
            _installed(package, module_name, root, address)


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
    if loaded is None:
        _installed(package, name, root, address)
    here = PathFinder.find_spec(package, [str(root)])
    if loaded is not None and here is not None and not _is_from(loaded, here):
        # Python knows one module of a name: what is imported already would be taken for this one
        raise AddressError(
            f"{address}: another module {package} is imported already, from {loaded.__file__}",
            hint=f"write the file instead, such as {package}.py:name, or rename one of the two",
        )
    return importlib.import_module(name)


def _installed(package: str, name: str, root: Path, address: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise AddressError(
            f"{address}: there is no module {name}",
            hint=f"modules are looked for in {root} and among what is installed",
        )


def _is_from(loaded: ModuleType, here: ModuleSpec) -> bool:
    """Whether a module is the one that was found, a package without ``__init__.py`` in any of its folders."""
    if here.origin is None:
        folders = set(here.submodule_search_locations or ())
        return not folders.isdisjoint(getattr(loaded, "__path__", ()))
    return loaded.__file__ is None or os.path.realpath(loaded.__file__) == os.path.realpath(here.origin)


def _path(name: str, root: Path, address: str) -> Path:
    path = (root / name).resolve()
    if not path.is_file():
        raise AddressError(f"{address}: there is no file {name} in {root}")
    return path


def _file(name: str, root: Path, address: str) -> ModuleType:
    path = _path(name, root, address)
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
    """The traceback as the agent's author knows it: without our frames, and those of libraries counted only,
    but for the last one, which says where it broke. Where none is the author's, all are shown."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, "<frozen importlib")) and "/importlib/" not in frame.filename
    ]
    theirs = [not frame.filename.startswith(_LIBRARIES) for frame in frames]
    lines: list[str] = []
    skipped: list[str] = []
    for place, frame in enumerate(frames):
        if any(theirs) and not theirs[place] and place < len(frames) - 1:
            skipped.append(_library(frame.filename))
            continue
        lines += _skipped(skipped)
        skipped = []
        lines += traceback.format_list([frame])
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()


_OURS = str(Path(__file__).resolve().parent) + os.sep
_PATHS = sysconfig.get_paths()
_LIBRARIES = tuple(_PATHS[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _library(file: str) -> str:
    """``httpx`` of ``…/site-packages/httpx/_client.py``; a module of the standard library by its name."""
    folder = max((each for each in _LIBRARIES if file.startswith(each)), key=len)
    return file[len(folder) :].partition(os.sep)[0].removesuffix(".py")


def _skipped(libraries: list[str]) -> list[str]:
    if not libraries:
        return []
    frames = f"{len(libraries)} frame{'s' * (len(libraries) > 1)}"
    return [f"  ... {frames} of {', '.join(dict.fromkeys(libraries))}\n"]
