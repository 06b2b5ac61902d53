"""Leiningen's account of a build: which is understood, and what makes it count no more."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from slipway.images.leiningen_recipe import Recipe, beside_namespaces, key, read_account

ENVIRONMENT = {"PATH": "/bin", "TERM": "xterm"}


def account(root: Path) -> list[tuple[str, str]]:
    """The lines of an account of a build in `root`, whose files are there then."""
    for folder in ("src/shop", "resources", "target/classes", "lein/profiles.d", ".git/refs/heads"):
        (root / folder).mkdir(parents=True)
    files = {
        "project.clj": "(defproject shop)",
        "src/shop/core.clj": "(ns shop.core)",
        "resources/a.txt": "1",
        "dep.jar": "dep",
        "lein.jar": "lein",
        "java": "java",
        ".git/HEAD": "ref: refs/heads/main",
        ".git/refs/heads/main": "0",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    class_path = os.pathsep.join(str(root / one) for one in ("src", "resources", "target/classes", "dep.jar"))
    return [
        ("tool", str(root / "lein.jar")),
        *(("word", one) for one in (str(root / "java"), "-classpath", class_path, "-Da=b", "clojure.main", "-i")),
        ("run", "(do)"),
        ("variable", "LEIN_VERSION=2.10.0"),
        ("root", str(root)),
        ("classes", str(root / "target/classes")),
        ("seed", "META-INF/maven/shop/shop/pom.properties"),
        ("bytes", "YQ=="),
        ("thin", str(root / "target/shop.jar")),
        ("manifest", "YQ=="),
        ("tree", str(root / "target/classes")),
        ("dependency", str(root / "dep.jar")),
    ]


def read(root: Path, lines: list[tuple[str, str]]) -> Recipe | None:
    """What is understood of these lines."""
    path = root / "account"
    path.write_text("".join(f"{kind} {json.dumps(value)}\n" for kind, value in lines))
    return read_account(path)


def test_what_leiningen_did_is_understood(tmp_path: Path) -> None:
    recipe = read(tmp_path, account(tmp_path))
    assert recipe
    assert recipe.only("run") == "(do)"
    assert list(recipe.contents("seed")) == [("META-INF/maven/shop/shop/pom.properties", "YQ==")]


@pytest.mark.parametrize(
    "line",
    [
        ("unclear", ":plugins"),
        ("run", "(another)"),  # as of javac, or of a task before it
        ("thin", "/another.jar"),
        ("seed", "generated/Main.class"),
        ("manifest", "YQ=="),
    ],
)
def test_an_account_with_more_than_a_compilation_is_not_understood(tmp_path: Path, line: tuple[str, str]) -> None:
    assert read(tmp_path, [*account(tmp_path), line, ("bytes", "YQ==")]) is None


@pytest.mark.parametrize("option", ["-javaagent:a.jar", "@options", "-Xbootclasspath/a:a.jar", "-Djava.library.path=a"])
def test_a_jvm_that_reads_more_than_its_class_path_is_not_understood(tmp_path: Path, option: str) -> None:
    lines = [(kind, option if value == "-Da=b" else value) for kind, value in account(tmp_path)]
    assert read(tmp_path, lines) is None


@pytest.mark.parametrize("missing", ["run", "root", "classes", "manifest", "thin", "tree", "dependency", "word"])
def test_an_account_that_ends_early_is_not_understood(tmp_path: Path, missing: str) -> None:
    assert read(tmp_path, [line for line in account(tmp_path) if line[0] != missing]) is None


def test_no_account_and_one_that_can_not_be_read_are_not_understood(tmp_path: Path) -> None:
    assert read_account(tmp_path / "none") is None
    (tmp_path / "broken").write_text('word "half')
    assert read_account(tmp_path / "broken") is None


def found_key(recipe: Recipe, **changed: str) -> str:
    """The key with these variables changed."""
    home = {"LEIN_HOME": str(Path(recipe.only("root")) / "lein")}
    return key(recipe, ["lein", "uberjar"], {**ENVIRONMENT, **home, **changed})


@pytest.mark.parametrize(
    "name",
    [
        *("project.clj", "profiles.clj", ".lein-classpath", "README.md", "LICENSE", "lein/profiles.clj"),
        *(
            "lein/profiles.d/team.clj",
            "lein/leinrc",
            "dep.jar",
            "lein.jar",
            "java",
            ".git/refs/heads/main",
            "checkouts",
        ),
    ],
)
def test_whatever_leiningen_reads_is_in_the_key(tmp_path: Path, name: str) -> None:
    recipe = read(tmp_path, account(tmp_path))
    assert recipe
    before = found_key(recipe)
    assert found_key(recipe) == before
    (tmp_path / name).write_text("changed")
    assert found_key(recipe) != before


@pytest.mark.parametrize(("name", "counts"), [("SHLVL", False), ("SSH_TTY", False), ("JVM_OPTS", True), ("X", True)])
def test_variables_are_in_the_key_but_for_those_of_a_terminal(tmp_path: Path, name: str, counts: bool) -> None:
    recipe = read(tmp_path, account(tmp_path))
    assert recipe
    assert (found_key(recipe) != found_key(recipe, **{name: "other"})) == counts


def test_a_profile_with_code_and_a_dependency_that_is_gone_have_no_key(tmp_path: Path) -> None:
    recipe = read(tmp_path, account(tmp_path))
    assert recipe
    (tmp_path / "profiles.clj").write_text('{:dev {:x ~(System/getenv "X")}}')
    with pytest.raises(ValueError, match="has code"):
        found_key(recipe)
    (tmp_path / "profiles.clj").unlink()
    (tmp_path / "dep.jar").unlink()
    with pytest.raises(FileNotFoundError):
        found_key(recipe)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("src/shop/core.clj", False),
        ("src/shop/new.cljc", False),
        ("src/data_readers.clj", True),
        ("src/user.clj", True),
        ("src/settings-of-a-library.clj", True),
        ("src/shop/Main.class", True),
        ("resources/a.txt", True),
        ("target/classes/a.class", False),
    ],
)
def test_what_others_code_can_read_of_a_project_is_all_but_its_namespaces(
    tmp_path: Path, name: str, counts: bool
) -> None:
    recipe = read(tmp_path, account(tmp_path))
    assert recipe
    before, in_key = beside_namespaces(recipe), found_key(recipe)
    (tmp_path / name).write_text("changed")
    assert (beside_namespaces(recipe) != before) == counts
    assert found_key(recipe) == in_key  # sources are not what Leiningen is asked about


def test_a_link_to_a_folder_that_it_is_in_is_not_followed_and_one_to_a_file_is(tmp_path: Path) -> None:
    recipe = read(tmp_path, account(tmp_path))
    assert recipe
    (tmp_path / "words.txt").write_text("1")
    for name, target in {"again": "..", "and": "../..", "words.txt": "../words.txt", "nowhere": "nothing"}.items():
        (tmp_path / "resources" / name).symlink_to(target)
    before = beside_namespaces(recipe)
    assert beside_namespaces(recipe) == before
    (tmp_path / "words.txt").write_text("22")
    assert beside_namespaces(recipe) != before
