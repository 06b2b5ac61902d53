"""What a command's body works with: its flags, the configuration, hosts, and the run of its steps."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Exit

from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, one_shot
from slipway.engine.threads import Threads
from slipway.errors import Problem, UsageError, unknown_name
from slipway.ui.session import Session
from tasks import exit_codes, tables
from tasks.exit_codes import ExitCode
from tasks.flags import split_names
from tasks.hints import Hints
from tasks.passwords import Passwords
from tasks.paths import ROOT, working_directory

if TYPE_CHECKING:
    from slipway.config.models import Config, Environment, Hosts
    from slipway.config.yaml_cache import YamlCache
    from slipway.engine.plan import RunResult
    from slipway.flows.selection import Selection
    from slipway.flows.services import AnyService
    from slipway.flows.workspace import Workspace
    from slipway.hosts.host import Host
    from slipway.hosts.ssh.host import SshHost
    from slipway.installers.bundle import Bundle
    from tasks.signals import SignalHandler
    from tasks.workspace import WorkspaceFactory

LOOKUPS = 3  # programs of ssh that run at once beside this one


@dataclass
class Invocation:
    """One command as it was called. `closing` holds what must be closed when it ends."""

    name: str
    session: Session
    flags: dict[str, Any]
    closing: ExitStack
    signals: SignalHandler
    result: RunResult | None = None  # of the last run or plan
    _hosts: dict[str, SshHost] = field(default_factory=dict)

    @property
    def cancel(self) -> Cancel:
        """Requested when the command is to end."""
        return self.signals.cancel

    @property
    def plan(self) -> bool:
        """Whether nothing may be changed."""
        return bool(self.flags.get("plan"))

    def no_prompt_reason(self) -> str:
        """Why the user can't be asked for anything; empty where that is possible."""
        if self.session.machine_readable:
            return "--output json never prompts"
        if self.flags.get("yes"):
            return "--yes never prompts"
        return "" if sys.stdin.isatty() and sys.stdout.isatty() else "this is not a terminal"

    def folder(self, text: str, variable: str = "") -> Path | None:
        """The folder that a flag or a variable names, relative to the user's working directory."""
        from slipway.config.paths import folder_option

        return folder_option(text, variable, working_directory())

    def required_folder(self, text: str) -> Path:
        """The folder behind --dir. Raises UsageError if none is given."""
        found = self.folder(text)
        if found is None:
            raise UsageError("which folder?", hint="--dir FOLDER")
        return found

    def selection(self, text: str) -> Selection:
        """The services behind `--service a,b` (default: all). Raises UsageError for an unknown one."""
        from slipway.flows.selection import select

        names = split_names(text)
        self._refuse_unknown("service", names, self.config.services)
        return select(self.workspace.services, names)

    def one_service(self, text: str) -> AnyService:
        """The one service that the command is about. Raises UsageError if none, several or an unknown one is named."""
        if not text and len(self.config.services) > 1:
            raise UsageError("which service?", hint=f"--service {min(self.config.services)}")
        found, *more = self.selection(text).chosen
        if more:
            hint = f"--service {found.name}, then the same for the others"
            raise UsageError(f"{self.name} takes one service", hint=hint)
        return found

    @cached_property
    def hints(self) -> Hints:
        """How what helps is typed for this command's environment."""
        return Hints(self.flags)

    @cached_property
    def config(self) -> Config:
        """The whole configuration. Raises UsageError with every error in its files."""
        from slipway.config.load import load

        services = self.folder(self.flags["services"], "SLIPWAY_SERVICES")
        return load(ROOT, settings=self.settings_folder, services=services, cache=self._yaml_cache)

    @cached_property
    def _yaml_cache(self) -> YamlCache:
        from slipway.config.yaml_cache import YamlCache

        return YamlCache(ROOT)

    @cached_property
    def settings_folder(self) -> Path | None:
        return self.folder(self.flags["settings"], "SLIPWAY_SETTINGS")

    @cached_property
    def hosts(self) -> Hosts:
        """The SSH hosts of hosts.yaml. Raises UsageError, with every error of all files, where it has one."""
        from slipway.config.load import load_hosts

        return load_hosts(ROOT, self.settings_folder, self._yaml_cache) or self.config.hosts

    def prefetch_facts(self, names: Sequence[str]) -> None:
        """Start to read the facts of hosts, while the rest of the configuration is loaded."""
        hosts = [self.ssh(name) for name in names]
        lookups, threads = Threads(LOOKUPS), Threads(self.hosts.at_once)
        for host in hosts:
            lookups.submit(host.connection.look_up)  # ssh's programs run while this one imports
        import slipway.hosts.ssh.connection  # noqa: F401  before threads connect: two must not import it at once

        for host in hosts:
            threads.submit(host.probe.facts)  # an error is raised again by its first step

    @cached_property
    def environment(self) -> Environment:
        """The environment behind --env. Raises UsageError if it is unknown, or protected and not confirmed."""
        name = self._environment_name
        self._refuse_unknown("environment", [name], self.config.environments)
        found, confirmed = self.config.environments[name], self.flags.get("yes")
        if isinstance(confirmed, str) and confirmed not in {"", name}:
            hint = (
                f"a service goes before it: {confirmed} --yes" if confirmed in self.config.services else f"--yes {name}"
            )
            raise UsageError(f"--yes {confirmed}: the environment is {name}", hint=hint)
        if found.protected and self.flags.get("confirm") and not self.plan and confirmed != name:
            raise UsageError(f"environment {name} is protected", hint=f"--yes {name}")
        return found

    @cached_property
    def _environment_name(self) -> str:
        from slipway.config.load import default_environment

        return self.flags["env"] or default_environment(ROOT)

    def _refuse_unknown(self, kind: str, names: Sequence[str], known: Collection[str]) -> None:
        """Raise UsageError for names that are not `known`. The hint is the flag of one that is something else."""
        unknown = [name for name in names if name not in known]
        if not unknown:
            return
        flags: dict[str, Collection[str]] = {
            "a service: --service": self.config.services,
            "an environment: --env": self.config.environments,
            "a host: --host": self.hosts.hosts,
        }
        error = unknown_name(kind, unknown, known)
        hints = (f"{name} is {flag} {name}" for name in unknown for flag, there in flags.items() if name in there)
        raise UsageError(error.summary, hint=next(hints, error.hint))

    @cached_property
    def machine(self) -> Host:
        """The machine that Slipway runs on."""
        from slipway.hosts.local import LocalHost

        return LocalHost(self._local_sudo_password)

    def _local_sudo_password(self) -> str:
        return self.passwords.secret("sudo", "")

    @cached_property
    def workspace(self) -> Workspace:
        """What flows work with."""
        return self._factory.assemble()

    def prefetch_state(self) -> None:
        """Start to read what runs in the environment, while the command imports what it needs for the rest."""
        self._factory.prefetch_state()
        self._factory.prefetch_secrets(self.workspace)

    @cached_property
    def _factory(self) -> WorkspaceFactory:
        from tasks.workspace import WorkspaceFactory

        return WorkspaceFactory(
            config=self.config,
            environment=self.environment,
            local=self.machine,
            ssh=self.ssh,
            bundle=self.bundle,
            reuse=not self.flags.get("no_cache"),
            mask=self.session.mask,
            closing=self.closing,
        )

    def ssh(self, name: str) -> SshHost:
        """An SSH host; it connects when it is first used, until the command ends."""
        from slipway.hosts.ssh.host import SshHost

        if name not in self._hosts:
            self._hosts[name] = SshHost(
                name, self.hosts, self.passwords.secret, Reporter(name, self.session.emit, self.cancel)
            )
            self.closing.callback(self._hosts[name].close)
        return self._hosts[name]

    def host_names(self, text: str) -> list[str]:
        """The hosts behind `--host a,b`, else the environment's, else all. Raises UsageError for an unknown one."""
        known, names = self.hosts.hosts, split_names(text)
        if not known:
            raise UsageError("hosts.yaml defines no hosts", hint="add the host to config/hosts.yaml")
        if not names:
            names = [self.environment.host] if self.flags["env"] and self.environment.host else sorted(known)
        self._refuse_unknown("host", names, known)
        return list(dict.fromkeys(names))

    @cached_property
    def bundle(self) -> Bundle | None:
        """The bundle behind --bundle."""
        folder = self.folder(self.flags.get("bundle", ""))
        if folder is None:
            return None
        from slipway.installers.bundle import Bundle

        return Bundle(folder)

    def set_default_environment(self, name: str) -> None:
        """Make an environment this checkout's default. Raises UsageError unless it is `local` or `minikube`."""
        from slipway.config.models import BUILT_IN

        if name not in BUILT_IN:
            hint = "pass others each time: --env NAME"
            raise UsageError("only local and minikube can be a checkout's default", hint=hint)
        if self.plan:
            return
        file = ROOT / ".slipway" / "environment"
        try:
            file.parent.mkdir(mode=0o700, exist_ok=True)
            file.write_text(f"{name}\n")
        except OSError as error:
            hint = "check its permissions, and that the disk is not full"
            raise Problem(f"{file} can't be written", details=str(error), hint=hint) from error

    @cached_property
    def passwords(self) -> Passwords:
        """Passwords and passphrases of hosts, asked for when they are first needed."""
        passwords = Passwords(self._groups, self.no_prompt_reason, self.session.mask, self.cancel)
        self.closing.callback(passwords.close)
        return passwords

    def _groups(self, host: str) -> Sequence[str]:
        """The groups of a host; this machine (no name) has none."""
        found = self.hosts.hosts.get(host)
        return found.groups if found else ()

    def run(
        self,
        steps: Sequence[AnyNode],
        closing_lines: Callable[[], Sequence[str]] = tuple,
        *,
        locks_docker: bool = True,
    ) -> None:
        """Plan or run these steps. Raises Exit when the code is not 0. `closing_lines` end the output of a success.

        `locks_docker`: no other run changes the project's things in this machine's Docker meanwhile.
        """
        from slipway.engine.plan import WORKERS, plan
        from slipway.engine.run import Run

        began, at_once = time.monotonic(), self.hosts.at_once if len(self._hosts) > 1 else WORKERS
        if self.plan:
            result = self.result = plan(steps, self.session.emit, explain=self.hints.explain, at_once=at_once)
            code = exit_codes.of_run(result)
            if not result.failures and result.reasons:
                raise Exit(code=int(ExitCode.CHANGES))
        else:
            show, hosts = self.session.print, tuple(self._hosts.values())
            self.passwords.request_sudo(steps, self.machine, hosts, show, at_once=self.hosts.at_once)
            with self._docker_lock() if locks_docker else nullcontext(), self.signals.running():
                self.session.name_run(f"{self.name} {self._environment_name}")
                result = self.result = Run(
                    steps, self.session.emit, self.cancel, explain=self.hints.explain, at_once=at_once
                ).go()
                code = exit_codes.of_run(result)
                lines = tuple(closing_lines()) if code is ExitCode.DONE else ()
                self.session.emit(result.finished(time.monotonic() - began, lines))
        if code is not ExitCode.DONE:
            raise Exit(code=int(code))

    def run_action(
        self, title: str, action: Callable[[Reporter], None], wanted: Callable[[], object] | None = None
    ) -> None:
        """`run` one action where the services run. It is unchanged where `wanted` answers something false."""
        self.run([one_shot(self.name, title, action, wanted=wanted, invalidates=(self.workspace.deployments.state,))])

    @contextmanager
    def _docker_lock(self) -> Iterator[None]:
        """One run at a time changes the project's things in this machine's Docker, and in a server's."""
        from slipway.hosts import locks

        name, server = f"{self.config.project.name}-local", self._server
        path, owner = locks.docker_lock_path(name), f"`{self.name}` (pid {os.getpid()})"
        with locks.file_lock(path, owner, self._print_lock_holder, self.cancel):
            if server is None:
                yield
                return
            from slipway.hosts.this_user import who

            waits = partial(self._print_lock_holder, where=server.name)
            owner = f"{owner} of {who()}"
            with server.lock(name, owner, waits, partial(self._end_without_lock, server.name), self.cancel):
                yield

    @property
    def _server(self) -> SshHost | None:
        """The SSH host whose Docker runs the environment's services, if that is what it is about."""
        environment = self.environment
        return self.ssh(environment.host) if environment.on_docker and environment.host else None

    def _print_lock_holder(self, holder: str, where: str = "this machine") -> None:
        self.session.print(f"waiting for {holder}, which is using the Docker of {where}")

    def _end_without_lock(self, server: str, why: str) -> None:
        """End the run, whose lock on a server was lost with the connection."""
        self.session.print(f"the lock on {server} was lost with the connection ({why}); this run ends")
        self.cancel.request()

    def host_steps(self, name: str) -> Iterator[AnyNode]:
        """What an SSH host needs for the environment's cluster."""
        return self._factory.host_steps(self.ssh(name))

    def run_on_hosts(self, steps: Sequence[AnyNode]) -> None:
        """`run`, then a table of hosts and their steps."""
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
                tables.print_table(self.session, ("host", *columns), rows)

    def reporter(self) -> Reporter:
        """The reporter of work outside a run."""
        return Reporter(self.name, self.session.emit, self.cancel)
