"""The base with a JVM: what is linked into it, against what the image has that it stands in for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.config.versions import Jlink
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.hosts.facts import Jdk
from slipway.hosts.local import LocalHost
from slipway.images import base_recipes
from slipway.images.base_images import host_release

ROOT = Path(__file__).resolve().parents[3]
JRE = json.loads(Path(__file__).with_name("jre_modules.json").read_text())


@pytest.mark.parametrize("release", sorted(JRE))
def test_the_recipe_has_every_module_of_the_image_that_it_stands_in_for(release: str) -> None:
    recipe = load(ROOT).images.bases["clojure"].recipe
    assert isinstance(recipe, Jlink)
    assert set(JRE[release]["modules"].split()) - set(recipe.modules) == set()


@pytest.mark.skipif(shutil.which("jlink") is None, reason="needs a JDK")
def test_what_the_jdk_has_is_linked_with_the_locale_and_what_it_lacks_is_told(tmp_path: Path) -> None:
    home = Path(str(shutil.which("jlink"))).resolve().parents[1]
    events: list[Event] = []
    recipe = Jlink(modules=("java.base", "jdk.from.another.release", "jdk.httpserver"))
    report = Reporter("base/clojure", events.append, Cancel())
    root = base_recipes.java_rootfs(LocalHost(), Jdk("99", str(home)), recipe, tmp_path / "java", report)
    notes = [event.text for event in events if isinstance(event, Output)]
    assert "Java 99 has no jdk.from.another.release" in notes
    release = (tmp_path / "java" / "release").read_text()
    assert "jdk.httpserver" in release
    assert {"/opt/java/bin/java", "/opt/java/lib/server/libjvm.so", "/opt/java/lib/modules"} <= root.files.keys()
    assert any(path.rpartition("/")[2].startswith("libc.so") for path in root.files)
    native = base_recipes.native_libraries({Path(path).parent for path in root.files if "/libc.so" in path})
    assert root.files.keys() >= set(map(str, native))
    if host_release().startswith("debian-"):  # as the image that it stands in for
        assert {path.name for path in native} == set(base_recipes.NATIVE)
        assert any("/libgcc_s.so" in path for path in root.files), "libstdc++ needs it"
    (language,) = (line for line in base_recipes.COMMON if line.startswith("ENV LANG="))
    assert language == "ENV LANG=C.UTF-8"
    assert root.files.keys() >= base_recipes.locale_files().keys()


def test_the_locale_is_that_of_this_machines_c_library_under_either_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_recipes, "LOCALES", tmp_path)
    assert base_recipes.locale_files() == {}
    for name in ("C.UTF-8", "C.utf8"):
        for part in ("LC_CTYPE", "LC_MESSAGES/SYS_LC_MESSAGES"):
            path = tmp_path / name / part
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        found = base_recipes.locale_files()
        assert set(found) == {str(tmp_path / name / "LC_CTYPE"), str(tmp_path / name / "LC_MESSAGES/SYS_LC_MESSAGES")}
