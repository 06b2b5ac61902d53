"""Where to connect: `host`, `user@host:port` or `ssh://user@host:port`, as ssh and its ProxyJump take them."""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMS = "a name, an IP address, or [user@]host[:port]; an IPv6 address with a port is in brackets: [2001:db8::7]:2222"
NAME = re.compile(r"""(?!-)[^\s\x00-\x1f\x7f@:/\[\]'"`$\\;&<>|(){}*?!,=]+""")
USER = re.compile(r"""(?![-$])[^\s\x00-\x1f\x7f'"`;&<>|(){}]+(?<!\\)""")
PORTS = range(1, 65536)


@dataclass(frozen=True)
class Destination:
    """A host as ssh's command line names it, and what is said of it there."""

    host: str
    user: str | None = None
    port: int | None = None


def parse_destination(text: str) -> Destination:
    """Read a destination. Raises ValueError, with the forms that are understood, for anything else.

    Names have the characters that ssh accepts (`valid_hostname` and `valid_ruser` of its ssh.c), so that none is taken
    for an option or by the shell of a ProxyCommand.
    """
    url = text.lower().startswith("ssh://")
    rest = text[len("ssh://") :].removesuffix("/") if url else text
    user, at, place = rest.rpartition("@")
    host, port = _split_port(place)
    if not (NAME.fullmatch(host) or _is_ipv6(host)):
        raise ValueError(f"{text!r} is not an SSH destination: {FORMS}")
    if at and not USER.fullmatch(user):
        raise ValueError(f"{text!r} has an invalid user name: {FORMS}")
    if port is not None and not (port.isascii() and port.isdigit() and int(port) in PORTS):
        raise ValueError(f"{text!r} has an invalid port: {port}")
    return Destination(host, user or None, int(port) if port else None)


def _split_port(place: str) -> tuple[str, str | None]:
    if bracketed := re.fullmatch(r"\[(.*)\](?::(.*))?", place):
        return bracketed[1], bracketed[2]
    host, colon, port = place.partition(":")
    return (place, None) if not colon or ":" in port else (host, port)  # an IPv6 address has two or more


def _is_ipv6(host: str) -> bool:
    from ipaddress import IPv6Address  # here: few addresses are one

    try:
        IPv6Address(host)
    except ValueError:
        return False
    return NAME.fullmatch(host.replace(":", "")) is not None or host == "::"  # the zone behind a % is a name
