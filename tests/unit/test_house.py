"""The house: which folder may import which, as docs/design.md draws it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = (
    {"errors"},
    {"engine", "config"},
    {"hosts"},
    {"checks", "secrets", "docker"},
    {"kubernetes"},
    {"images", "installers", "deployers", "scaffold"},
    {"clusters"},
    {"flows"},
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
ASIDE = {"ui"}  # it knows events only, and nothing below knows it


def imported(file: Path) -> Iterator[str]:
    """The modules of `slipway` that a file imports, wherever in it: `hosts.local`."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "slipway" else [node.module]
        yield from (name.removeprefix("slipway.") for name in names if name.startswith("slipway."))


def test_arrows_run_down_only_and_never_to_a_sibling() -> None:
    floor = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
    upward = []
    for file in sorted((ROOT / "slipway").rglob("*.py")):
        room = file.relative_to(ROOT / "slipway").parts[0].removesuffix(".py")
        for other in (module.split(".")[0] for module in imported(file)):
            if room in ASIDE or room == other or room == "__init__":
                continue
            if other not in floor or floor[other] >= floor[room]:
                upward.append(f"{file.relative_to(ROOT)} imports {other}")
    assert upward == []


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Every module of the product, parsed."""
    for folder in ("slipway", "tasks"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file.relative_to(ROOT), ast.parse(file.read_text())


def test_no_protocol_has_more_than_eight_methods_or_takes_anything() -> None:
    large = []
    for file, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
                methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
                anything = [one for one in methods if re.search(r"\bAny\b", ast.unparse(one))]
                if len(methods) > 8 or anything:
                    large.append(f"{file}: {node.name}")
    assert large == []


def test_few_functions_have_no_name_and_no_name_is_given_to_one_afterwards() -> None:
    lambdas = [file for file, module in modules() for node in ast.walk(module) if isinstance(node, ast.Lambda)]
    assert len(lambdas) < 30
    assert [str(file) for file in dict.fromkeys(lambdas) if "E731" in (ROOT / file).read_text()] == []


def test_only_what_is_about_minikube_names_it() -> None:
    allowed = {"slipway/clusters", "slipway/config", "slipway/installers/minikube.py", "slipway/hosts/facts.py"}
    named = {
        str(file)
        for file, _ in modules()
        if file.parts[0] == "slipway"
        and not any(str(file).startswith(place) for place in allowed)
        and "minikube" in (ROOT / file).read_text().lower()
    }
    assert named == set()


def test_one_factory_asks_what_kind_of_environment_it_is() -> None:
    asked = re.compile(r"environment\.(local|minikube|context|host)\b")
    found = {
        str(file) for file, _ in modules() if file.parts[0] == "slipway" and asked.search((ROOT / file).read_text())
    }
    assert {file for file in found if not file.startswith("slipway/config/")} == set()


def test_only_the_command_line_knows_how_a_command_is_typed() -> None:
    typed = re.compile(r"\./invoke|(?<![\w-])--(env|service|settings|services|bundle|plan|purge)\b")
    spelled = []
    for file, module in modules():
        if file.parts[0] == "slipway":
            docstrings = {
                ast.get_docstring(node, clean=False) for node in ast.walk(module) if isinstance(node, DOCUMENTED)
            }
            texts = (node.value for node in ast.walk(module) if isinstance(node, ast.Constant))
            found = [t for t in texts if isinstance(t, str) and t not in docstrings and typed.search(t)]
            spelled += [f"{file}: {text!r}" for text in found]
    assert spelled == []


def test_docstrings_say_something_of_their_own() -> None:
    empty = []
    for file, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node) or ""
                if re.fullmatch(r"See `[^`]+`\.?", text):
                    empty.append(f"{file}: {getattr(node, 'name', '')}")
    assert empty == []


def test_the_workspace_is_small() -> None:
    assert len((ROOT / "slipway/flows/workspace.py").read_text().splitlines()) < 100


def test_paramiko_is_imported_at_its_root_before_any_part_of_it() -> None:
    """Two threads that import it from two ends may find it half initialized; at the root, one waits for the other."""
    entries = []
    for file, module in modules():
        for scope in (node for node in ast.walk(module) if isinstance(node, ast.Module | ast.FunctionDef)):
            names = [
                name
                for node in scope.body
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                if name.partition(".")[0] in {"paramiko", "fabric"}
            ]
            entries += [f"{file}: {name}" for name in names[:1] if name != "paramiko"]
    assert entries == []


def test_nothing_below_the_views_prints() -> None:
    calls = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sorted((ROOT / "slipway").rglob("*.py"))
        if "ui" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_the_views_know_events_and_not_steps() -> None:
    known = {other for file in (ROOT / "slipway" / "ui").rglob("*.py") for other in imported(file)}
    assert {module for module in known if not module.startswith("ui.")} == {"engine.events", "engine.masking", "errors"}


def test_every_test_of_the_lab_belongs_to_one_part_of_its_suite() -> None:
    from tasks.dev import BOTH, SUITES

    hosts, cluster = (set(part) for part in SUITES["lab"].values())
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "lab").glob("test_*.py")}
    assert files == {word for word in hosts | cluster if word.endswith(".py")}
    both = [ROOT / "tests" / "lab" / name for name in BOTH.split(" or ")]
    assert hosts & cluster == {"-k", *(str(path.relative_to(ROOT)) for path in both)}
    assert {f"not (({BOTH}) and {where})" for where in ("minikube", "local")} <= hosts | cluster
    for test in (test for path in both for test in ast.parse(path.read_text()).body):
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):  # in one of the two, by its environment
            known = {"hands", "parties", "service"}
            assert known & {argument.arg for argument in test.args.args}, test.name
