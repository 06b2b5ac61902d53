"""The tree of errors: what happened, to what, and what helps. `tasks/` makes exit codes and hints of them.

Problem                 something went wrong that the user can understand and act on
├── UsageError          a flag, a file or a machine is not as it must be; nothing was changed
├── Unreachable         something that is needed does not answer
│   └── ConnectionLost  a connection broke: whether what was asked for was done must be asked anew
│       └── HostUnreachable
│           └── ConnectionThrottled
├── ImageVanished       an image that a build took from its cache was removed meanwhile
├── TagVanished         a tag that was to be pushed was removed meanwhile
├── RegistryDenied      a registry wants other credentials
└── ApiRefused          the API server of a cluster said no
    └── ApplyConflict   because other managers own fields
Cancelled               the run was interrupted; not an error of anything
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True)
class NextCommand:
    """A command of Slipway that helps: a task's name and its options (`{"service": "auth"}`).

    Only the command line knows how it is typed and for which environment: `tasks/hints.py` writes it out.
    """

    task: str
    options: Mapping[str, object] = field(default_factory=dict)


def deploy_command(*services: str) -> NextCommand:
    """The command that deploys these services."""
    return NextCommand("deploy", {"service": ",".join(services)})


class Problem(Exception):
    """Something went wrong that the user can understand and act on.

    `summary` is one line: the thing and what is wrong with it. `details` is the evidence, as many lines as it takes.
    `hint` is advice, and `commands` are those of Slipway that help, in the order in which they are tried.
    """

    def __init__(
        self, summary: str, *, details: str = "", hint: str = "", commands: Sequence[NextCommand] = ()
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = details
        self.hint = hint
        self.commands = tuple(commands)

    def __str__(self) -> str:
        parts = [self.summary]
        if self.details:
            parts.append(self.details.rstrip())
        if self.hint:
            parts.append("hint: " + self.hint.replace("\n", "\n      "))
        return "\n".join(parts)


class UsageError(Problem):
    """A flag, a file or a machine is not as it must be; nothing was changed."""


class Unreachable(Problem):
    """Something that is needed does not answer. `changed`: behind an action that is known to have changed something."""

    def __init__(
        self,
        summary: str,
        *,
        details: str = "",
        hint: str = "",
        commands: Sequence[NextCommand] = (),
        changed: bool = False,
    ) -> None:
        super().__init__(summary, details=details, hint=hint, commands=commands)
        self.changed = changed


class ConnectionLost(Unreachable):
    """The connection to a host or its daemon broke: whether what was asked for was done must be asked anew."""


class HostUnreachable(ConnectionLost):
    """There is no way to a host at all: nobody answers at its address."""


class ConnectionThrottled(HostUnreachable):
    """A host drops connections before it says anything, as sshd does while too many are starting."""


class BuildKitNeeded(Problem):
    """Docker's classic builder met what only BuildKit can build."""


class ImageVanished(Problem):
    """An image that a build took from its cache was removed meanwhile."""


class TagVanished(Problem):
    """The tag that was to be pushed was taken from its image meanwhile."""


class RegistryFault(Problem):
    """A registry failed by itself, as one does to which the same image is pushed twice at once; it may not again."""


class RegistryDenied(Problem):
    """A registry wants other credentials for an image."""


class ApiRefused(Problem):
    """A cluster's API server refused a request. `status` is HTTP's."""

    def __init__(self, summary: str, *, status: int, details: str = "", hint: str = "") -> None:
        super().__init__(summary, details=details, hint=hint)
        self.status = status


@dataclass(frozen=True)
class FieldConflict:
    """A field of a cluster's object that another field manager owns: `argo`, `spec.replicas`."""

    manager: str
    field: str


class ApplyConflict(ApiRefused):
    """Server-side apply was refused because other managers own fields."""

    def __init__(self, summary: str, conflicts: Sequence[FieldConflict], *, details: str = "") -> None:
        lines = "\n".join(f"{conflict.field} is managed by {conflict.manager}" for conflict in conflicts)
        super().__init__(summary, status=HTTPStatus.CONFLICT, details=lines or details)
        self.conflicts = tuple(conflicts)


class Cancelled(Exception):
    """The run was interrupted (Ctrl-C, SIGTERM); what was under way has ended."""


def untrusted_certificate(server: str, details: str) -> Unreachable:
    """The certificate of `server` is not trusted here, usually a proxy's with a certificate authority of its own."""
    hint = (
        "is there a proxy with its own certificate authority? put its certificate into "
        "/usr/local/share/ca-certificates/NAME.crt, run update-ca-certificates, then run the same command again"
    )
    return Unreachable(f"the certificate of {server} is not trusted", details=details, hint=hint)


def unknown_name(kind: str, names: Sequence[str], known: Collection[str]) -> UsageError:
    """There is no `kind` of these names: which there are, and which one was probably meant."""
    from difflib import get_close_matches

    meant = [one for name in names for one in get_close_matches(name, known, 1)]
    guess = f"did you mean {', '.join(meant)}? " if meant else ""
    return UsageError(f"unknown {kind}: {', '.join(names)}", hint=f"{guess}known: {', '.join(sorted(known)) or 'none'}")


@contextmanager
def behind_a_change() -> Iterator[None]:
    """What fails in here has changed something: it is never reported as if something had only been unreachable."""
    try:
        yield
    except Unreachable as problem:
        problem.changed = True
        raise
