"""Which files are read: .yaml and .yml, and none that editors or macOS leave behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from slipway.config.load import load, load_hosts
from slipway.config.manifests import documents
from tests.unit.config.conftest import errors

LEFT_BEHIND = [
    "._x.yaml",
    "x.yaml~",
    "#x.yaml#",
    ".x.yaml.swp",
    "x.yaml.swp",
    ".DS_Store",
    "4913",
    ".x.yaml.kate-swp",
    "x.yaml.orig",
]
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n"


@pytest.mark.parametrize("where", ["config", "config/environments", "apps", "apps/web", "apps/web/manifests"])
def test_what_editors_and_macos_leave_behind_is_passed_over(team: Path, where: str) -> None:
    folder = team / where
    folder.mkdir(exist_ok=True)
    before = load(team)
    for name in LEFT_BEHIND:
        (folder / name).write_bytes(b"\x00\x05\x16\x07: [")
    (folder / ".#x.yaml").symlink_to("ann@laptop.1234:1700000000")
    (folder / ".hidden" / "environments").mkdir(parents=True)
    (folder / ".hidden" / "service.yaml").write_text("broken: [")
    assert load(team) == before
    assert list(documents(team / "apps" / "web")) == []


def test_yml_is_read_wherever_yaml_is(team: Path) -> None:
    config, web = team / "config", team / "apps" / "web"
    (config / "environments").mkdir()
    (config / "environments" / "staging.yml").write_text("docker: box1\n")
    (config / "hosts.yml").write_text("hosts: {box1: {address: 203.0.113.7}}\n")
    (config / "slipway.yaml").rename(config / "slipway.yml")
    (web / "service.yaml").rename(web / "service.yml")
    (web / "manifests").mkdir()
    (web / "manifests" / "own.yml").write_text(OBJECT)
    found = load(team)
    assert (found.environments["staging"].host, list(found.services)) == ("box1", ["web"])
    assert load_hosts(team, None) == found.hosts
    assert [one["kind"] for one in documents(web)] == ["ConfigMap"]


def test_a_settings_folder_replaces_a_file_whatever_its_suffix(team: Path, tmp_path: Path) -> None:
    (team / "config" / "hosts.yaml").write_text("hosts: {}\n")
    over = tmp_path / "over"
    over.mkdir()
    (over / "hosts.yml").write_text("hosts: {box1: {address: 203.0.113.7}}\n")
    assert "box1" in load(team, settings=over).hosts.hosts


@pytest.mark.parametrize(
    "name",
    ["config/slipway.yaml", "config/environments/x.yaml", "apps/web/service.yaml", "apps/web/manifests/own.yaml"],
)
def test_two_files_of_one_name_are_refused(team: Path, name: str) -> None:
    path = team / name
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(OBJECT if "manifests" in name else "docker: here\n")
    shutil.copy(path, path.with_suffix(".yml"))
    assert errors(team) == [
        f"{path.with_suffix('.yml').relative_to(team)}:1: {path.name} and {path.stem}.yml are both there · keep one of them"
    ]


@pytest.mark.parametrize("name", ["config/environments/x.yaml", "config/hosts.yml", "apps/api/service.yaml"])
def test_a_link_that_leads_nowhere_is_told(team: Path, name: str) -> None:
    path = team / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("../nowhere")
    assert errors(team) == [f"{name}:1: a link to ../nowhere, which does not exist · remove or repair it"]


def test_a_folder_that_is_called_like_a_file_is_told(team: Path) -> None:
    (team / "config" / "hosts.yaml").mkdir()
    assert errors(team) == ["config/hosts.yaml:1: can't be read: Is a directory"]


def test_folders_in_manifests_are_not_read_as_by_kubectl(team: Path) -> None:
    sub = team / "apps" / "web" / "manifests" / "sub"
    sub.mkdir(parents=True)
    (sub / "own.yaml").write_text(OBJECT)
    load(team)
    assert list(documents(team / "apps" / "web")) == []
