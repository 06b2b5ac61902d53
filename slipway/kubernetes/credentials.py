"""A context of a kubeconfig as the official client's settings, and every way in which that fails, in plain words."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubernetes import config
from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.kube_config import KubeConfigMerger
from yaml import MarkedYAMLError, YAMLError

from slipway.errors import Unreachable, UsageError

DEFAULT = "~/.kube/config"
SHAPELESS = (AttributeError, KeyError, TypeError, ValueError)  # what the official reader raises where a key is missing


def settings_of(context: str, file: str | None) -> Configuration:
    """Address, TLS settings and credentials of a context; `file` is None for the user's own kubeconfig.

    Raises UsageError for a file that nobody can read, and Unreachable where there is no such context, a file that it
    names does not exist, or its exec plugin gives no credentials.
    """
    files = file or _own_files()
    settings = Configuration()
    with _heard() as said, _readable(files):
        try:
            config.load_kube_config(files, context, settings)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise _unusable(context, files, str(error)) from error
    if said and not (settings.api_key or settings.cert_file or settings.username):
        hint = f"log in again as it says; `kubectl --context {context} version` asks for the same credentials"
        summary = f"kubeconfig context {context} gives no credentials: its exec plugin failed"
        raise Unreachable(summary, details="\n".join(said), hint=hint)
    return settings


def _own_files() -> str:
    """The files of KUBECONFIG, without those that are empty, as kubectl reads them."""
    named = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path] or [DEFAULT]
    with _readable(os.pathsep.join(named)):
        return os.pathsep.join(path for path in named if not _is_empty(Path(path).expanduser()))


def _is_empty(path: Path) -> bool:
    lines = path.read_text().splitlines() if path.is_file() else ["absent"]
    return all(not line.strip() or line.lstrip().startswith("#") or line.strip() == "---" for line in lines)


@contextmanager
def _readable(files: str) -> Iterator[None]:
    """Raise UsageError for a file that is no YAML, or not that of a kubeconfig."""
    try:
        yield
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"{mark.name}:{mark.line + 1}" if mark else files
        problem = error.problem if isinstance(error, MarkedYAMLError) else str(error)
        raise UsageError(f"{where}: {problem}", hint="mend the kubeconfig: kubectl config view") from error
    except SHAPELESS as error:
        summary = f"{files} is not a kubeconfig"
        raise UsageError(summary, details=f"{type(error).__name__}: {error}", hint="kubectl config view") from error


def _unusable(context: str, files: str, details: str) -> Unreachable:
    """The problem of a context that is not there, or is and can't be used: a file that it names does not exist."""
    try:
        merged = KubeConfigMerger(files).config  # type: ignore[no-untyped-call]
        exists = merged is not None and merged["contexts"].get_with_name(context, safe=True) is not None
    except (ConfigException, OSError):
        exists = False
    if exists:
        hint = f"kubectl config view --minify --context {context}"
        return Unreachable(f"kubeconfig context {context} can't be used", details=details, hint=hint)
    return Unreachable(f"there is no kubeconfig context {context}", details=details, hint="kubectl config get-contexts")


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the official client logs as errors meanwhile, in this thread: a failed exec plugin it tells nobody else."""
    said: list[str] = []
    handler = _Collector(said)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield said
    finally:
        root.removeHandler(handler)


class _Collector(logging.Handler):
    """Collects the errors that are logged by the thread that made it."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._said, self._thread = said, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._said.append(record.getMessage())
