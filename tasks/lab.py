"""lab.*: the machines and the bundle that tests use where only package registries can be reached, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.dev import prepare
from tasks.task import command

if TYPE_CHECKING:
    from slipway.engine.reporter import Reporter
    from tasks.invocation import Invocation


@command(dir="the folder to fill")
def bundle(invocation: Invocation, dir: str = "") -> None:  # noqa: A002  the flag's name
    """Build an offline bundle from source: Kubernetes, minikube and others from their Go modules; cached by version.

    Example:
      ./invoke lab.bundle --dir ~/lab-bundle

    """
    from slipway.engine.steps import one_shot

    folder = invocation.required_folder(dir)
    _prepare(invocation)

    def act(report: Reporter) -> None:
        from tests.lab import bundle as lab_bundle
        from tests.lab import machines

        machines.register()
        lab_bundle.make(folder, report.note)

    invocation.run([one_shot("bundle", f"bundle in {folder}", act)], locks_docker=False)


@command(
    count="how many hosts",
    dir="the folder for their settings, key and password",
    suite="the Debian suite: bookworm or trixie",
)
def hosts(invocation: Invocation, count: str = "1", dir: str = "", suite: str = "bookworm") -> None:  # noqa: A002
    """Start bare SSH hosts (systemd, sshd, sudo with a password), to be used with --settings.

    Examples:
      ./invoke lab.hosts --count 2 --dir ~/lab-hosts
      SLIPWAY_SUDO_PASSWORD=$(cat ~/lab-hosts/sudo-password) ./invoke setup --env lab --settings ~/lab-hosts

    """
    from slipway.engine.steps import one_shot
    from slipway.errors import UsageError
    from tasks import flags

    folder, number = invocation.required_folder(dir), flags.whole_number(count, "--count")
    if suite not in {"bookworm", "trixie"}:
        raise UsageError(f"unknown Debian suite: {suite}", hint="--suite bookworm or --suite trixie")
    _prepare(invocation)

    def act(report: Reporter) -> None:
        from tests.lab import machines

        for host in machines.start_hosts([suite] * number, folder):
            report.note(f"{host.name} at {host.address}")

    invocation.run([one_shot("hosts", f"{number} hosts, described in {folder}", act)], locks_docker=False)


@command()
def down(invocation: Invocation) -> None:
    """Remove every machine of the lab.

    Example:
      ./invoke lab.down

    """
    if invocation.plan:
        invocation.session.print("every machine of the lab would be removed")
        return
    prepare()
    from tests.lab import machines

    invocation.session.print(f"{machines.remove_all()} machines removed")


def _prepare(invocation: Invocation) -> None:
    """Have what making machines takes. Raises UsageError, before anything is made, for what this machine lacks."""
    if not invocation.plan:
        prepare()
        from tests.lab import machines

        machines.require_programs()
