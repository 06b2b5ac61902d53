"""Leiningen: what it makes of a project and from what, as it says itself; and the jar, built by it."""

from __future__ import annotations

import operator
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from slipway.engine.events import Emit, Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import NextCommand, Problem, untrusted_certificate
from slipway.hosts import locks
from slipway.hosts.host import Command, Host
from slipway.images import jar as jars
from slipway.images import leiningen_project as projects
from slipway.images import recompile
from slipway.images.jar import tail
from slipway.images.leiningen_project import Project
from slipway.images.leiningen_recipe import shell_settings
from slipway.images.sources import Sources, changed_meanwhile

# hashCode: Clojure names classes in the order of identity hashes, and a jar should be the same each time.
# TieredStopAtLevel: the compiler's JVM ends before C2 pays off; Leiningen's own setting gives way to :jvm-opts.
OPTIONS = "-XX:+UnlockExperimentalVMOptions -XX:hashCode=2 -XX:TieredStopAtLevel=1"
# Of Leiningen's own JVM, which with this collector needs a twentieth less of the processors.
LEIN_JVM_OPTS = "-XX:+UseSerialGC"
JVM_VARIABLES = ("LEIN_JVM_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")  # which it reads
OWN_OPTIONS = f"NOTE: Picked up JDK_JAVA_OPTIONS: {OPTIONS}"  # each JVM that Leiningen starts says so
# Variables that are about other runs of Leiningen: LEIN_SILENT hides how far it is, a trampoline starts what an earlier
# run left, CLASSPATH puts other code before its own. All else is inherited: what it needs to work here (LEIN_HOME,
# LEIN_OFFLINE, LEIN_JVM_OPTS, JVM_OPTS, proxies, passwords), and what allows a build (LEIN_SNAPSHOTS_IN_RELEASE).
UNSET = ("LEIN_SILENT", "LEIN_FAST_TRAMPOLINE", "LEIN_TRAMPOLINE_WARMUP", "TRAMPOLINE_FILE", "CLASSPATH")
RESOLVED = ("Compiling ", "Created ")  # what Leiningen prints once it has the dependencies
LOCK = ".lein-slipway.lock"  # in the project, where all users' processes find it; not in target, which lein cleans


def always() -> bool:
    """Yes, without looking."""
    return True


@dataclass(frozen=True)
class Leiningen:
    """How Leiningen is run: with which JDK, and with which profile where Clojars can't be reached.

    Whether it can is asked (`offline`) only where Leiningen runs.
    """

    java_home: str
    profile: str = ""
    reuse: bool = True  # what it said the last time, where only sources have changed since
    later: Callable[[Callable[[], None]], None] = operator.call  # is given what is best done when the run has ended
    offline: Callable[[], bool] = always

    @property
    def online(self) -> Leiningen:
        """The same, without the profile."""
        return replace(self, profile="")


def uberjar_command(folder: Path, lein: Leiningen, words: Sequence[str] = ()) -> Command:
    """The command that builds the jar. `words` are those of other tasks, in front of that one."""
    profile = ("with-profile", f"+{lein.profile}") if lein.profile else ()
    java = f"{lein.java_home}/bin/java"
    options = " ".join(filter(None, (os.environ.get("JDK_JAVA_OPTIONS"), OPTIONS)))
    env = {"JDK_JAVA_OPTIONS": options} | {
        "JAVA_HOME": lein.java_home,
        "JAVA_CMD": java,
        "LEIN_JAVA_CMD": java,
        "LEIN_ROOT": "1",
        "TERM": "dumb",
    }
    env |= _own_jvm(os.environ)
    return Command(("lein", *profile, *words, "uberjar"), env=env, unset=UNSET, cwd=str(folder), timeout=1800, idle=600)


def _own_jvm(environment: Mapping[str, str]) -> dict[str, str]:
    """Options of Leiningen's own JVM; none where there may be others: with two collectors a JVM does not start."""
    others = any(environment.get(name) for name in JVM_VARIABLES)
    if others or any(path.exists() for path in shell_settings(environment)):
        return {}
    return {"LEIN_JVM_OPTS": LEIN_JVM_OPTS}


