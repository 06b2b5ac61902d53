"""The container of a release on one Docker: its spec, and how a running one differs from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from slipway.config.models import Service
from slipway.config.quantity import parse_bytes
from slipway.deployers.deployer import DesiredRelease
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import EXPOSE, LABEL, MANIFEST, RELEASE, ROLE, SERVICE, SOURCE, Names
from slipway.docker.state import Container, State
from slipway.secrets.fingerprint import fingerprint


def settings_digest(service: Service, secrets: Mapping[str, str]) -> str:
    """The digest of all that a container is started with, and of the checks that it must pass; no secret is in it."""
    facts = {
        "env": dict(service.env),
        "secrets": fingerprint(secrets),
        "port": service.port,
        "publish": service.publish,
        "memory": service.resources.memory_limit,
        "storage": {name: part.path for name, part in service.storage.items()},
        **({"expose": service.expose.model_dump(mode="json")} if service.expose else {}),
        **service.model_dump(mode="json", include={"health", "checks"}),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def container_spec(
    names: Names, desired: DesiredRelease[str], number: int, *, behind_proxy: bool = False
) -> ContainerSpec:
    """The container of a release. Behind a proxy, which has the service's port and name, it has a free port."""
    service = desired.service
    return ContainerSpec(
        name=names.container(service.name),
        image=desired.image,
        image_name=names.image(service.name, desired.source),
        labels={
            LABEL: names.project,
            SERVICE: service.name,
            ROLE: "serving",
            SOURCE: desired.source,
            MANIFEST: desired.manifest,
            RELEASE: str(number),
            **({EXPOSE: service.expose.model_dump_json()} if service.expose else {}),
        },
        env={**service.env, **desired.secrets},
        publish={service.port: 0 if behind_proxy else service.published},
        network=names.project,
        aliases=() if behind_proxy else (service.name,),
        volumes={names.data(service.name, name): part.path for name, part in service.storage.items()},
        memory=parse_bytes(service.resources.memory_limit),
        restart="unless-stopped",
    )


def differs(container: Container | None, want: ContainerSpec, settings: str) -> str | None:
    """Why a container is not the wanted one of a release, or None. `settings` is the reason for another manifest."""
    if container is None:
        return f"{want.name} does not exist"
    labels = container.labels
    if labels.get(SOURCE) != want.labels[SOURCE]:
        return "its sources differ from the running release"
    if changed := _changed_variables(container, want):
        return f"its environment variables differ: {', '.join(changed)}"
    if labels.get(MANIFEST) != want.labels[MANIFEST]:
        return settings
    return spec_differs(container, want)


def spec_differs(container: Container, want: ContainerSpec) -> str | None:
    """Why a container is not as specified, or None. Every field that may have been changed by hand is compared."""
    reasons = (
        (bool(_changed_variables(container, want)), "its environment variables differ"),
        (container.image != want.image, "it runs another image"),
        (not container.running, f"it is {container.state}"),
        (want.network is not None and want.network not in container.aliases, f"it is not on network {want.network}"),
        (any(not _published(container, p, h) for p, h in want.publish.items()), "its ports were changed"),
        (any(container.ports.get(p, ("", 0))[1] != p for p in want.public), "its public ports were changed"),
        (container.memory != want.memory, "its memory limit was changed"),
        (container.restart != want.restart, "its restart policy was changed"),
        (not container.read_only, "its root file system is writable"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _changed_variables(container: Container, want: ContainerSpec) -> list[str]:
    env = dict(line.split("=", 1) for line in container.env if "=" in line)
    return sorted(name for name, value in want.env.items() if env.get(name) != value)


def _published(container: Container, port: int, wanted: int) -> bool:
    """Whether a port is on this loopback port, or for 0 on any."""
    address, found = container.ports.get(port, ("", 0))
    return address == "127.0.0.1" and wanted in {0, found}


def publishes(container: Container, service: str, port: int) -> bool:
    """Whether it is an active container of that service that publishes a port of this machine."""
    own = container.labels.get(SERVICE) == service and container.active
    return own and any(published == port for _, published in container.ports.values())


def serving(state: State) -> list[Container]:
    """The containers that serve, without those before them and those that are still being checked."""
    found = (one for one in state.containers if one.labels.get(ROLE) == "serving")
    return [one for one in found if not one.name.endswith(("_previous", "_next"))]
