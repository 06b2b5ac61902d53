"""What is kept of YAML files: the same configuration and the same errors as without, and nothing that is secret."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.config import yaml_cache
from slipway.config.document import FileErrors, read
from slipway.config.load import load
from slipway.config.scalar import Scalar
from slipway.config.yaml_cache import YamlCache
from slipway.config.yaml_reader import plain
from slipway.errors import UsageError
from tests.unit.config.conftest import PLAIN, service
from tests.unit.config.fuzz import FILES, contents

ROOT = Path(__file__).resolve().parents[3]
NUMBERS = "env: {A: 1.10, B: 0x1F, C: .inf, D: 2024-05-01, E: 1e3, F: '7', G: null, H: true, I: 1_000}\n"


@pytest.fixture(autouse=True)
def kept(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the files of the cache."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home / "slipway" / "configuration"


def outcome(team: Path, cache: YamlCache | None) -> object:
    try:
        return load(team, cache=cache)
    except UsageError as error:
        return error.details


def test_a_kept_configuration_is_the_same_and_is_not_parsed_again() -> None:
    fresh = load(ROOT)
    assert load(ROOT, cache=YamlCache(ROOT)) == fresh
    assert load(ROOT, cache=YamlCache(ROOT)) == fresh
    program = (
        "import sys, pathlib; from slipway.config.load import load; from slipway.config.yaml_cache import YamlCache;"
        "root = pathlib.Path.cwd(); load(root, cache=YamlCache(root)); print('ruamel.yaml' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True) == "False\n"


@pytest.mark.parametrize("name", [name for name in FILES if "manifests" not in name])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_file_is_kept_as_it_was_read(tmp_path: Path, name: str, data: st.DataObject) -> None:
    file = tmp_path / "file.yaml"
    file.write_bytes(data.draw(contents(name)))
    if document := read(file, FileErrors(), cache := YamlCache(tmp_path)):
        cache.save()
        found = read(file, FileErrors(), YamlCache(tmp_path))
        assert found
        assert exact(plain(found.data)) == exact(plain(document.data))
        for keys in paths(plain(document.data)):
            assert (found.line(keys), found.existing(keys)) == (document.line(keys), document.existing(keys))


def exact(value: Any) -> Any:
    """A value with the types and values of all its numbers, so that 1, 1.0, true and nan are told apart."""
    if isinstance(value, dict):
        return {key: exact(one) for key, one in value.items()}
    if isinstance(value, list):
        return [exact(one) for one in value]
    return (type(value), str(value), repr(value.value) if isinstance(value, Scalar) else None)


def paths(value: Any, above: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    yield above
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(one, (*above, key))


def test_errors_have_the_lines_of_files_that_were_kept(team: Path) -> None:
    service(team, "api", "name: api\nport: 9001\nbuild: none\n")
    service(team, "web", PLAIN + "env:\n  A: b\nneeds:\n  - api\n")
    load(team, cache=YamlCache(team))
    shutil.rmtree(team / "apps" / "api")
    service(team, "job", "name: job\nport: 9000\nbuild: none\nsecrets: {KEY: {of: web}}\n")
    found = outcome(team, YamlCache(team))
    assert found == outcome(team, None)
    assert "apps/web/service.yaml:7: unknown service in needs: api" in str(found)


def test_a_checks_line_and_the_folder_are_judged_anew(team: Path) -> None:
    load(team, cache=YamlCache(team))
    (team / "apps" / "web" / "Dockerfile").unlink()
    assert (
        outcome(team, YamlCache(team))
        == "apps/web/service.yaml:1: Dockerfile does not exist · paths are relative to the service's folder"
    )


def test_a_damaged_file_or_one_of_another_reader_is_as_good_as_none(team: Path, kept: Path) -> None:
    service(team, "web", PLAIN + NUMBERS.replace("G: null, H: true, ", ""))
    fresh = load(team)
    load(team, cache=YamlCache(team))
    (file,) = kept.iterdir()
    sound = file.read_bytes()
    header, _, body = sound.partition(b"\n")
    other = sound.replace(b'"1.10"', b'"1.11"')
    assert other != sound
    for content in (b"", b"\xff", b"{", sound[:-1], header, body, header + b"\n{}", header + b"\n[]", other):
        file.write_bytes(content)
        assert load(team, cache=YamlCache(team)) == fresh
        assert file.read_bytes() == sound


def test_only_the_user_can_read_it_and_it_has_neither_manifests_nor_files_with_errors(team: Path, kept: Path) -> None:
    manifests = team / "apps" / "web" / "manifests"
    manifests.mkdir()
    (manifests / "own.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: k}\nstringData: {A: hunter2}\n")
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "box.yaml").write_text("docker: here\nsecrets: {KEY: hunter2}\n")
    assert "secrets.KEY" in str(outcome(team, YamlCache(team)))
    assert not kept.exists()
    (team / "config" / "environments" / "box.yaml").unlink()
    load(team, cache=YamlCache(team))
    (file,) = kept.iterdir()
    assert "hunter2" not in file.read_text()
    assert (stat.S_IMODE(kept.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)


def test_a_mapping_with_the_key_that_stands_for_numbers_is_read_again(team: Path, kept: Path) -> None:
    service(team, "web", PLAIN + "x-a: {'': [7, 8]}\n")
    load(team, cache=YamlCache(team))
    assert load(team, cache=YamlCache(team)) == load(team)
    (file,) = kept.iterdir()
    assert file.read_text().count('"name"') == 1  # slipway.yaml alone


def test_without_a_folder_to_write_to_nothing_is_kept(team: Path, kept: Path) -> None:
    kept.parent.write_text("a file\n")
    assert load(team, cache=YamlCache(team)) == load(team)


def test_what_no_longer_is_there_goes_and_so_do_the_oldest_projects(team: Path, kept: Path) -> None:
    for number in range(yaml_cache.PROJECTS + 2):
        load(team, cache=YamlCache(team / str(number)))
        os.utime(max(kept.iterdir(), key=lambda file: file.stat().st_mtime_ns), (number, number))
    assert len([*kept.iterdir()]) == yaml_cache.PROJECTS
    service(team, "web", PLAIN + "env: {FIRST: x}\n")
    load(team, cache=YamlCache(team))
    service(team, "web", PLAIN + "env: {SECOND: x}\n")
    load(team, cache=YamlCache(team))
    newest = max(kept.iterdir(), key=lambda file: file.stat().st_mtime_ns).read_text()
    assert "SECOND" in newest
    assert "FIRST" not in newest
