"""What a bundle says of itself: its manifest, and files that are bad or missing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from slipway.engine.reporter import null_reporter
from slipway.errors import Problem, UsageError
from slipway.installers.bundle import Bundle, image_tag
from slipway.installers.bundle_images import archive_tag


def bundle(folder: Path, content: bytes = b"kubelet") -> Bundle:
    (folder / "cluster").mkdir()
    (folder / "cluster" / "kubelet").write_bytes(content)
    file = {
        "name": "kubelet",
        "version": "1.34.4",
        "platform": "linux/amd64",
        "path": "cluster/kubelet",
        "sha256": hashlib.sha256(b"kubelet").hexdigest(),
        "purpose": "cluster",
    }
    (folder / "bundle.yaml").write_text(json.dumps({"files": [file]}))
    return Bundle(folder)


def test_a_bundle_names_every_bad_and_missing_file(tmp_path: Path) -> None:
    found = bundle(tmp_path)
    assert found.faults(null_reporter()) == []
    (tmp_path / "cluster" / "kubelet").write_bytes(b"tampered")
    assert "cluster/kubelet has sha256" in found.faults(null_reporter())[0]
    kubelet = found.find("cluster", "kubelet", "linux/amd64")
    assert kubelet
    with pytest.raises(Problem, match="cluster/kubelet has sha256"):
        found.checked(kubelet)
    (tmp_path / "cluster" / "kubelet").unlink()
    assert found.faults(null_reporter()) == ["cluster/kubelet is missing"]


def test_a_folder_without_a_manifest_or_with_a_faulty_one_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(Problem) as raised:
        Bundle(tmp_path)
    assert isinstance(raised.value, UsageError)
    (tmp_path / "bundle.yaml").write_text("files: [{name: x, nome: y}]\n")
    with pytest.raises(Problem) as raised:
        assert Bundle(tmp_path).files
    assert "unknown key" in raised.value.details


def test_the_tags_under_which_docker_keeps_a_bundles_image(tmp_path: Path) -> None:
    (file,) = bundle(tmp_path).of("cluster")
    assert image_tag("postgres") == "slipway/bundle-postgres:1"
    assert archive_tag(file) == f"slipway/bundle-kubelet:{file.sha256[:16]}"
