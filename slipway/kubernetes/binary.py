"""Where the API's schema has bytes, whose base64 the API server writes anew: without line breaks, unused bits 0. Pure.

The fields are those of type []byte in k8s.io/api; Secrets are compared by the fingerprint of their values.
"""

from __future__ import annotations

import base64

from slipway.kubernetes.objects import Object, group
from slipway.kubernetes.quantities import Keys, matches

_FIELDS = {
    ("", "ConfigMap"): "binaryData.*",
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): "webhooks.*.clientConfig.caBundle",
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): "webhooks.*.clientConfig.caBundle",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "spec.conversion.webhook.clientConfig.caBundle",
    ("apiregistration.k8s.io", "APIService"): "spec.caBundle",
    ("certificates.k8s.io", "CertificateSigningRequest"): "spec.request",
}


def same_bytes(one: Object, keys: Keys, wanted: object, live: object) -> bool:
    """Whether an object has bytes at `keys`, and both of these are the same ones."""
    pattern = _FIELDS.get((group(one), str(one["kind"])))
    if pattern is None or not matches(tuple(pattern.split(".")), keys):
        return False
    try:
        return base64.b64decode(str(wanted)) == base64.b64decode(str(live))
    except ValueError:
        return False


def canonical_base64(text: str) -> str:
    """The spelling in which the API server stores the bytes of `text`, which must be base64."""
    return base64.b64encode(base64.b64decode(text)).decode()
