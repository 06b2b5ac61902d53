"""bundle.*: a folder with every pinned download, for machines without internet access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.errors import NextCommand, Problem
from tasks.task import command

if TYPE_CHECKING:
    from slipway.engine.reporter import Reporter
    from tasks.invocation import Invocation


@command(dir="the folder to fill", platform="the platform of the hosts that will use it")
def create(invocation: Invocation, dir: str = "", platform: str = "linux/amd64") -> None:  # noqa: A002  the flag's name
    """Download everything that config/ pins into a folder, and verify each file; an interrupted download is resumed.

    Docker's packages are those for this machine's own release, fetched by its apt. A base image that is built from a
    recipe, such as PostgreSQL's, is built here.

    Example:
      ./invoke bundle.create --dir ~/slipway-bundle

    """
    from slipway.engine.steps import one_shot
    from slipway.flows.build import provide_base
    from slipway.installers.bundle_create import BundleBuilder

    work, folder = invocation.workspace, invocation.required_folder(dir)

    def action(report: Reporter) -> None:
        machine, config = work.build, work.config
        recipes = {**config.images.parts, **config.images.bases}

        def base(name: str, report: Reporter) -> str:
            return provide_base(machine, config, name, recipes[name], report)

        BundleBuilder(config, machine.host, machine.docker, platform, folder, base).build(report)

    invocation.run([one_shot("bundle", f"bundle in {folder}", action)])


@command(dir="the bundle's folder")
def verify(invocation: Invocation, dir: str = "") -> None:  # noqa: A002  the flag's name
    """List every file of a bundle that is missing or differs from what is pinned.

    Example:
      ./invoke bundle.verify --dir ~/slipway-bundle

    """
    from slipway.installers.bundle import Bundle

    folder = invocation.required_folder(dir)
    bundle = Bundle(folder)
    faults = bundle.faults(invocation.reporter())
    if faults:
        raise Problem(
            f"{len(faults)} of {len(bundle.files)} files are missing or wrong",
            details="\n".join(faults),
            commands=[NextCommand("bundle.create", {"dir": folder})],
        )
    invocation.session.print(f"all {len(bundle.files)} files match what is pinned")
