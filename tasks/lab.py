"""The test lab by hand: what tests use where only package registries can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.dev import prepare
from tasks.task import verb

if TYPE_CHECKING:
    from slipway.engine.steps import Reporter
    from tasks.invocation import Invocation


@verb(dir="the folder to fill")
def bundle(command: Invocation, dir: str = "") -> None:  # noqa: A002  the flag's name
    """Make an offline bundle from source: Kubernetes, minikube and the rest from their Go modules; cached by version.

    Example:
      ./invoke lab.bundle --dir ~/lab-bundle

    """
    from slipway.engine.steps import one_shot
    from tasks import flags

    folder = flags.folder(command, dir)
    if not command.plan:
        prepare()

    def act(report: Reporter) -> None:
        from tests.lab import bundle as made
        from tests.lab import machines

        machines.register()
        made.make(folder, report.note)

    command.run([one_shot("bundle", f"bundle in {folder}", act)])


@verb(count="how many", dir="the folder for their settings, key and password", suite="bookworm or trixie")
def hosts(command: Invocation, count: str = "1", dir: str = "", suite: str = "bookworm") -> None:  # noqa: A002
    """Start bare SSH hosts (systemd, sshd, sudo with a password) that --settings then names.

    Examples:
      ./invoke lab.hosts --count 2 --dir ~/lab-hosts
      SLIPWAY_SUDO_PASSWORD=$(cat ~/lab-hosts/sudo-password) ./invoke setup --env lab --settings ~/lab-hosts

    """
    from slipway.engine.steps import one_shot
    from slipway.errors import UsageError
    from tasks import flags

    folder, number = flags.folder(command, dir), flags.whole(count, "--count")
    if suite not in {"bookworm", "trixie"}:
        raise UsageError(f"no lab host runs {suite}", hint="--suite bookworm or --suite trixie")
    if not command.plan:
        prepare()

    def act(report: Reporter) -> None:
        from tests.lab import machines

        for host in machines.start_hosts([suite] * number, folder):
            report.note(f"{host.name} at {host.address}")

    command.run([one_shot("hosts", f"{number} hosts, described in {folder}", act)])


@verb()
def down(command: Invocation) -> None:
    """Take every machine of the lab away.

    Example:
      ./invoke lab.down

    """
    if command.plan:
        command.session.print("every machine of the lab would be removed")
        return
    prepare()
    from tests.lab import machines

    command.session.print(f"{machines.remove_all()} machines removed")
