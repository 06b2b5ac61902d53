"""The objects that a team writes beside a service, in its folder manifests/."""

from __future__ import annotations

import base64
from pathlib import Path

from slipway.config.manifests import documents
from slipway.config.models import Service
from slipway.kubernetes.manifests.labels import VALUES, labels, values_fingerprint
from slipway.kubernetes.objects import Object


def own_manifests(project: str, namespace: str, service: Service) -> list[Object]:
    """The service's manifests/*.yaml, labelled as the service's and put into its namespace."""
    found: list[Object] = []
    for document in documents(service.folder) if service.folder != Path() else ():
        meta = document["metadata"]
        meta["namespace"] = namespace
        meta["labels"] = {**(meta.get("labels") or {}), **labels(project, service.name)}
        if document["kind"] == "Secret":
            document["data"] = _encoded(document)
            document.pop("stringData", None)  # server-side apply never removes a key of it
            meta["annotations"] = {**(meta.get("annotations") or {}), VALUES: values_fingerprint(document)}
        found.append(document)
    return found


def _encoded(secret: Object) -> dict[str, str]:
    data = {key: "".join(value.split()) for key, value in (secret.get("data") or {}).items()}
    texts = (secret.get("stringData") or {}).items()
    return {**data, **{key: base64.b64encode(value.encode()).decode() for key, value in texts}}
