"""The house as CONTRIBUTING describes it: no circles, one name per thing, and a public door that docs use."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import simulate

ROOT = Path(__file__).parents[1]
PACKAGE = Path(simulate.__file__).parent
"""In a checkout or from a wheel."""
API = ROOT / "docs" / "api.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its dotted name."""
    found: dict[str, ast.Module] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text("utf-8"), str(path))
    return found


@cache
def source(name: str) -> list[str]:
    """The lines of a module."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    package = path / "__init__.py"
    path = package if package.exists() else path.with_suffix(".py")
    return path.read_text("utf-8").splitlines()


def imports(tree: ast.AST) -> Iterator[str]:
    """What a module imports, also inside functions and for types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # of a package, the submodule where the name is one
            yield from (_module(f"{node.module}.{alias.name}", node.module) for alias in node.names)


def _module(name: str, package: str) -> str:
    return name if name in modules() else package


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, by whatever way round (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph.get(name, ()):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_no_module_imports_itself_in_a_circle() -> None:
    # a package imports what it offers, and its modules each other; importing one never needs the offer
    graph = {
        name: {each for each in imports(tree) if each in modules() and not name.startswith(f"{each}.")}
        for name, tree in modules().items()
    }
    assert circles(graph) == []


def inner_imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports inside functions."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


def test_an_import_inside_a_function_has_its_reason() -> None:
    # for commands, the pytest plugin and other libraries CONTRIBUTING gives the reason
    unexplained = [
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        if not name.startswith(("simulate.interfaces.cli.", "simulate.interfaces.pytest."))
        for node in inner_imports(tree)
        for root in [(getattr(node, "module", None) or node.names[0].name).split(".")[0]]
        if root == "simulate" or root in sys.stdlib_module_names
        if not any("#" in line for line in source(name)[node.lineno - 2 : node.lineno])
    ]
    assert unexplained == []


LONG_FILE, LONG_FUNCTION = 400, 50


def test_files_and_functions_stay_short() -> None:
    files = [f"{name}: {length}" for name in modules() if (length := len(source(name))) > LONG_FILE]
    functions = [
        f"{name}.{node.name}: {length}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > LONG_FUNCTION
    ]
    assert files + functions == []


def test_no_two_classes_have_one_name() -> None:
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].add(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_what_begins_with_an_underscore_stays_in_its_package() -> None:
    strangers = [
        f"{name} imports {each}"
        for name, tree in modules().items()
        for each in imports(tree)
        for package, _, module in [each.rpartition(".")]
        if each.startswith("simulate.")
        and module.startswith("_")
        and not f"{name}.".startswith(f"{package}.")
    ]
    assert strangers == []


# -- what is public ---------------------------------------------------------------------------------------


def public() -> dict[str, set[str]]:
    """The names that docs/api.md lists, by the module that they are imported from."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    module = ""
    for row in re.findall(r"^\|([^|]*)\|([^|]*)\|", API.read_text("utf-8"), re.M):
        home, names = (re.findall(r"`([\w.]+)`", cell) for cell in row)
        module = home[0] if home else module
        if module:
            found[module].update(names)
    return found


@pytest.mark.parametrize("module", sorted(public()))
def test_the_page_lists_what_a_module_offers(module: str) -> None:
    offered = importlib.import_module(module)
    assert all(hasattr(offered, name) for name in public()[module])
    if module != "simulate.errors":  # all of its classes
        assert set(offered.__all__) == public()[module]


def blocks() -> list[tuple[str, str]]:
    """The Python in the pages."""
    return [
        (str(page.relative_to(ROOT)), code)
        for page in PAGES
        for code in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S)
    ]


@pytest.mark.parametrize(("page", "code"), blocks(), ids=lambda value: value if value.endswith(".md") else "")
def test_pages_import_only_what_is_public(page: str, code: str) -> None:
    tree = compile(code, page, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            taken = [alias.name for alias in node.names if alias.name.split(".")[0] == "simulate"]
            assert set(taken) <= set(public()), page
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "simulate":
            names = {alias.name for alias in node.names}
            assert node.module in public(), f"{page} imports from {node.module}"
            assert node.module == "simulate.errors" or names <= public()[node.module], page


# -- what CONTRIBUTING says -------------------------------------------------------------------------------


def table(title: str) -> list[list[str]]:
    """The rows of the first table below a heading of CONTRIBUTING."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.M)
    ]
    return rows[2:]


def test_every_room_is_described() -> None:
    described = {
        name.rstrip("/") for row in table("The rooms") for name in re.findall(r"`([\w/.]+)`", row[0])
    }
    inside = {name.removeprefix("simulate.").split(".")[0] for name in modules() if name != "simulate"}
    inside -= {"__main__"}
    assert {name.split("/")[0] for name in described} == inside
    for name in described:
        assert f"simulate.{name.replace('/', '.')}" in modules(), name


def test_every_word_names_one_class() -> None:
    classes = {
        node.name for tree in modules().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
    named = {name for row in table("The words") for name in re.findall(r"`([A-Z]\w+)`", row[1])}
    assert named, "the table says which class a word is"
    assert named <= classes, named - classes
