"""Requests to a cluster's API server: a timeout on each, and every error translated here, once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException
from urllib3 import Timeout
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from slipway.errors import ApiRefused, ApplyConflict, FieldConflict, NextCommand, Unreachable
from slipway.kubernetes.credentials import settings_of

TIMEOUT = (3.0, 30.0)  # seconds to connect, and between two bytes of an answer
HINT = "see its state; a cluster that Slipway made can be started"
COMMANDS = (NextCommand("cluster.status"), NextCommand("cluster.start"))

ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True)
class KubeContext:
    """A context of the user's kubeconfig on the host where kubectl runs.

    `kubeconfig` makes a file by which this process reaches the cluster, where that host is another one.
    """

    name: str
    kubeconfig: Callable[[], str] | None = None

    def kubectl(self, *arguments: str) -> tuple[str, ...]:
        """A kubectl command line for this cluster."""
        return ("kubectl", "--context", self.name, *arguments)


@dataclass(frozen=True)
class Call:
    """One request. `summary` says what failed, if it does; `refused` makes the error of an HTTP status."""

    method: str
    path: str
    summary: str
    body: object = None
    query: Mapping[str, str] | None = None
    content_type: str = "application/json"
    refused: Callable[[str, int, bytes], ApiRefused] | None = None


class Api:
    """The API server behind a context. Nothing is asked before the first request."""

    def __init__(self, context: KubeContext) -> None:
        self.context = context

    @cached_property
    def client(self) -> ApiClient:
        """The official client, with the TLS settings, certificates and token of the context.

        Raises Unreachable where there is none or it can't be used, and UsageError for a broken kubeconfig.
        """
        file = self.context.kubeconfig() if self.context.kubeconfig else None
        return ApiClient(settings_of(self.context.name, file))

    def forget(self) -> None:
        """Read the kubeconfig again for the next request: the cluster was started or created again."""
        self.__dict__.pop("client", None)

    def request(self, call: Call) -> Any:
        """The answer as plain data. Raises ApiRefused, and Unreachable where the server does not answer."""
        with self.translated(call.summary):
            answer = self._send(call)
            try:
                return json.loads(answer.read(decode_content=True))
            finally:
                answer.release_conn()

    def stream(self, call: Call) -> Iterator[bytes]:
        """The lines of an answer that goes on: a watch, a log. Ends when the server or a broken connection ends it."""
        with self.translated(call.summary):
            answer = self._send(call)
        rest = b""
        try:
            for chunk in answer.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        except HTTPError:
            pass
        finally:
            answer.release_conn()
        if rest:
            yield rest

    def _send(self, call: Call) -> BaseHTTPResponse:
        """One request over the official client's connection pool, which answers before the body is read."""
        api = self.client
        headers = {"Accept": "application/json", "Content-Type": call.content_type}
        if token := api.configuration.auth_settings().get("BearerToken"):
            headers["Authorization"] = token["value"]
        url = api.configuration.host + call.path + (f"?{urlencode(call.query)}" if call.query else "")
        body = None if call.body is None else encoded(call.body)
        connect, read = TIMEOUT
        timeout = Timeout(connect=connect, read=read)
        pool = api.rest_client.pool_manager
        answer = pool.request(
            call.method, url, body=body, headers=headers, timeout=timeout, retries=False, preload_content=False
        )
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise (call.refused or api_refused)(call.summary, answer.status, answer.read(decode_content=True))
        return answer

    @contextmanager
    def translated(self, summary: str) -> Iterator[None]:
        """Errors of the official client and of the connection, as ours."""
        try:
            yield
        except ApiException as error:  # of the client's own discovery
            details = message(error.body) or str(error.reason)
            raise ApiRefused(summary, status=error.status or 0, details=details) from error
        except (HTTPError, OSError) as error:
            name = f"the cluster behind context {self.context.name} does not answer"
            raise Unreachable(name, details=str(error)[:400], hint=HINT, commands=COMMANDS) from error


def encoded(body: object) -> bytes:
    """JSON that is YAML too, as which the API server reads what is applied: it knows no escape of half a character.

    What go-yaml refuses as it is, or takes for the end of a line, is escaped.
    """
    text = json.dumps(body, ensure_ascii=False)
    return ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def api_refused(summary: str, status: int, body: bytes) -> ApiRefused:
    """The error of an answer with a status of 400 or more."""
    return ApiRefused(summary, status=status, details=message(body))


def apply_refused(summary: str, status: int, body: bytes) -> ApiRefused:
    """The same for server-side apply, whose 409 names fields and their managers."""
    if status != HTTPStatus.CONFLICT:
        return api_refused(summary, status, body)
    return ApplyConflict(summary, field_conflicts(body), details=message(body))


def message(body: Any) -> str:
    """The message of a Status, which is how the API server describes an error."""
    try:
        return str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(body or "")


def field_conflicts(body: Any) -> tuple[FieldConflict, ...]:
    """The fields that a 409 of server-side apply names, and who owns them.

    The manager stands only in the message of a cause: `conflict with "kubectl-edit" using apps/v1`.
    """
    try:
        causes = json.loads(body)["details"]["causes"]
    except (TypeError, ValueError, KeyError):
        return ()
    found = []
    for cause in causes:
        manager = str(cause.get("message", "")).partition('"')[2].partition('"')[0]
        found.append(FieldConflict(manager, str(cause.get("field", "")).removeprefix(".")))
    return tuple(found)
