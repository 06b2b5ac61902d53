"""One command from its flags to its exit code: configuration, view, run, Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Exit

from slipway.errors import Cancelled, ExitCode, Problem
from slipway.hosts.host import prefix
from slipway.steps import Cancel, Say, Step
from slipway.ui.session import Session

if TYPE_CHECKING:
    from slipway.config.models import Config, Environment, Hosts
    from slipway.here import Here
    from slipway.hosts.host import Host
    from slipway.hosts.ssh import Ssh
    from slipway.machines import Site
    from slipway.run import Result
    from slipway.tools.bundle import Bundle

ROOT = Path(__file__).resolve().parent.parent
SECRETS = {  # of a host: the variable that may say it (with _HOSTNAME behind, for one host), and the question
    "sudo": ("SLIPWAY_SUDO_PASSWORD", "the sudo password"),
    "password": ("SLIPWAY_SSH_PASSWORD", "the SSH password"),
    "passphrase": ("SLIPWAY_SSH_PASSPHRASE", "the passphrase of the key"),
}
RUNS = 50  # logs and evidence of the newest runs that are kept


@dataclass
class Command:
    """What a task's body works with."""

    name: str
    session: Session
    flags: dict[str, Any]
    closing: ExitStack
    cancel: Cancel
    _asking: threading.Lock = field(default_factory=threading.Lock)
    result: Result | None = None  # of the last run or plan
    _hosts: dict[str, Ssh] = field(default_factory=dict)
    _answers: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def plan(self) -> bool:
        """Whether nothing may be changed."""
        return bool(self.flags.get("plan"))

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return not self.session.json and sys.stdin.isatty() and sys.stdout.isatty() and not self.flags.get("yes")

    @cached_property
    def config(self) -> Config:
        """The whole configuration; every fault is raised at once."""
        from slipway.config.load import folder_option, load

        here = Path(os.environ.get("SLIPWAY_CWD") or Path.cwd())
        services = folder_option(self.flags["services"], "SLIPWAY_SERVICES", here)
        return load(ROOT, settings=self._settings, services=services)

    @cached_property
    def _settings(self) -> Path | None:
        from slipway.config.load import folder_option

        here = Path(os.environ.get("SLIPWAY_CWD") or Path.cwd())
        return folder_option(self.flags["settings"], "SLIPWAY_SETTINGS", here)

    @cached_property
    def hosts(self) -> Hosts:
        """What hosts.yaml says."""
        from slipway.config.load import load_hosts

        return load_hosts(ROOT, self._settings)

    def reach(self, text: str) -> None:
        """Begin to read the facts of the hosts in `--host a,b`, while the rest of the configuration is read."""
        import slipway.hosts.link  # noqa: F401  before the threads, so that they connect while this one goes on

        for name in (name.strip() for name in text.split(",")):
            if name in self.hosts.hosts:
                threading.Thread(target=self._reach, args=(self.ssh(name),), daemon=True).start()

    @staticmethod
    def _reach(host: Ssh) -> None:
        with contextlib.suppress(Problem):  # the host's first step says it
            host.probe.facts()

    @cached_property
    def environment(self) -> Environment:
        """The environment that the command is about."""
        from slipway.config.load import default_environment

        name = self.flags["env"] or default_environment(ROOT)
        found = self.config.environments.get(name)
        if found is None:
            fix = f"there are: {', '.join(sorted(self.config.environments))}"
            raise Problem(f"no environment is called {name}", fix=fix, code=ExitCode.USAGE)
        if found.protected and self.flags.get("confirm") and not self.plan and self.flags.get("yes") != name:
            fix = f"--yes {name}"
            raise Problem(f"environment {name} is protected", fix=fix, code=ExitCode.USAGE)
        return found

    @cached_property
    def machine(self) -> Host:
        """The machine that Slipway runs on."""
        from slipway.hosts.local import Local

        return Local(self._password)

    @cached_property
    def here(self) -> Here:
        """The machine, its Docker and its services."""
        from slipway.here import Here
        from slipway.hosts.engine import Engine

        host, daemon = self.machine, Engine(self.machine, self.closing)
        place, beside = host, daemon
        if self.environment.host:
            place = self.ssh(self.environment.host)
            beside = Engine(place, self.closing)
        mask = self.session.mask
        return Here(self.config, self.environment, host, daemon, place, beside, mask, self.closing, self.bundle)

    def ssh(self, name: str) -> Ssh:
        """An SSH host, not connected yet; its connection ends with the command."""
        from slipway.hosts.ssh import Ssh

        if name not in self._hosts:
            self._hosts[name] = Ssh(name, self.hosts, self.secret)
            self.closing.callback(self._hosts[name].close)
        return self._hosts[name]

    def named(self, text: str) -> list[str]:
        """The hosts behind `--host a,b`, else the environment's, else all. Raises Problem for an unknown one."""
        known = self.hosts.hosts
        behind = [self.environment.host] if self.flags["env"] and self.environment.host else sorted(known)
        names = [name.strip() for name in text.split(",") if name.strip()] or behind
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            what = f"no host is called {', '.join(unknown)}" if unknown else "hosts.yaml names no host"
            fix = f"there are: {', '.join(sorted(known))}" if known else "write it to config/hosts.yaml"
            raise Problem(what, fix=fix, code=ExitCode.USAGE)
        return list(dict.fromkeys(names))

    @cached_property
    def bundle(self) -> Bundle | None:
        """The bundle behind --bundle."""
        from slipway.tools.bundle import Bundle

        folder = self.folder(self.flags.get("bundle", ""))
        return Bundle(folder) if folder else None

    @staticmethod
    def folder(text: str) -> Path | None:
        """A folder that a flag names, from where the user stands."""
        from slipway.config.load import folder_option

        return folder_option(text, "", Path(os.environ.get("SLIPWAY_CWD") or Path.cwd()))

    def use(self, name: str) -> None:
        """Make an environment this checkout's default. Raises Problem unless it is `local` or `minikube`."""
        if name not in {"local", "minikube"}:
            fix = "name others each time: --env NAME"
            raise Problem("only local and minikube can be a checkout's default", fix=fix, code=ExitCode.USAGE)
        file = ROOT / ".slipway" / "environment"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(f"{name}\n")

    def _password(self) -> str:
        return self.secret("sudo", "")

    def secret(self, kind: str, host: str) -> str:
        """A password of a host (this machine: no name), from the environment, else asked once per group of hosts."""
        from slipway.config.load import given

        variable, question = SECRETS[kind]
        with self._asking:
            found = given(variable, host)
            if found is None:
                groups = self.hosts.hosts[host].groups if host in self.hosts.hosts else ()
                key = (kind, groups[0] if groups else host)
                found = self._answers.get(key)
                if found is None:
                    found = self._answers[key] = self._asked(question, variable, key[1])
            self.session.mask([found])
        return found

    def _asked(self, question: str, variable: str, whose: str) -> str:
        of = f" of {whose}" if whose else ""
        if not self.interactive:
            fix = f"set {variable}, or run it on a terminal"
            raise Problem(f"{question}{of} is wanted, and there is nobody to ask", fix=fix, code=ExitCode.USAGE)
        import getpass

        return getpass.getpass(f"{question}{of}: ")

    def run(self, steps: Sequence[Step[Any]], closing: Callable[[], Sequence[str]] = tuple) -> None:
        """Plan or run these steps; raises Exit when the code is not 0. `closing` are the last lines of success."""
        from slipway.run import WORKERS, Run, plan

        began, at_once = time.monotonic(), self.hosts.at_once if len(self._hosts) > 1 else WORKERS
        if self.plan:
            result = self.result = plan(steps, self.session.emit, at_once=at_once)
            if not result.failures and result.reasons:
                raise Exit(code=int(ExitCode.CHANGES))
        else:
            self._permitted(steps)
            with self._alone():
                result = self.result = Run(steps, self.session.emit, self.cancel, at_once=at_once).go()
                lines = tuple(closing()) if result.exit_code is ExitCode.DONE else ()
                self.session.emit(result.finished(time.monotonic() - began, lines))
        if result.exit_code is not ExitCode.DONE:
            raise Exit(code=int(result.exit_code))

    def _permitted(self, steps: Sequence[Step[Any]]) -> None:
        """Before sudo is asked for: the changes, and once the password, so that no step waits for it later."""
        from slipway.run import foresee

        machines: list[Host] = [self.machine, *self._hosts.values()]
        names = {prefix(host): host for host in machines}
        mine = [step for step in steps if step.id.partition("/")[0] in names]
        if not mine or (not self._hosts and self.machine.probe.facts().root):
            return
        due = foresee(mine, at_once=self.hosts.at_once).reasons
        for name in {step.partition("/")[0]: None for step in due}:
            try:
                facts = names[name].probe.facts()
            except Problem:
                continue  # its first step will say so, and the other hosts go on
            if facts.root:
                continue
            for step, reason in due.items():
                if step.startswith(f"{name}/"):
                    self.session.say(f"  will change  {step}: {reason}")
            if facts.sudo == "password":
                self.session.say("These need root.")
                self._try_password(names[name])

    def _try_password(self, host: Host) -> None:
        if host is not self.machine:
            self.secret("sudo", host.name)  # each host tries it by itself, so that one refusal stops no other
            return
        from slipway.hosts.host import Command as HostCommand
        from slipway.hosts.host import Privilege
        from slipway.steps import silent

        probe = HostCommand(("true",), privilege=Privilege.ROOT, timeout=30)
        if host.run(probe, silent(self.cancel)).exit != 0:
            fix = "is it this user's, and may this user use sudo? sudo -v tells"
            raise Problem("sudo did not accept the password", fix=fix, code=ExitCode.USAGE)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One run that changes things at a time on this machine's Docker; who holds the lock is said."""
        from slipway.hosts import locks

        told = lambda who: self.session.say(f"waits for {who}, which works on this Docker")  # noqa: E731
        who = f"`{self.name}` (pid {os.getpid()})"
        with locks.held(locks.of_docker(f"{self.config.project.name}-local"), who, told, self.cancel):
            yield

    def site(self, name: str) -> Site:
        """An SSH host that is to be made ready for a Minikube."""
        from slipway.hosts.engine import Engine
        from slipway.machines import Site
        from slipway.steps import Probe

        host = self.ssh(name)
        daemon = Engine(host, self.closing)
        state = Probe(lambda: daemon.state(self.config.project.name))
        return Site(host, daemon, state, self.environment.machine, self.bundle)

    def run_on_hosts(self, steps: Sequence[Step[Any]]) -> None:
        """`run`, with a table of hosts and their steps behind it."""
        try:
            self.run(steps)
        finally:
            statuses = self.result.statuses if self.result else {}
            columns = list(dict.fromkeys(step.id.partition("/")[2] for step in steps))
            rows = [
                (host, *(str(statuses.get(f"{host}/{column}", "-")) for column in columns))
                for host in dict.fromkeys(step.id.partition("/")[0] for step in steps)
            ]
            if statuses and len(rows) > 1:
                self.table(("host", *columns), rows)

    def table(self, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        """Columns that a person reads and `awk` does too."""
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        for row in (head, *rows):
            self.session.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def say(self) -> Say:
        """What a single deed speaks through."""
        return Say(self.name, self.session.emit, self.cancel)

    def alone(self, name: str, title: str, act: Callable[[Say], None], done: Sequence[bool]) -> None:
        """One deed that needs no machine, shown as a run of one step; it fills `done`."""
        from slipway.run import Run
        from slipway.steps import Change, Probe

        began = time.monotonic()
        check = lambda _: None if done else Change("asked for")  # noqa: E731
        result = Run([Step(name, title, Probe(lambda: None), check, act)], self.session.emit, self.cancel).go()
        self.session.emit(result.finished(time.monotonic() - began))
        if result.exit_code is not ExitCode.DONE:
            raise Exit(code=int(result.exit_code))

    def deed(self, title: str, act: Callable[[Say], None]) -> None:
        """One deed outside a graph, shown as a run of one step."""
        from slipway.steps import Change, Probe

        done: list[bool] = []

        def apply(say: Say) -> None:
            act(say)
            done.append(True)

        check = lambda _: None if done else Change("asked for")  # noqa: E731
        self.run([Step(self.name, title, Probe(lambda: None), check, apply, stales=(self.here.live,))])


def guarded(body: Callable[..., None], name: str, flags: dict[str, Any], own: dict[str, Any]) -> None:
    """Run a task's body; every error becomes words and an exit code, and Ctrl-C ends what runs."""
    cancel = Cancel()
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    try:
        session = Session(flags["output"], run=run, log=None if flags.get("plan") else ROOT / ".slipway" / "runs" / run)
    except Problem as problem:
        raise Exit(str(problem), code=int(problem.code)) from problem
    with _interruptible(cancel), ExitStack() as closing:
        try:
            body(Command(name, session, flags, closing, cancel), **own)
        except Problem as problem:
            session.problem(problem)
            raise Exit(code=int(problem.code)) from problem
        except (Cancelled, KeyboardInterrupt):
            raise Exit("interrupted", code=int(ExitCode.INTERRUPTED)) from None
        finally:
            session.close()
            _forget_old()


@contextmanager
def _interruptible(cancel: Cancel) -> Iterator[None]:
    def ask(*_: object) -> None:
        threading.Thread(target=cancel.request, daemon=True).start()  # never in a signal handler: it takes locks

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forget_old() -> None:
    with contextlib.suppress(OSError):
        folders = sorted((ROOT / ".slipway" / "runs").iterdir())
        for folder in folders[:-RUNS]:
            shutil.rmtree(folder, ignore_errors=True)
