"""What runs on a host, over an sshd of this process: uploads that continue, resumable jobs, results without noise."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ConnectionLost
from slipway.hosts.host import Command, Privilege
from slipway.hosts.ssh import session
from slipway.hosts.ssh.remote_scripts import as_job
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import Sshd, lost, reached, until


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


def test_an_upload_that_was_cut_off_continues_where_it_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, there = home / "big", home / "far" / "big"
    content = bytes(range(256)) * 40_000
    source.write_bytes(content)
    server, heard = Sshd(), list[Event]()
    report = Reporter("step", heard.append, Cancel())
    monkeypatch.setattr(session, "PROGRESS_INTERVAL", 1 << 16)
    with reached(home, server) as box:
        cut = threading.Event()

        def emit(event: Event) -> None:
            if getattr(event, "done", 0) > len(content) // 2 and not cut.is_set():
                cut.set()
                server.drop()

        with pytest.raises(ConnectionLost):
            box.upload(source, str(there), 0o640, Privilege.USER, Reporter("step", emit, Cancel()))
        (part,) = there.parent.glob("big.*.part.*")
        assert 0 < part.stat().st_size < len(content)
        box.upload(source, str(there), 0o640, Privilege.USER, report)
        assert [event.text for event in heard if isinstance(event, Output) and "continuing at" in event.text]
        assert (there.read_bytes() == content, oct(there.stat().st_mode)[-3:]) == (True, "640")
        assert [file.name for file in there.parent.iterdir()] == ["big"]
        heard.clear()
        box.upload(source, str(there), 0o600, Privilege.USER, report)
        assert (heard, oct(there.stat().st_mode)[-3:]) == ([], "600")


def test_what_another_upload_left_or_still_writes_does_no_harm(home: Path) -> None:
    content, there = b"whole" * 1000, home / "file"
    sha256 = hashlib.sha256(content).hexdigest()
    with reached(home, Sshd()) as box:
        (home / f"file.{sha256}.part.1").write_bytes(b"stale")
        box.write_file(content, str(there), 0o600, Privilege.USER, null_reporter())
        assert there.read_bytes() == content
        there.unlink()
        other = home / f"file.{sha256}.part.1"
        other.write_bytes(content[:2000])
        with other.open("ab") as late:  # somebody who was cut off, whose last bytes come late
            (home / "source").write_bytes(content)
            box.upload(home / "source", str(there), 0o600, Privilege.USER, null_reporter())
            late.write(b"too late")
        assert there.read_bytes() == content
    assert not list(home.glob("*.part.*"))


def test_what_a_login_shell_prints_first_is_in_no_result(home: Path) -> None:
    (home / "source").write_bytes(b"content")
    with reached(home, Sshd(before=b"WELCOME\n")) as box:
        assert box.run(Command(("echo", "hi")), null_reporter()).text == "hi\n"
        for _ in range(2):
            box.upload(home / "source", str(home / "copy"), 0o600, Privilege.USER, null_reporter())
        assert box.read_file(str(home / "copy"), null_reporter()) == b"content"


@pytest.mark.parametrize("absent", ["/proc/$$/stat", "ps -o", "$g >&2"])
def test_a_host_that_reports_no_process_group_works_too(home: Path, absent: str) -> None:
    with reached(home, Sshd(rewrite=(absent, ">&2" if ">&2" in absent else "/no/such/file"))) as box:
        assert box.run(Command(("echo", "hi")), null_reporter()).text == "hi\n"


JOB = Command(
    ("sh", "-c", 'echo run >>ran; until [ -e go ]; do sleep 0.05; done; echo over; exit "${1:-0}"'), resumable=True
)


def test_a_resumable_command_continues_when_the_connection_breaks_and_the_next_run_attaches_to_it(home: Path) -> None:
    server, heard = Sshd(rewrite=JOBS), list[Event]()

    def hear(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Output) and "attaching to it" in event.text:
            (home / "go").touch()

    with reached(home, server) as box:
        first = threading.Thread(target=lost, args=(box, JOB))
        first.start()
        until((home / "ran").exists)
        server.drop()
        first.join()
        assert box.run(JOB, Reporter("step", hear, Cancel())).text == "over\n"
        assert (home / "ran").read_text() == "run\n"
        assert [event for event in heard if isinstance(event, Output) and "attaching to it" in event.text]
        (folder,) = (one for one in jobs(home).iterdir() if one.is_dir())
        assert not (folder / "in").exists()  # what it was given may be a secret
        assert box.run(JOB, null_reporter()).exit_code == 0
        assert (home / "ran").read_text() == "run\nrun\n"  # a job that has ended is no answer to who asks later


def test_a_resumable_command_has_its_own_output_and_no_other(home: Path) -> None:
    with reached(home, Sshd(rewrite=JOBS)) as box:
        done = box.run(Command(("sh", "-c", "echo out; echo err >&2; exit 3"), resumable=True), null_reporter())
    assert (done.exit_code, done.text, done.stderr) == (3, "out\n", b"err\n")


def test_a_job_is_not_mistaken_for_another_process_that_has_its_number_now(home: Path) -> None:
    (home / "go").touch()
    with reached(home, Sshd(rewrite=JOBS)) as box:
        box.run(JOB, null_reporter())
        (folder,) = (one for one in jobs(home).iterdir() if one.is_dir())
        for process in (f"{os.getpid()}", f"{os.getpid()} 1 {Path('/proc/sys/kernel/random/boot_id').read_text()}"):
            (folder / "exit").unlink()
            (folder / "process").write_text(process)  # as a reboot leaves it
            assert box.run(JOB, null_reporter()).text == "over\n"
        old = jobs(home) / "old"
        old.mkdir()
        os.utime(old, (1, 1))
        box.run(JOB, null_reporter())
        assert not old.exists()


JOBS = ("/run/slipway", "$HOME/.cache/slipway/jobs")  # root's are kept as a user's are, in the test's own folder


def jobs(home: Path) -> Path:
    return home / ".cache" / "slipway" / "jobs"


def test_a_job_is_named_by_what_it_does() -> None:
    one = Command(("apt-get", "install", "x"), resumable=True)
    assert as_job(one).argv[4] == as_job(replace(one, timeout=5)).argv[4]
    assert as_job(one).argv[4] != as_job(replace(one, argv=("apt-get", "install", "y"))).argv[4]
    assert as_job(one).argv[5:] == one.argv
