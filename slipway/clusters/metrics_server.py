"""metrics-server where a Minikube lacks it: what an autoscaler reads the CPUs from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change
from slipway.errors import Problem
from slipway.kubernetes.client import Client
from slipway.kubernetes.objects import Object

NAME, NAMESPACE = "metrics-server", "kube-system"
API = "v1beta1.metrics.k8s.io"
READY = 120.0  # seconds for the API to answer
AGAIN = 40.0  # seconds after which a registration that is not taken is made anew: kube-apiserver sometimes misses one


@dataclass(frozen=True)
class Metrics:
    """What the cluster says of its metrics API."""

    available: bool


def read(cluster: Client) -> Metrics:
    """Whether the metrics API is there and answers."""
    found = cluster.get("apiregistration.k8s.io/v1", "APIService", API) or {}
    conditions = found.get("status", {}).get("conditions", [])
    return Metrics(any(c["type"] == "Available" and c["status"] == "True" for c in conditions))


def differs(facts: Metrics) -> Change | None:
    """Why it must be installed, or None."""
    return None if facts.available else Change("the cluster has no metrics API, which `autoscale` needs")


def install(cluster: Client, image: str, report: Reporter) -> None:
    """Apply it and wait until its API answers. Raises Problem."""
    whole = objects(image)
    for one in whole:
        cluster.apply(one, force=True)
    waited = since = 0.0
    while not read(cluster).available or not _answers(cluster):
        if waited > READY:
            raise Problem("metrics-server does not answer", hint=f"kubectl -n {NAMESPACE} logs deployment/{NAME}")
        if since > AGAIN:
            report.note("its APIService was not accepted: creating it again")
            cluster.delete(whole[-1])
            cluster.apply(whole[-1], force=True)
            since = 0.0
        report.progress(waited, READY, "seconds")
        report.cancel.wait(1)
        waited, since = waited + 1, since + 1


def _answers(cluster: Client) -> bool:
    try:
        cluster.read("/apis/metrics.k8s.io/v1beta1")
    except Problem:
        return False
    return True


def objects(image: str) -> list[Object]:
    """Its objects; the registration of its API comes last."""

    def made(version: str, kind: str, name: str, where: str | None = NAMESPACE, **more: Any) -> Object:
        meta = {"name": name, "labels": {"k8s-app": NAME}, **({"namespace": where} if where else {})}
        return {"apiVersion": version, "kind": kind, "metadata": meta, **more}

    rbac, group = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    subjects = [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]

    def role(kind: str, name: str) -> Object:
        return {"roleRef": {"apiGroup": group, "kind": kind, "name": name}, "subjects": subjects}

    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    container = {
        "name": NAME,
        "image": image,
        "args": [
            "--cert-dir=/tmp",
            "--secure-port=10250",
            "--kubelet-insecure-tls",  # Minikube's kubelet has a certificate of its own making
            "--kubelet-preferred-address-types=InternalIP",
            "--metric-resolution=15s",
        ],
        "ports": [{"name": "https", "containerPort": 10250}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  the container's own
    }
    pod = {"serviceAccountName": NAME, "containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}]}
    labels = {"k8s-app": NAME}
    template = {"metadata": {"labels": labels}, "spec": pod}
    service = {"selector": labels, "ports": [{"name": "https", "port": 443, "targetPort": "https"}]}
    registered = {
        "service": {"name": NAME, "namespace": NAMESPACE},
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    return [
        made("v1", "ServiceAccount", NAME),
        made(rbac, "ClusterRole", f"system:{NAME}", None, rules=rules),
        made(rbac, "ClusterRoleBinding", f"system:{NAME}", None, **role("ClusterRole", f"system:{NAME}")),
        made(rbac, "ClusterRoleBinding", f"{NAME}:delegator", None, **role("ClusterRole", "system:auth-delegator")),
        made(rbac, "RoleBinding", f"{NAME}:reader", **role("Role", "extension-apiserver-authentication-reader")),
        made("v1", "Service", NAME, spec=service),
        made("apps/v1", "Deployment", NAME, spec={"selector": {"matchLabels": labels}, "template": template}),
        made("apiregistration.k8s.io/v1", "APIService", API, None, spec=registered),
    ]
