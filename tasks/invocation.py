"""What a task's body works with: flags, configuration, machines, and the run of its steps."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Exit

from slipway.engine.steps import Cancel, Node, Reporter, Threads, one_shot
from slipway.errors import Problem, UsageError, unknown_name
from slipway.hosts.host import step_prefix
from slipway.ui.session import Session
from tasks import exit_codes, tables
from tasks.exit_codes import ExitCode
from tasks.passwords import Passwords, check_sudo

if TYPE_CHECKING:
    from slipway.config.models import Config, Environment, Hosts
    from slipway.engine.plan import RunResult
    from slipway.flows.setup import HostTarget
    from slipway.flows.workspace import Workspace
    from slipway.hosts.host import Host
    from slipway.hosts.ssh.host import SshHost
    from slipway.installers.bundle import Bundle
    from tasks.signals import Guard

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Invocation:
    """One command as it was called. `guard` is what Ctrl-C reaches; `closing` ends with the command."""

    name: str
    session: Session
    flags: dict[str, Any]
    closing: ExitStack
    guard: Guard
    result: RunResult | None = None  # of the last run or plan
    _hosts: dict[str, SshHost] = field(default_factory=dict)

    @property
    def cancel(self) -> Cancel:
        """Whether the command is to end."""
        return self.guard.cancel

    @property
    def plan(self) -> bool:
        """Whether nothing may be changed."""
        return bool(self.flags.get("plan"))

    @property
    def unasked(self) -> str:
        """Why nobody can be asked; empty where somebody can."""
        if self.session.machine_readable:
            return "--output json asks nothing"
        if self.flags.get("yes"):
            return "--yes asks nothing"
        return "" if sys.stdin.isatty() and sys.stdout.isatty() else "this is not a terminal"

    def folder(self, text: str, variable: str = "") -> Path | None:
        """A folder that a flag or a variable names, from where the user stands."""
        from slipway.config.paths import folder_option

        return folder_option(text, variable, Path(os.environ.get("SLIPWAY_CWD") or Path.cwd()))

    @cached_property
    def config(self) -> Config:
        """The whole configuration; every fault is raised at once."""
        from slipway.config.load import load

        services = self.folder(self.flags["services"], "SLIPWAY_SERVICES")
        return load(ROOT, settings=self._settings, services=services)

    @cached_property
    def _settings(self) -> Path | None:
        return self.folder(self.flags["settings"], "SLIPWAY_SETTINGS")

    @cached_property
    def hosts(self) -> Hosts:
        """What hosts.yaml says."""
        from slipway.config.load import load_hosts

        return load_hosts(ROOT, self._settings)

    def reach(self, text: str) -> None:
        """Begin to read the facts of the hosts in `--host a,b`, while the rest of the configuration is read."""
        import slipway.hosts.ssh.connection  # noqa: F401  before the threads, so that they connect while this one goes on

        names = dict.fromkeys(name.strip() for name in text.split(","))
        threads = Threads(self.hosts.at_once)
        for name in (name for name in names if name in self.hosts.hosts):
            threads.submit(self.ssh(name).probe.facts)  # what is wrong with it, its first step says

    @cached_property
    def environment(self) -> Environment:
        """The environment that the command is about."""
        from slipway.config.load import default_environment

        name = self.flags["env"] or default_environment(ROOT)
        found = self.config.environments.get(name)
        if found is None:
            raise unknown_name("environment", [name], self.config.environments)
        if found.protected and self.flags.get("confirm") and not self.plan and self.flags.get("yes") != name:
            hint = f"--yes {name}"
            raise UsageError(f"environment {name} is protected", hint=hint)
        return found

    @cached_property
    def machine(self) -> Host:
        """The machine that Slipway runs on."""
        from slipway.hosts.local import LocalHost

        return LocalHost(lambda: self.passwords.secret("sudo", ""))

    @cached_property
    def workspace(self) -> Workspace:
        """What flows work with."""
        from tasks.workspace import WorkspaceFactory

        return WorkspaceFactory(
            self.config, self.environment, self.machine, self.ssh, self.bundle, self.session.mask, self.closing
        ).assemble()

    def ssh(self, name: str) -> SshHost:
        """An SSH host, not connected yet; its connection ends with the command."""
        from slipway.hosts.ssh.host import SshHost

        if name not in self._hosts:
            self._hosts[name] = SshHost(name, self.hosts, self.passwords.secret, self.cancel)
            self.closing.callback(self._hosts[name].close)
        return self._hosts[name]

    def named(self, text: str) -> list[str]:
        """The hosts behind `--host a,b`, else the environment's, else all. Raises Problem for an unknown one."""
        known = self.hosts.hosts
        behind = [self.environment.host] if self.flags["env"] and self.environment.host else sorted(known)
        names = [name.strip() for name in text.split(",") if name.strip()] or behind
        if not known:
            raise UsageError("hosts.yaml names no host", hint="write it to config/hosts.yaml")
        if strange := [name for name in names if name not in known]:
            raise unknown_name("host", strange, known)
        return list(dict.fromkeys(names))

    @cached_property
    def bundle(self) -> Bundle | None:
        """The bundle behind --bundle."""
        from slipway.installers.bundle import Bundle

        folder = self.folder(self.flags.get("bundle", ""))
        return Bundle(folder) if folder else None

    def use(self, name: str) -> None:
        """Make an environment this checkout's default. Raises Problem unless it is `local` or `minikube`."""
        if name not in {"local", "minikube"}:
            hint = "name others each time: --env NAME"
            raise UsageError("only local and minikube can be a checkout's default", hint=hint)
        if self.plan:
            return
        file = ROOT / ".slipway" / "environment"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(f"{name}\n")

    @cached_property
    def passwords(self) -> Passwords:
        """What hosts want to be told."""
        made = Passwords(lambda: self.hosts, lambda: self.unasked, self.session.mask, self.cancel)
        self.closing.callback(made.close)
        return made

    def run(self, steps: Sequence[Node[Any]], closing: Callable[[], Sequence[str]] = tuple) -> None:
        """Plan or run these steps; raises Exit when the code is not 0. `closing` are the last lines of success."""
        from slipway.engine.plan import WORKERS, plan
        from slipway.engine.run import Run

        began, at_once = time.monotonic(), self.hosts.at_once if len(self._hosts) > 1 else WORKERS
        if self.plan:
            result = self.result = plan(steps, self.session.emit, at_once=at_once)
            code = exit_codes.of_run(result)
            if not result.failures and result.reasons:
                raise Exit(code=int(ExitCode.CHANGES))
        else:
            self._permitted(steps)
            with self._docker_lock(), self.guard.running():
                result = self.result = Run(steps, self.session.emit, self.cancel, at_once=at_once).go()
                code = exit_codes.of_run(result)
                lines = tuple(closing()) if code is ExitCode.DONE else ()
                self.session.emit(result.finished(time.monotonic() - began, lines))
        if code is not ExitCode.DONE:
            raise Exit(code=int(code))

    def deed(self, title: str, act: Callable[[Reporter], None], *, wanted: Callable[[], object] = lambda: True) -> None:
        """`run` a single deed on where the services run, if it is `wanted`."""
        self.run([one_shot(self.name, title, act, wanted=wanted, invalidates=(self.workspace.deployments.state,))])

    def _permitted(self, steps: Sequence[Node[Any]]) -> None:
        """Before sudo is asked for: the changes, and once the password, so that no step waits for it later."""
        from slipway.engine.plan import compute_plan

        machines: list[Host] = [self.machine, *self._hosts.values()]
        names = {step_prefix(host): host for host in machines}
        mine = [step for step in steps if step.group in names]
        if not mine or (not self._hosts and self.machine.probe.facts().root):
            return
        due = compute_plan(mine, at_once=self.hosts.at_once).reasons
        for name in {step.partition("/")[0]: None for step in due}:
            try:
                facts = names[name].probe.facts()
            except Problem:
                continue  # its first step will say so, and the other hosts go on
            if facts.root:
                continue
            for step, reason in due.items():
                if step.startswith(f"{name}/"):
                    self.session.print(f"  will change  {step}: {reason}")
            if facts.sudo == "password":
                self.session.print("These need root.")
                if names[name] is self.machine:
                    check_sudo(self.machine, self.cancel)
                else:
                    self.passwords.secret("sudo", name)  # each tries it itself, so that one refusal stops no other

    @contextmanager
    def _docker_lock(self) -> Iterator[None]:
        """One run that changes things at a time on this machine's Docker; who holds the lock is said."""
        from slipway.hosts import locks

        told = lambda who: self.session.print(f"waits for {who}, which works on this Docker")  # noqa: E731
        who = f"`{self.name}` (pid {os.getpid()})"
        with locks.file_lock(locks.docker_lock_path(f"{self.config.project.name}-local"), who, told, self.cancel):
            yield

    def host_target(self, name: str) -> HostTarget:
        """An SSH host that is to be made ready for a Minikube."""
        from slipway.docker.daemon import DockerDaemon
        from slipway.engine.steps import Probe
        from slipway.flows.setup import HostTarget

        host = self.ssh(name)
        daemon = DockerDaemon(host, self.closing)
        state = Probe(lambda: daemon.state(self.config.project.name))
        return HostTarget(host, daemon, state, self.environment.cluster_spec, self.bundle)

    def run_on_hosts(self, steps: Sequence[Node[Any]]) -> None:
        """`run`, with a table of hosts and their steps behind it."""
        try:
            self.run(steps)
        finally:
            statuses = self.result.statuses if self.result else {}
            columns = list(dict.fromkeys(step.name for step in steps))
            rows = [
                (host, *(str(statuses.get(f"{host}/{column}", "-")) for column in columns))
                for host in dict.fromkeys(step.group for step in steps)
            ]
            if statuses and len(rows) > 1:
                tables.table(self.session, ("host", *columns), rows)

    def reporter(self) -> Reporter:
        """What a deed outside a run speaks through."""
        return Reporter(self.name, self.session.emit, self.cancel)
