"""A jar by a builder of the team's own: a command in the service's folder that leaves the jar that it promises."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from slipway.config.builder import Builder
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, Unreachable
from slipway.hosts import locks
from slipway.hosts.host import Command, Host, Result
from slipway.images import jar as jars
from slipway.images.sources import Sources, changed_meanwhile

TIMEOUT = 1800  # seconds


def command(folder: Path, builder: Builder, java_home: str) -> Command:
    """The command of a builder. It inherits the environment, with a JAVA_HOME where there is none."""
    env = {"TERM": "dumb"} | ({"JAVA_HOME": java_home} if java_home and "JAVA_HOME" not in os.environ else {})
    return Command(builder.run, env=env, cwd=str(folder), timeout=TIMEOUT)


def build(
    host: Host, folder: Path, builder: Builder, java_home: str, report: Reporter, read: Callable[[], Sources]
) -> Path:
    """Run the builder, check its jar and name it by the digest of the sources, which `read` reads as they stand.

    A jar that is there already is removed first, so that what is there afterwards was made by this run, whatever a
    builder takes for up to date. Raises Problem in the builder's words.
    """
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    alone = locks.file_lock(
        locks.user_lock_path(f"build-{name}"), f"another build of {folder.name}", report.waiting_for, report.cancel
    )
    with alone as lock:
        before = read()
        if before.jar:
            report.note("another process has just built it")
            return before.jar
        _require_program(folder, builder)
        jar = folder / builder.jar
        _remove(jar)
        started = time.time()
        result = host.run(replace(command(folder, builder, java_home), pass_fds=(lock,)), report)
        output = jars.tail(result.text + result.stderr.decode(errors="replace"))
        now = read()
        if now.digest != before.digest:
            hint = "what the build itself writes must be ignored by Git, or no input"
            raise changed_meanwhile(folder.name, now.differing_from(before, started), output, hint)
        _require_success(folder, builder, result, output)
        jars.require_intact(jar)
        return jars.name_by_digest(jar, before.digest)


def _remove(jar: Path) -> None:
    try:
        jar.unlink(missing_ok=True)
    except OSError as error:
        hint = "`build.jar` in service.yaml must be a file that the build writes"
        raise Problem(f"{jar} can't be replaced", details=str(error), hint=hint) from error


def _require_program(folder: Path, builder: Builder) -> None:
    """Raise Unreachable where there is no such program: a path is one from the service's folder."""
    program = builder.run[0]
    path = folder / program if "/" in program else Path(program)
    if shutil.which(path) is not None:
        return
    if path.is_file():
        summary = f"{folder.name}: {program}, which builds it, is not executable"
        raise Unreachable(summary, hint=f"chmod +x {shlex.quote(str(path))}")
    hint = f"correct `build.run` in service.yaml, or install {program}; Slipway installs no builders"
    raise Unreachable(f"{folder.name}: {program}, which builds it, is not on this machine", hint=hint)


def _require_success(folder: Path, builder: Builder, result: Result, output: str) -> None:
    line = shlex.join(builder.run)
    again = f"cd {shlex.quote(str(folder))} && {line}"
    if result.exit_code:
        code = result.exit_code
        ended = f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        summary = f"{folder.name}: `{line}` {ended}"
        raise Problem(summary, details=output, hint=again)
    if not (folder / builder.jar).is_file():
        summary = f"{folder.name}: `{line}` made no {builder.jar}"
        raise Problem(summary, details=output, hint=f"correct `build.jar` in service.yaml, or try {again}")
