"""A container that is run to test that Docker works: hello-world, or an image of the host's own `true`."""

from __future__ import annotations

import io
import tarfile

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ConnectionLost, Problem
from slipway.hosts.facts import libraries
from slipway.hosts.host import Command, Host
from slipway.installers.docker.start import LOG

HELLO_WORLD = "hello-world@sha256:5e23090353324d887c48ad5e5c56d294eab81588df9605b07d1afe895f9cc8f8"
TRUE = "/bin/true"
LABELS = {LABEL: "slipway-proof"}
EXIT_CHECKS, EXIT_INTERVAL = 600, 0.05  # how often, and every how many seconds, it is checked whether it has exited


def run_hello_world(host: Host, daemon: Daemon, report: Reporter) -> None:
    """Run the container and remove it. Raises Problem with its log unless it exits with 0, and soon."""
    image, description = _image(host, daemon, report)
    container = daemon.containers.create(ContainerSpec(f"slipway_proof_{image[7:15]}", image, LABELS))
    try:
        daemon.containers.start(container)
        for _ in range(EXIT_CHECKS):
            found = daemon.containers.inspect(container)
            if not found.running:
                break
            report.cancel.wait(EXIT_INTERVAL)
        if found.running or found.exit_code:
            end = "does not exit" if found.running else f"ended with exit code {found.exit_code}"
            summary = f"a container of {description} {end}"
            log = "\n".join(daemon.io.logs(container, 20, follow=False))
            raise Problem(summary, details=log, hint=f"its log: {LOG}")
    finally:
        daemon.containers.remove(container)
    report.note(f"a container ran: {description}")


def _image(host: Host, daemon: Daemon, report: Reporter) -> tuple[str, str]:
    """The id of the image to run, and what it is: hello-world, unless it can't be pulled."""
    try:
        return daemon.transfers.pull(HELLO_WORLD, report), "hello-world"
    except ConnectionLost:
        raise
    except Problem:
        image = daemon.images.import_rootfs(_root_of_true(host, report), "slipway/proof:1", [f'CMD ["{TRUE}"]'])
        return image, f"an image of the machine's own {TRUE}, since Docker Hub can't be reached"


def _root_of_true(host: Host, report: Reporter) -> bytes:
    """A root file system, as a tar, of the host's `true` and the libraries that it is linked to."""
    ldd = host.run(Command(("ldd", TRUE)), null_reporter(report.cancel)).text
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in (TRUE, *libraries(ldd)):
            content = host.read_file(path, report)
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
