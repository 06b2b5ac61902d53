"""Which kinds of Kubernetes' own belong to no namespace; of a custom one, its cluster or its definition knows. Pure."""

from __future__ import annotations

from slipway.kubernetes.objects import Object, group

DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
CLUSTER_SCOPED = frozenset(  # `kubectl api-resources --namespaced=false`
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        DEFINITION,
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("internal.apiserver.k8s.io", "StorageVersion"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("resource.k8s.io", "ResourcePoolStatusRequest"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
        ("storagemigration.k8s.io", "StorageVersionMigration"),
    }
)


def cluster_scoped(one: Object) -> bool:
    """Whether an object is of one of Kubernetes' kinds that belong to no namespace."""
    return (group(one), one["kind"]) in CLUSTER_SCOPED


def is_definition(one: Object) -> bool:
    """Whether an object defines a kind: a CustomResourceDefinition."""
    return (group(one), one["kind"]) == DEFINITION


def defines(definition: Object, one: Object) -> bool:
    """Whether a CustomResourceDefinition is that of an object's kind."""
    spec = definition.get("spec", {})
    return (spec.get("group"), spec.get("names", {}).get("kind")) == (group(one), one["kind"])
