"""Leiningen itself: the services' own tests, and what it says that it makes of a project beside what it makes."""

from __future__ import annotations

import json
import os
import random
import re
import zipfile
from pathlib import Path

import pytest

from slipway.images import leiningen_project
from tests.integration.project import ROOT, lein
from tests.lab.hands import MAIL, SERVICES

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    "folder", [*(ROOT / "services" / name for name in SERVICES), MAIL / "mail"], ids=lambda f: f.name
)
def test_a_services_own_tests_pass_and_there_are_some(folder: Path) -> None:
    said = lein(folder, "test")
    ran = re.search(r"^Ran (\d+) tests containing (\d+) assertions\.\n0 failures, 0 errors\.$", said, re.MULTILINE)
    assert ran, said
    assert int(ran[1]) > 0
    assert re.search(rf"^lein test helping-hands\.{folder.name}\.|^lein test {folder.name}\.", said, re.MULTILINE), (
        said
    )  # its own


OUTSIDE = {"lib": "../lib/src", "common": "../common"}  # by what is read outside of the folder, where that is
FILES = {
    "shop/res/inside.txt": "1",
    "lib/src/lib/core.clj": "(ns lib.core)",
    "common/outside.txt": "2",
}


def paths(*given: str) -> str:
    return "[" + " ".join(json.dumps(one) for one in given) + "]"


def project_clj(choose: random.Random, sources: str, resources: str) -> str:
    """A project.clj in any of the forms that decide where a jar comes to lie and what it is made of."""
    given = [
        choose.choice(["", ':target-path "out"', ':target-path "build/%s/x"', ':target-path "target/"']),
        choose.choice(["", ':uberjar-name "all.jar"', ':jar-name "thin.jar"']),
        choose.choice(["", ':compile-path "classes"', ":omit-source true", ':clean-targets ["gen"]']),
        choose.choice([":main shop.core", ":main ^:skip-aot shop.core", ""]),
        f":source-paths {sources}",
    ]
    profile = [
        choose.choice(["", ':uberjar-name "of-the-profile.jar"', ':target-path "deep/%s"', ":auto-clean false"]),
        choose.choice(["", ":aot :all", ":aot [shop.core]"]),
        f":resource-paths {resources}",
    ]
    name, version = choose.choice(["shop", "team/shop"]), choose.choice(["1.0", "0.1.0-SNAPSHOT"])
    head = f'(defproject {name} "{version}" :dependencies [[org.clojure/clojure "1.11.4"]]'
    return f"{head} {' '.join(given)} :profiles {{:uberjar {{{' '.join(profile)}}}}})\n"


@pytest.mark.parametrize("seed", [0, 1, 10])  # nothing, one and two folders outside
def test_leiningen_makes_what_it_says_of_a_project_and_from_what_it_says(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311  the same projects each time
    outside = {name for name in OUTSIDE if choose.random() < 0.6}
    folder = tmp_path / "shop"
    core = "(ns shop.core (:gen-class)" + (" (:require lib.core)" if "lib" in outside else "") + ") (defn -main [])"
    shared = {name: [OUTSIDE[name]] if name in outside else [] for name in OUTSIDE}
    text = project_clj(choose, paths("src", *shared["lib"]), paths("res", *shared["common"]))
    for place, content in {**FILES, "shop/src/shop/core.clj": core, "shop/project.clj": text}.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(content)
    before = set(folder.rglob("*"))
    said = lein(folder, *leiningen_project.asking(tmp_path / "answer"), "uberjar")
    told = leiningen_project.read_answer(tmp_path / "answer", folder)
    created = re.findall(r"^Created (.+)$", said, re.MULTILINE)
    assert told, said
    assert created, text + said
    assert told.jar == os.path.relpath(created[-1], folder), text
    names = set(zipfile.ZipFile(created[-1]).namelist())
    assert ("outside.txt" in names, "inside.txt" in names) == ("common" in outside, True), text
    assert set(told.inputs) == {OUTSIDE[name] for name in outside}, text
    written = {path.relative_to(folder) for path in set(folder.rglob("*")) - before if path.is_file()}
    stray = {path for path in written if not any(path.is_relative_to(one) for one in told.generated)}
    assert stray == set(), f"{text}: {told.generated}"
