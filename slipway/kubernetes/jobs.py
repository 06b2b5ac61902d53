"""Jobs: what runs once can't be changed, so a changed one is deleted and created again, and runs again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from slipway.errors import ApiRefused
from slipway.kubernetes.objects import Object, group, identity

IMMUTABLE = ("template", "selector", "completions", "completionMode", "podFailurePolicy", "successPolicy")


def is_job(one: Object) -> bool:
    """Whether an object is a Job."""
    return (group(one), one["kind"]) == ("batch", "Job")


def expires(one: Object) -> bool:
    """Whether a Job removes itself after it has ended."""
    return is_job(one) and one.get("spec", {}).get("ttlSecondsAfterFinished") is not None


def must_be_created_again(one: Object, refused: ApiRefused) -> bool:
    """Whether the API server refused a change of a Job because of a field that can't be changed."""
    invalid = refused.status == HTTPStatus.UNPROCESSABLE_ENTITY
    return is_job(one) and invalid and "field is immutable" in refused.details


def run_again(before: Sequence[Object], after: Sequence[Object]) -> list[str]:
    """The Jobs of `after` that `before` has otherwise: their names, `Job migrate`."""
    known = {identity(one): one for one in before if is_job(one)}
    jobs = [one for one in after if is_job(one) and identity(one) in known]
    return [f"Job {one['metadata']['name']}" for one in jobs if _fixed(one) != _fixed(known[identity(one)])]


def _fixed(one: Object) -> list[object]:
    return [one.get("spec", {}).get(key) for key in IMMUTABLE]
