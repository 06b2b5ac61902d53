"""What a walk's commands should leave behind, in plain Python: services, releases, secrets, and each exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

NAMES = ("left", "middle", "right")
KEPT = 10  # releases of a service
ABSENT = ""  # the state of a container that was removed
DONE, FAILED, USAGE, CHANGES, UNREACHABLE = range(5)  # the README's exit codes


@dataclass(frozen=True)
class Content:
    """What a service's folder holds: a number in its service file and one in its sources. Setting 0 fails its check."""

    setting: int = 1
    sources: int = 1

    @property
    def broken(self) -> bool:
        """Whether its check fails."""
        return self.setting == 0


@dataclass(frozen=True)
class Release:
    """What a release was made of; `secret` tells a generated secret from one that was generated after a purge."""

    content: Content
    secret: int


@dataclass(frozen=True)
class Deployed:
    """A deployed service: which release, and what was done to it by hand."""

    number: int
    state: str = "running"
    drift: bool = False


@dataclass
class Model:
    """What should be deployed. Each method is a command, and returns the exit code that it should have."""

    secret: str  # the service that has a generated one, or ""
    wanted: dict[str, Content] = field(default_factory=lambda: dict.fromkeys(NAMES, Content()))  # the folders
    releases: dict[str, dict[int, Release]] = field(default_factory=dict)
    deployed: dict[str, Deployed] = field(default_factory=dict)
    secrets: dict[str, int] = field(default_factory=dict)
    generated: int = 0

    def chosen(self, service: str) -> list[str]:
        """The services that `--service` names, or all; none where it names one without a folder."""
        return [name for name in sorted(self.wanted) if service in {"", name}]

    def differs(self, name: str) -> bool:
        """Whether a deploy has something to do."""
        container = self.deployed.get(name)
        if container is None or container.state != "running" or container.drift:
            return True
        return self.releases[name][container.number] != Release(self.wanted[name], self.secrets.get(name, 0))

    @property
    def idle(self) -> list[str]:
        """The services that have no process, and so do not have their port."""
        states = {name: self.deployed[name].state if name in self.deployed else ABSENT for name in self.wanted}
        return sorted(name for name, state in states.items() if state in {ABSENT, "exited"})

    def plan(self, service: str) -> int:
        names = self.chosen(service)
        return USAGE if not names else CHANGES if any(map(self.differs, names)) else DONE

    def deploy(self, service: str) -> int:
        names = self.chosen(service)
        self.generate(names)
        for name in names:
            if self.differs(name) and not self.wanted[name].broken:
                known = self.releases.setdefault(name, {})
                number = max(known, default=0) + 1
                known[number] = Release(self.wanted[name], self.secrets.get(name, 0))
                self.releases[name] = {old: known[old] for old in sorted(known)[-KEPT:]}
                self.deployed[name] = Deployed(number)
        return self._checked(names)

    def smoke(self, service: str) -> int:
        names = self.chosen(service)
        self.generate(names)
        return self._checked(names)

    def _checked(self, names: list[str]) -> int:
        broken = any(self.wanted[name].broken for name in names)
        return USAGE if not names else FAILED if broken else DONE

    def generate(self, names: list[str]) -> bool:
        """Whether a secret was missing."""
        missing = self.secret in names and self.secret not in self.secrets
        if missing:
            self.generated += 1
            self.secrets[self.secret] = self.generated
        return missing

    def deploy_on_a_taken_port(self, service: str) -> int:
        names = self.chosen(service)
        generated = self.generate(names)
        return USAGE if not names else FAILED if generated else UNREACHABLE

    def restart(self, service: str) -> int:
        if service not in self.wanted or service not in self.deployed:
            return USAGE
        self.deployed[service] = replace(self.deployed[service], state="running")
        return DONE

    def rollback(self, service: str, to: int) -> int:
        known = self.releases.get(service, {})
        now = self.deployed.get(service)
        earlier = [number for number in known if (number == to if to else now and number < now.number)]
        if service not in self.wanted or not earlier:
            return USAGE
        self.deployed[service] = Deployed(max(earlier))
        return DONE

    def known(self, service: str) -> list[str]:
        """The services that `down` removes: one that it names may have no folder any more."""
        return self.chosen(service) or sorted({service} & {*self.deployed, *self.releases})

    def down_plan(self, service: str) -> int:
        names = self.known(service)
        return USAGE if not names else CHANGES if {*names} & {*self.deployed} else DONE

    def down(self, service: str) -> int:
        names = self.known(service)
        for name in names:
            self.deployed.pop(name, None)
        return DONE if names else USAGE

    def purge(self, service: str) -> int:
        names = self.known(service) if service else NAMES  # those without a folder too
        for name in names:
            self.deployed.pop(name, None)
            self.releases.pop(name, None)
        if not service:
            self.secrets.clear()
        return DONE if names else USAGE

    def by_hand(self, name: str, hand: Hand) -> None:
        container = self.deployed[name]
        if hand.state == ABSENT:
            del self.deployed[name]
        else:
            self.deployed[name] = replace(
                container, state=hand.state or container.state, drift=container.drift or hand.drift
            )


@dataclass(frozen=True)
class Hand:
    """What somebody does to a deployed service without Slipway, and what becomes of it."""

    act: Callable[[str], object]  # of the service's name
    state: str = "running"
    drift: bool = False
