"""The proxy through which a host's dockerd pulls images: a drop-in of its systemd unit."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass

from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change
from slipway.hosts.facts import Facts
from slipway.hosts.host import NO_PROXY, Command, Privilege, script
from slipway.installers.docker.group import group_differs
from slipway.installers.docker.hello_world import run_hello_world
from slipway.installers.host_step import HostStep

DROP_INS = "/etc/systemd/system/docker.service.d"


@dataclass(frozen=True, kw_only=True)
class ConfigureProxy(HostStep):
    """The proxy that dockerd uses. `proxy` is its URL; "": none."""

    daemon: Daemon
    proxy: str

    def check(self, facts: Facts) -> Change | None:
        """Whether the drop-in for this proxy, and no other, is there."""
        return proxy_differs(facts, self.proxy)

    def apply(self, report: Reporter) -> None:
        """Write the drop-in, remove the others, restart dockerd if it is running, and test it."""
        facts = self.host.probe.facts()
        wanted = ""
        if self.proxy:
            wanted, text = drop_in(self.proxy)
            self.host.write_file(text.encode(), wanted, 0o600, Privilege.ROOT, report)
        obsolete = [path for path in facts.docker_proxy if path != wanted]
        self.host.run(restart(obsolete), report).raise_for_status("dockerd could not be restarted")
        if facts.daemon and group_differs(facts) is None:
            run_hello_world(self.host, self.daemon, report)


def proxy_differs(facts: Facts, proxy: str) -> Change | None:
    """Why dockerd's proxy must be set or removed, or None."""
    if not facts.systemd:
        return None  # without systemd, dockerd inherits the environment of whoever starts it
    wanted = (drop_in(proxy)[0],) if proxy else ()
    if facts.docker_proxy == wanted:
        return None
    return Change(
        "dockerd is not configured with the proxy"
        if proxy
        else "dockerd is configured with a proxy that hosts.yaml does not have"
    )


def drop_in(proxy: str) -> tuple[str, str]:
    """The path and the text of the unit's drop-in. The path depends on the text, which only root may read."""
    variables = (("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy), ("NO_PROXY", NO_PROXY))
    text = "".join(f'Environment="{key}={_escape(value)}"\n' for key, value in variables)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{DROP_INS}/slipway-proxy-{name}.conf", f"[Service]\n{text}"


def _escape(value: str) -> str:
    """A value for double quotes in a unit file (systemd.syntax(7); %: systemd.unit(5), specifiers)."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def restart(obsolete: list[str]) -> Command:
    """The command that removes obsolete drop-ins, and restarts dockerd if it is running."""
    text = f"""
        {shlex.join(["rm", "-f", *obsolete])}
        systemctl daemon-reload || exit
        ! systemctl is-active --quiet docker || systemctl restart docker
    """
    return script(text, privilege=Privilege.ROOT, timeout=120)
