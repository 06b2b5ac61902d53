"""Credentials for registries, by docker-py's reader of Docker's configuration, whose helper programs may fail.

As with Docker's own client, an image that needs no credentials is pulled whatever a helper does.
"""

from __future__ import annotations

import subprocess
from typing import Any

from docker import APIClient
from docker.auth import AuthConfig
from docker.credentials import CredentialsNotFound, Store, StoreError
from docker.credentials.errors import process_store_error
from docker.utils.config import find_config_file

from slipway.docker.registry_errors import is_denied
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts.host import Command
from slipway.hosts.local import LocalHost

TIMEOUT = 30  # seconds for one answer; a helper may ask a person to unlock a key ring


class RegistryCredentials(AuthConfig):  # type: ignore[misc]
    """The credentials that one request is sent with. `failures` are the words of each helper that failed, by name.

    A helper that failed before, in this request or another with the same `failures`, is not asked again.
    """

    def __init__(self, config: AuthConfig, failures: dict[str, str], report: Reporter) -> None:
        super().__init__(config)
        self.failures, self._report = failures, report

    def _get_store_instance(self, name: str) -> Store:
        return _Helper(name, self.failures, self._report)

    def explain(self, error: Exception) -> Exception:
        """The error of a request; where a registry wanted credentials, and a helper failed to give them, that."""
        said = f"{error}\n{getattr(error, 'details', '')}".strip()
        if not self.failures or not is_denied(said):
            return error
        words = [f"{name}: {text}" for name, text in self.failures.items()]
        names = " and ".join(self.failures)
        file = find_config_file() or "~/.docker/config.json"
        return Problem(
            f"no credentials for the registry: {names} failed",
            details="\n".join([*words, said]),
            hint=f"install {names}, or remove it from credsStore and credHelpers in {file}; then docker login",
        )


def use_helpers(api: APIClient, failures: dict[str, str], report: Reporter) -> RegistryCredentials:
    """Have a client ask the helpers of its configuration as described above."""
    found = RegistryCredentials(api._auth_configs, failures, report)  # noqa: SLF001  where docker-py looks for them
    api._auth_configs = found  # noqa: SLF001
    return found


class _Helper(Store):  # type: ignore[misc]
    """A helper program; one that fails has no credentials."""

    def __init__(self, name: str, failures: dict[str, str], report: Reporter) -> None:
        self.program = f"docker-credential-{name}"
        self._failures, self._report = failures, report

    def get(self, server: str) -> dict[str, str]:
        try:
            return dict(super().get(server))
        except CredentialsNotFound:
            raise
        except (StoreError, ValueError, KeyError, TypeError) as error:
            self._failed(error)
            raise CredentialsNotFound(str(error)) from error

    def list(self) -> dict[str, Any]:
        try:
            return dict(super().list())
        except (StoreError, ValueError, TypeError) as error:
            self._failed(error)
            return {}

    def _execute(self, subcommand: str, data: bytes | None) -> bytes:
        if self.program in self._failures:
            raise StoreError(self._failures[self.program])
        command = Command((self.program, subcommand), stdin=data or b"", timeout=TIMEOUT)
        try:
            result = LocalHost().run(command, null_reporter(self._report.cancel))  # its output is secret
        except Problem as problem:
            reason = f": {problem.__cause__}" if isinstance(problem.__cause__, OSError) else ""
            raise StoreError(problem.summary + reason) from problem
        if result.exit_code:
            said = f"{result.text} {result.stderr.decode(errors='replace')}".strip().encode()
            failed = subprocess.CalledProcessError(result.exit_code, command.argv, said)
            raise process_store_error(failed, self.program) from failed
        return result.stdout

    def _failed(self, error: Exception) -> None:
        if self.program not in self._failures:
            self._failures[self.program] = " ".join(str(error).split())
            self._report.note(f"without the credentials of {self.program}, which failed")
