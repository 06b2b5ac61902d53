"""The pod of a service under development: as a copy of its release, with sources of its own and a REPL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.kubernetes.manifests.container import small_container
from slipway.kubernetes.manifests.labels import ROLE
from slipway.kubernetes.objects import Object

SOURCES = "slipway-sources"  # the volume, and the container that waits until it is filled
FILLED = ".filled"  # the file that says so: the pid of what filled it
USER = 10001  # that fills it; files are left so that any user may change them
FILL = f"umask 0; tar -x -f - -C {{folder}} && echo $$ > {{folder}}/{FILLED}"  # a shell's, in that container
WAIT = (  # until what filled it has ended as well: it would be killed with the container, and its success with it
    f"until test -s {{folder}}/{FILLED}; do sleep 0.1; done; "
    f"read pid < {{folder}}/{FILLED}; while test -d /proc/$pid; do sleep 0.1; done"
)


def dev_pod(
    deployment: Object, name: str, folder: str, options: Mapping[str, str], image: str, metadata: Mapping[str, Any]
) -> Object:
    """A pod of a Deployment's template. `folder` is empty and writable, and has to be filled before the service starts.

    `options` are added to its environment; `image` has a shell, and tar; `metadata` are its labels and annotations.
    Storage is the pod's own, empty. What stands at a breakpoint is not killed: there is no liveness probe.
    """
    spec = deployment["spec"]["template"]["spec"]
    own = deployment["metadata"]["name"]
    containers = [_container(one, folder, options) if one["name"] == own else one for one in spec["containers"]]
    volumes = [{"name": SOURCES, "emptyDir": {}}, *map(_fresh, spec.get("volumes", ()))]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": deployment["metadata"]["namespace"], **metadata},
        "spec": {**spec, "initContainers": [_waiting(folder, image)], "containers": containers, "volumes": volumes},
    }


def _container(container: Object, folder: str, options: Mapping[str, str]) -> Object:
    """The service's own container. Kubernetes expands $(NAME) in values, and $$ is a dollar."""
    env = [{"name": key, "value": value.replace("$(", "$$(")} for key, value in options.items()]
    return {
        **{key: value for key, value in container.items() if key != "livenessProbe"},
        "env": [*container.get("env", ()), *env],
        "volumeMounts": [*container.get("volumeMounts", ()), {"name": SOURCES, "mountPath": folder}],
    }


def _fresh(volume: Object) -> Object:
    """A volume with nothing in it in place of a claim's: two pods never share one."""
    return {"name": volume["name"], "emptyDir": {}} if "persistentVolumeClaim" in volume else volume


def _waiting(folder: str, image: str) -> Object:
    container = small_container(SOURCES, image, ["sh", "-c", WAIT.format(folder=folder)])
    return {
        **container,
        "securityContext": {**container["securityContext"], "runAsUser": USER},
        "volumeMounts": [{"name": SOURCES, "mountPath": folder}],
    }


def config_of(objects: Sequence[Object], pod: Object) -> list[Object]:
    """The ConfigMap and the Secret that a service's containers read, as the pod's own: they go with it.

    A release that comes to have them takes them over: what it applies has neither the role nor the owner.
    """
    meta = pod["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    found: list[Object] = []
    for one in objects:
        if one["kind"] in {"ConfigMap", "Secret"} and one.get("immutable"):
            own = {**one["metadata"], "ownerReferences": [owner]}
            own["labels"] = {**own["labels"], ROLE: "dev"}
            found.append({**one, "metadata": own})
    return found
