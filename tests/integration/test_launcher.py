"""The launcher by itself: a project of two files, so that a virtual environment costs seconds."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.integration.project import ROOT

SHOW = "import os, sys\nprint(sys.argv[1:], os.environ['SLIPWAY_CWD'])\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout in a path with a space."""
    folder = tmp_path / "a checkout"
    (folder / "tasks").mkdir(parents=True)
    (folder / "tasks" / "main.py").write_text(SHOW)
    (folder / "requirements.txt").write_text("filelock\n")
    shutil.copy(ROOT / "invoke", folder)
    return folder


def start(program: Path, *words: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
    given = {k: v for k, v in os.environ.items() if k != "SLIPWAY_CWD"} | env
    return subprocess.Popen(
        [str(program), *words], cwd=cwd, env=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(program: Path, *words: str, cwd: Path | None = None, **env: str) -> tuple[int, str, str]:
    process = start(program, *words, cwd=cwd, **env)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_it_works_from_anywhere_through_a_link_two_at_once_and_prepares_only_when_it_must(
    place: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(place / "invoke")
    both = [start(link, "a b", cwd=tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert all(out == f"['a b'] {tmp_path}\n" for out, _ in said)
    assert sum("preparing .venv" in err for _, err in said) == 1
    assert list((place / "tasks" / "__pycache__").glob("main.*"))

    assert run(place / "invoke")[2] == ""
    (place / "requirements.txt").write_text("filelock\npackaging\n")
    code, _, err = run(place / "invoke")
    assert (code, "preparing .venv" in err) == (0, True)
    assert list((place / ".venv").glob("lib/*/site-packages/packaging"))

    (place / ".venv" / "requirements.done").unlink()  # it was killed while it installed
    shutil.rmtree(place / ".venv" / "bin")
    (place / ".venv.lock").mkdir()
    (place / ".venv.lock" / "4194303.pid").touch()
    assert run(place / "invoke")[0] == 0
    assert not (place / ".venv.lock").exists()


@pytest.fixture
def stand_in(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The chosen Python: it makes virtual environments of one link, which pip has nothing to do in.

    Where it makes one it says so in `made`, and waits there while `hold` exists.
    """
    base = tmp_path / "python3.11"
    base.write_text(
        f"""#!/bin/sh
case "$*" in
  "-m venv "*)
    echo $$ >>"{tmp_path}/made"
    while [ -e "{tmp_path}/hold" ]; do sleep 0.05; done
    mkdir -p "$3/bin"; ln -sf "{base}" "$3/bin/python" ;;
  *realpath*) echo "{base}" ;;
  */tasks/main.py*) echo "it runs" ;;
esac
"""
    )
    base.chmod(0o755)
    (place / "tasks" / "main.py").write_text("")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("SLIPWAY_PYTHON", str(base))
    return base


def test_an_environment_whose_python_is_missing_or_another_is_created_again(
    place: Path, tmp_path: Path, stand_in: Path
) -> None:
    assert run(place / "invoke")[:2] == (0, "it runs\n")
    assert run(place / "invoke") == (0, "it runs\n", "")
    python = place / ".venv" / "bin" / "python"
    for wrong in (tmp_path / "gone", Path("/bin/false")):
        python.unlink()
        python.symlink_to(wrong)
        code, out, err = run(place / "invoke")
        assert (code, out, "preparing .venv" in err) == (0, "it runs\n", True), err
        assert python.resolve() == stand_in
    assert run(place / "invoke") == (0, "it runs\n", "")


@pytest.mark.usefixtures("stand_in")
def test_of_many_that_find_a_dead_holder_one_prepares(place: Path, tmp_path: Path) -> None:
    (place / ".venv.lock").mkdir()
    (place / ".venv.lock" / "4194303.pid").touch()
    (tmp_path / "hold").touch()
    many = [start(place / "invoke") for _ in range(8)]
    assert all(process.stderr for process in many)
    words = [process.stderr.readline() for process in many if process.stderr]
    assert sum("preparing .venv" in line for line in words) == 1
    assert sum("waiting for another ./invoke (pid " in line and ".venv.lock" in line for line in words) == 7
    (tmp_path / "hold").unlink()
    assert [process.communicate(timeout=60)[0] for process in many] == ["it runs\n"] * 8
    assert len((tmp_path / "made").read_text().split()) == 1


@pytest.mark.usefixtures("stand_in")
def test_a_lock_whose_holder_was_killed_before_it_wrote_its_pid_is_acquired(place: Path) -> None:
    (place / ".venv.lock").mkdir()
    code, out, err = run(place / "invoke")
    assert (code, out) == (0, "it runs\n")
    assert "pid unknown" in err


def test_uv_is_used_where_it_is_installed_and_reports_an_untrusted_certificate(
    place: Path, tmp_path: Path, untrusted: str
) -> None:
    made = [sys.executable, "-m", "pip", "install", "-q", "--target", str(tmp_path / "uv"), "uv==0.13.9"]
    subprocess.run(made, check=True)
    path = f"{tmp_path / 'uv' / 'bin'}:{os.environ['PATH']}"
    cache = str(tmp_path / "cache")
    code, _, err = run(place / "invoke", PATH=path, UV_DEFAULT_INDEX=untrusted, UV_HTTP_RETRIES="0", UV_CACHE_DIR=cache)
    assert (code, "certificate is not trusted here" in err) == (4, True), err
    code, _, err = run(place / "invoke", PATH=path)
    assert code == 0, err
    assert "uv = " in (place / ".venv" / "pyvenv.cfg").read_text()


def test_the_systems_python_is_used_before_one_on_the_path(
    place: Path, tmp_path: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLIPWAY_PYTHON")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "python3").symlink_to(stand_in)
    system = Path("/usr/bin/python3")
    has_venv = [str(system), "-c", "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"]
    wanted = system if system.exists() and subprocess.run(has_venv, check=False).returncode == 0 else stand_in
    code, _, err = run(place / "invoke", PATH=f"{tmp_path / 'tools'}:{os.environ['PATH']}")
    assert code == 0, err
    assert (place / ".venv" / "bin" / "python").resolve() == wanted.resolve()


@pytest.mark.parametrize(("python", "found"), [("python3.9", "Python 3.9.2"), ("python3.99", "not there")])
def test_a_chosen_python_that_will_not_do_is_named(place: Path, tmp_path: Path, python: str, found: str) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2"\n')
    old.chmod(0o755)
    code, _, err = run(place / "invoke", PATH=f"{tmp_path}:/usr/bin:/bin", SLIPWAY_PYTHON=python)
    assert code == 2
    assert f"Python 3.11 or newer is needed, and SLIPWAY_PYTHON, {python}, is {found}" in err
    assert "unset it" in err
    assert not (place / ".venv.lock").exists()


def test_a_missing_python_is_reported_with_how_to_install_it(place: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "ls", "cmp", "mkdir", "rm", "cat", "id", "sleep", "cp", "printf"):
        (tools / name).symlink_to(shutil.which(name) or "")
    launcher = place / "invoke"
    without = launcher.read_text().replace("/usr/bin/python3 ", "/usr/bin/a-python-that-is-missing ")
    assert without != launcher.read_text()
    launcher.write_text(without)
    code, _, err = run(launcher, PATH=str(tools))
    assert code == 2
    assert "Python 3.11 or newer is needed, and this machine has no python3" in err
    assert "apt-get install python3" in err
    assert not (place / ".venv.lock").exists()


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """A package index whose certificate nobody trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*words, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/simple"
    server.shutdown()


def test_an_untrusted_certificate_is_named_with_its_fix(place: Path, untrusted: str) -> None:
    code, _, err = run(place / "invoke", PIP_INDEX_URL=untrusted, PIP_RETRIES="0", PIP_TRUSTED_HOST="")
    assert code == 4
    assert "certificate is not trusted here" in err
    assert "update-ca-certificates" in err
