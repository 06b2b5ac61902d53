"""The edge of a server: Caddy, which answers the world for exposed services, with a certificate for each name.

Its configuration is made from the labels of the containers that serve (`EXPOSE`), so it is always that of what runs. A
release of a service that stays exposed as it was changes nothing here: what the edge asks is the service's own proxy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from slipway.config.expose import Acme, CertificateFiles, Expose
from slipway.config.paths import expand_user
from slipway.config.quantity import parse_bytes, seconds
from slipway.deployers.docker.container import serving, spec_differs
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import EXPOSE, LABEL, ROLE, SERVICE, Names
from slipway.docker.protocols import Daemon
from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.errors import UsageError

EDGE = "edge"  # the role of its container
PORTS = (80, 443)  # of the host, on all its addresses
START = r"""cd /tmp && printf '%s' "$CADDYFILE" >Caddyfile && printf '%s' "$ACME_ROOT" >root.pem && umask 077
env | sed -n 's/^PEM_\([a-z0-9_]*\)=.*/\1/p' | while read -r name; do
  eval "printf '%s' \"\$PEM_$name\"" >"$name.pem"
done
exec caddy run --config Caddyfile --adapter caddyfile"""
DATA = "/data"  # where Caddy keeps certificates and the account's key (XDG_DATA_HOME)
MEMORY = 256 * 2**20  # bytes


@dataclass(frozen=True)
class Exposure:
    """One service that runs and is exposed: its name and port, and how."""

    service: str
    port: int
    how: Expose


def exposures(state: State) -> list[Exposure]:
    """The services that are exposed, by name, as the containers that serve them say."""
    found = (
        Exposure(one.labels[SERVICE], next(iter(one.ports)), Expose.model_validate_json(one.labels[EXPOSE]))
        for one in serving(state)
        if EXPOSE in one.labels
    )
    return sorted(found, key=attrgetter("service"))


def caddyfile(exposed: Sequence[Exposure], acme: Acme) -> str:
    """Caddy's configuration (caddyserver.com/docs/caddyfile)."""
    by_host = groupby(sorted(exposed, key=attrgetter("how.host", "how.path")), key=attrgetter("how.host"))
    return "\n".join((*_global(acme), *(line for host, group in by_host for line in _site(host, list(group)))))


def _global(acme: Acme) -> Iterator[str]:
    yield "{"
    yield "\tadmin off"
    yield "\tgrace_period 30s"
    yield f"\tstorage file_system {DATA}"
    if acme.email:
        yield f"\temail {acme.email}"
    if acme.ca:
        yield f"\tacme_ca {acme.ca}"
    if acme.root:
        yield "\tacme_ca_root /tmp/root.pem"
    yield "}"


def _site(host: str, exposed: Sequence[Exposure]) -> Iterator[str]:
    """One host's part. What is exposed is in the order of its paths, in which a longer one is behind its beginning."""
    yield f"{host} {{"
    yield from _tls(exposed[0].how)
    for one in reversed(exposed):  # the longest path first
        paths = "" if one.how.path == "/" else f" {one.how.path} {one.how.path}/*"
        matcher = f"@{one.service}"
        if paths:
            yield f"\t{matcher} path{paths}"
        yield f"\thandle {matcher if paths else ''} {{".replace("  ", " ")
        yield "\t\trequest_body {"
        yield f"\t\t\tmax_size {parse_bytes(one.how.body)}"
        yield "\t\t}"
        yield f"\t\treverse_proxy {one.service}:{one.port} {{"
        yield "\t\t\tflush_interval -1"
        yield "\t\t\ttransport http {"
        yield f"\t\t\t\tresponse_header_timeout {seconds(one.how.within)}s"
        yield "\t\t\t}"
        yield "\t\t}"
        yield "\t}"
    if all(one.how.path != "/" for one in exposed):
        yield "\thandle {"
        yield "\t\trespond 404"
        yield "\t}"
    yield "}"


