"""The objects that a team writes beside a service, in its folder manifests/."""

from __future__ import annotations

import base64
from pathlib import Path

from slipway.config.manifests import documents
from slipway.config.models import Service
from slipway.kubernetes.binary import canonical_base64
from slipway.kubernetes.manifests.labels import NAMESPACE, VALUES, labels, values_fingerprint
from slipway.kubernetes.objects import Object
from slipway.kubernetes.scopes import cluster_scoped


def own_manifests(project: str, namespace: str, service: Service) -> list[Object]:
    """The service's manifests/*.yaml, labelled as the service's; those without a namespace are put into its own.

    What is elsewhere, at cluster scope or in a namespace that it names, is labelled with the project's namespace too:
    there, another environment of the same project may have objects.
    """
    found: list[Object] = []
    for document in documents(service.folder) if service.folder != Path() else ():
        meta = document["metadata"]
        if cluster_scoped(document):
            meta.pop("namespace", None)
        else:
            meta["namespace"] = meta.get("namespace") or namespace
        elsewhere = {NAMESPACE: namespace} if meta.get("namespace") != namespace else {}
        meta["labels"] = {**(meta.get("labels") or {}), **labels(project, service.name), **elsewhere}
        if document["kind"] == "Secret":
            document["data"] = _encoded(document)
            document.pop("stringData", None)  # server-side apply never removes a key of it
            meta["annotations"] = {**(meta.get("annotations") or {}), VALUES: values_fingerprint(document)}
        found.append(document)
    return found


def _encoded(secret: Object) -> dict[str, str]:
    data = {key: canonical_base64(value) for key, value in (secret.get("data") or {}).items()}
    texts = (secret.get("stringData") or {}).items()
    return {**data, **{key: base64.b64encode(value.encode()).decode() for key, value in texts}}
