"""An uberjar with the project's own entries replaced: what of it stays, and when it can't be done."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from slipway.images import uberjar

FIELDS = (
    *("date_time", "flag_bits", "compress_type", "compress_size", "CRC", "extra", "comment"),
    *("external_attr", "internal_attr", "create_system", "create_version", "extract_version"),
)


def jar(path: Path, **content: str) -> Path:
    """A jar with these entries, in this order, each with a comment and a time of its own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for at, (name, text) in enumerate(content.items()):
            info = zipfile.ZipInfo(name.replace("__", "/"), (2001, 2, 3, 4, at, 6))
            info.compress_type = zipfile.ZIP_STORED if "stored" in name else zipfile.ZIP_DEFLATED
            info.comment = name.encode()
            out.writestr(info, text)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """An uberjar of a project's own jar and a dependency, whose entry `META` the own one hides."""
    jar(tmp_path / "thin.jar", META="own", app__a="a" * 99)
    jar(tmp_path / "dep.jar", META="theirs", dep__stored="s", dep__x="x" * 999, dep__y="y")
    content = {"META": "own", "app__a": "a" * 99, "dep__stored": "s", "dep__x": "x" * 999, "dep__y": "y"}
    return jar(tmp_path / "whole.jar", **content)


def parts(whole: Path) -> uberjar.Parts:
    """The parts of that uberjar."""
    found = uberjar.parts(whole, whole.with_name("thin.jar"), [whole.with_name("dep.jar")])
    assert found
    return found


def replaced(whole: Path, of: uberjar.Parts, **own: str) -> tuple[uberjar.Parts | None, list[str]]:
    """The parts of the uberjar with these own entries, and its entries; it is `target.jar`."""
    target = whole.with_name("target.jar")
    found = uberjar.replace_own(whole, of, jar(whole.with_name("own.jar"), **own), target)
    if found is None:
        assert not target.exists()
        return None, []
    with zipfile.ZipFile(target) as made:
        assert made.testzip() is None
        return found, made.namelist()


def test_the_parts_of_an_uberjar_are_those_of_its_jars(whole: Path) -> None:
    assert parts(whole) == uberjar.Parts(2, frozenset({"META"}))


def test_an_uberjar_whose_own_entries_are_not_its_first_has_no_parts(tmp_path: Path) -> None:
    thin = jar(tmp_path / "thin.jar", a="1", b="2")
    assert uberjar.parts(jar(tmp_path / "whole.jar", a="1", c="3", b="2"), thin, []) is None


def test_new_entries_come_first_and_those_of_dependencies_stay_as_they_are(whole: Path) -> None:
    found, names = replaced(whole, parts(whole), META="own", app__b="b", app__c="c")
    assert found == uberjar.Parts(3, frozenset({"META"}))
    assert names == ["META", "app/b", "app/c", "dep/stored", "dep/x", "dep/y"]
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(whole.with_name("target.jar")) as new:
        for name in names[3:]:
            before, after = old.getinfo(name), new.getinfo(name)
            assert [getattr(before, one) for one in FIELDS] == [getattr(after, one) for one in FIELDS]
            assert old.read(name) == new.read(name)
        assert new.read("app/b") == b"b"


def test_an_entry_of_a_dependency_gives_way_to_an_own_one_and_can_not_come_back(whole: Path) -> None:
    found, names = replaced(whole, parts(whole), META="own", dep__x="mine")
    assert names == ["META", "dep/x", "dep/stored", "dep/y"]
    assert found
    again = whole.with_name("target.jar").rename(whole.with_name("again.jar"))
    assert replaced(again, found, META="own") == (None, [])


def test_where_an_own_entry_is_gone_that_hid_another_nothing_is_made(whole: Path) -> None:
    assert replaced(whole, parts(whole), app__a="a") == (None, [])