def build(host: Host, folder: Path, lein: Leiningen, report: Reporter, read: Callable[[], Sources]) -> Path:
    """Build, verify and name the jar. Raises Problem with Clojure's file, line and message when it does not compile.

    `read` reads the sources as they stand. They must not change meanwhile, except that Leiningen may say what else it
    reads: then the jar is that of another digest, which is known from now on.
    """
    alone = locks.file_lock(folder / LOCK, f"another Leiningen in {folder.name}", report.waiting_for, report.cancel)
    scratch = tempfile.TemporaryDirectory(prefix="slipway-lein-")
    with scratch as temporary, alone as lock, ExitStack() as resolving:
        started = time.time()
        before = read()
        if before.jar:
            report.note("another process has just built it")
            return before.jar
        commands = [uberjar_command(folder, one) for one in (lein, lein.online)]
        if lein.reuse and (jar := recompile.build(folder, commands, report)):
            now = _unless_changed(before, None, read, started)
            named = jars.name_by_digest(jar, now.digest)
            lein.later(partial(recompile.keep_warm, folder, commands))
            return named
        lein = lein if lein.profile and lein.offline() else lein.online
        path, holder = locks.user_lock_path("maven"), f"the Leiningen of {folder.name}, which resolves dependencies"
        resolving.enter_context(locks.file_lock(path, holder, report.waiting_for, report.cancel))
        until_resolved = replace(report, emit=partial(_pass_on, resolving, report.emit))
        answer = Path(temporary) / "answer"
        asking = uberjar_command(folder, lein, projects.asking(answer))
        result = host.run(replace(asking, pass_fds=(lock,)), until_resolved)
        project = projects.read_answer(answer, folder)
        now = _unless_changed(before, project, read, started)  # what an edit in the middle breaks, it is the cause of
        if result.exit_code != 0:
            raise build_failure(folder, result.text + result.stderr.decode(errors="replace"))
        jar = created_jar(folder, project, started - 2)
        if jar is None:
            raise Problem(
                f"{folder.name}: Leiningen created no jar",
                details=tail(result.text),
                hint="check :main in project.clj",
            )
        jars.verify(host, jar, lein.java_home, report)
        made = replace(project, jar=os.path.relpath(jar, folder)) if project else None
        _unless_changed(now, made, read, started)
        if made and jar == folder / made.jar:
            recompile.record(folder, uberjar_command(folder, lein), projects.account_beside(answer), jar)
        return jars.name_by_digest(jar, now.digest)


def _unless_changed(before: Sources, project: Project | None, read: Callable[[], Sources], started: float) -> Sources:
    """The sources, with what Leiningen says of them. Raises Problem where they are not what they were at the start."""
    known = projects.recorded(before.folder)
    if project and project != known:
        projects.record(before.folder, project)
    now = read()
    if now.digest != before.digest and (project in {None, known} or now.changed_since(started)):
        raise changed_meanwhile(before.folder.name, now.differing_from(before, started))
    return now


def created_jar(folder: Path, project: Project | None, since: float) -> Path | None:
    """The uberjar: the one that Leiningen named, or the last that it wrote, where an alias builds another one."""
    named = folder / project.jar if project else None
    if named and named.is_file() and named.stat().st_mtime >= since:
        return named
    return jars.newest((folder / path for path in (project.generated if project else ("target",))), since)


def _pass_on(resolving: ExitStack, emit: Emit, event: Event) -> None:
    """Pass on what Leiningen prints, except that a JVM has got our own options.

    Once it has resolved its dependencies, the next may: two that write to ~/.m2 at once read each other's half files.
    """
    if isinstance(event, Output):
        if event.text == OWN_OPTIONS:
            return
        if event.text.startswith(RESOLVED):
            resolving.close()
    emit(event)


def build_failure(folder: Path, output: str) -> Problem:
    """The error of a failed build, in the words of Clojure or Leiningen."""
    name = folder.name
    error = re.search(
        r"(?:Syntax error|Unexpected error|Execution error).*?\(([^():]+):(\d+)(?::(\d+))?\)\.?\s*", output
    )
    if error:
        rest = output[error.end() :].strip().splitlines()
        repeated = ("Syntax error", "Unexpected error", "Execution error")  # by the compiler, then by its caller
        new = (line.strip() for line in rest if line.strip() and not line.strip().startswith(repeated))
        message = next(new, "")
        summary = f"{name}: {error[1]}:{error[2]}: {message or error[0].strip()}"
        return Problem(summary, details=tail(output, 12), hint=f"correct {error[1]} and run the same command again")
    if "PKIX path" in output or "unable to find valid certification path" in output:
        lines = re.findall(r"^.*(?:PKIX path|valid certification path).*$", output, re.MULTILINE)
        return untrusted_certificate("a repository", "\n".join(lines[:5]))
    if lines := re.findall(
        r"^.*(?:Could not (?:transfer|find) artifact|Failed to read artifact descriptor).*$", output, re.MULTILINE
    ):
        return Problem(
            f"{name}: dependencies could not be downloaded",
            details="\n".join(lines[:5]),
            hint="check the network or proxy",
            commands=[NextCommand("setup")],
        )
    return Problem(f"{name}: lein uberjar failed", details=tail(output), hint=f"cd {folder} && lein uberjar")