def _tls(how: Expose) -> Iterator[str]:
    if how.tls == "internal":
        yield "\ttls internal"
    elif how.tls != "acme":
        yield f"\ttls /tmp/cert_{_variable(how.host)}.pem /tmp/key_{_variable(how.host)}.pem"


def _variable(host: str) -> str:
    """A host's name as part of the name of a variable: api_example_org."""
    return host.replace("-", "__").replace(".", "_")


def read_pem(path: str) -> str:
    """The text of a certificate or a key on this machine. Raises UsageError where it can't be read."""
    try:
        return expand_user(path).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read as a PEM file: {error}") from error


@dataclass(frozen=True)
class Edge:
    """The edge of one environment: the tag of its image there, and the authority."""

    image: str
    acme: Acme

    def files(self, exposed: Iterable[Expose]) -> list[str]:
        """The PEM files of this machine that its container needs for these services."""
        own = (how.tls for how in exposed if isinstance(how.tls, CertificateFiles))
        return [*filter(None, [self.acme.root]), *(path for tls in own for path in (tls.cert, tls.key))]

    def _texts(self, exposed: Iterable[Expose]) -> dict[str, str]:
        """The PEM texts that its container gets, by the variables that it gets them in."""
        texts = {"ACME_ROOT": read_pem(self.acme.root) if self.acme.root else ""}
        for how in exposed:
            if isinstance(how.tls, CertificateFiles):
                texts[f"PEM_cert_{_variable(how.host)}"] = read_pem(how.tls.cert)
                texts[f"PEM_key_{_variable(how.host)}"] = read_pem(how.tls.key)
        return texts

    def spec(self, names: Names, state: State) -> ContainerSpec | None:
        """Its container, for what is exposed now; None where nothing is. Raises UsageError as `read_pem`."""
        exposed = exposures(state)
        if not exposed:
            return None
        image = state.tagged(self.image)
        return ContainerSpec(
            name=names.edge,
            image=image.id if image else "",
            image_name=self.image,
            entrypoint=("sh", "-c", START),
            labels={LABEL: names.project, ROLE: EDGE},
            env={
                "CADDYFILE": caddyfile(exposed, self.acme),
                "SSL_CERT_DIR": "/usr/share/ca-certificates/mozilla",
                "XDG_DATA_HOME": DATA,
                "XDG_CONFIG_HOME": "/tmp",  # noqa: S108  the container's own
                **self._texts(one.how for one in exposed),
            },
            public=PORTS,
            network=names.project,
            volumes={names.certificates: DATA},
            memory=MEMORY,
            restart="unless-stopped",
        )


_MENDING = threading.Lock()  # services of one run are released side by side


def mend(daemon: Daemon, names: Names, edge: Edge | None, report: Reporter) -> None:
    """Make the edge what the containers that serve now want: anew where another name or path is exposed, or none.

    An environment in which nothing is exposed any more has no `edge`.
    """
    with _MENDING:
        state = daemon.state(names.project)
        found, want = state.container(names.edge), edge.spec(names, state) if edge else None
        if found and want and spec_differs(found, want) is None:
            return
        if found:
            daemon.containers.remove(found.id)
        if want:
            daemon.volumes.create(names.certificates, {LABEL: names.project, ROLE: "certificates"})
            daemon.containers.start(daemon.containers.create(want))
            report.note(f"answers at {', '.join(one.how.url for one in exposures(state))}")


def edge_differs(state: State, names: Names, edge: Edge) -> str | None:
    """Why the edge is not what the containers that serve want, or None."""
    found, want = state.container(names.edge), edge.spec(names, state)
    if want is None:
        return f"{names.edge} answers for nobody" if found else None
    if found is None:
        return "nothing answers the world for it"
    reason = spec_differs(found, want)
    return f"{names.edge}: {reason}" if reason else None
