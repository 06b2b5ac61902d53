"""Replace a service's container behind its proxy: the new one is checked beside the earlier one, then takes over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from slipway.config.models import Service
from slipway.deployers.docker.container import spec_differs
from slipway.deployers.docker.proxy import DRAIN, Proxy
from slipway.deployers.docker.readiness import wait_until_ready
from slipway.deployers.docker.replace_container import GRACE, ContainerReplacement
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import RELEASE
from slipway.docker.reach import url_of
from slipway.docker.state import Container
from slipway.engine.reporter import Reporter, uncancellable
from slipway.errors import Problem


@dataclass(frozen=True)
class TakeOver(ContainerReplacement):
    """Replacements without a gap. `proxy` is the container of the proxy as it is wanted.

    The proxy asks whatever container has the service's name, so a name that moves is all that a release changes. Killed
    at any moment, the names say which container serves, and what is left over.
    """

    proxy: ContainerSpec

    def _needed_names(self, service: str) -> tuple[str, ...]:
        return (*super()._needed_names(service), self.names.next(service), self.names.proxy(service))

    def _create(self, want: ContainerSpec, earlier: Container | None, service: Service) -> str:  # noqa: ARG002
        """Create the new container under another name than the earlier one's; its id."""
        return self.daemon.containers.create(replace(want, name=self.names.next(service.name)))

    def _run(self, created: str, earlier: Container | None, service: Service, report: Reporter) -> Mapping[str, bool]:
        """Run the new container beside the earlier one, check it, and let it take over; the results of its checks."""
        self.daemon.containers.start(created)
        url = url_of(created, service.port, self.daemon, self.reach)
        wait_until_ready(self.daemon, created, service, url, report)
        results = self._check(service, report, url)
        self._put_in_front(earlier, service, report)
        self._move_name(created, earlier, self.names.previous(service.name), service)
        self._front(service).turn_to(self._address_of(created, service), uncancellable(report))
        report.note("took over without a gap" if earlier and not _alone(earlier, service) else "running")
        return results

    def _roll_back(self, created: str, earlier: Container | None, service: Service, report: Reporter) -> str:
        """Remove the new container; the earlier one has its name again, if it had lost it. Says what runs now."""
        name = self.names.container(service.name)
        if earlier and self.daemon.containers.inspect(earlier.id).name != name:
            if created and self.daemon.containers.inspect(created).name == name:
                self.daemon.containers.rename(created, self.names.next(service.name))
            self.daemon.containers.rename(earlier.id, name)
        if earlier and _alone(earlier, service):
            self._remove_proxy(service)
            return super()._roll_back(created, earlier, service, report)
        if created:
            self.daemon.containers.remove(created)
        if earlier is None:
            self._remove_proxy(service)
            return f"{service.name} is not running; the failed first release was removed"
        if not self.daemon.containers.inspect(earlier.id).running:
            return super()._roll_back("", earlier, service, report)
        runs = f"release {earlier.labels.get(RELEASE, '?')} of {service.name} runs on"
        return f"{runs}, as before" if self._is_in_front(service) else f"{runs}, but its proxy does not"

    def _restore(self, previous: Container, current: Container | None, service: Service, report: Reporter) -> None:
        """Give the earlier container its name again; the other one finishes its requests first, where both run."""
        if current and current.running and previous.running and self._is_in_front(service):
            self._move_name(previous.id, current, self.names.next(service.name), service)
            self._front(service).turn_to(self._address_of(previous.id, service), report)
            self._end(current, service, report)
        else:
            super()._restore(previous, current, service, report)

    def clear(self, service: Service, report: Reporter) -> None:
        """Remove the container that the running one has taken over from."""
        if previous := self.daemon.containers.find(self.names.previous(service.name)):
            self._end(previous, service, report)

    def _end(self, previous: Container, service: Service, report: Reporter) -> None:
        """Stop and remove a container that was replaced, when it has answered its requests or its time is over."""
        if previous.running and self._is_in_front(service):
            within = service.drain_seconds or DRAIN
            if left := self._front(service).drain(within, uncancellable(report)):
                report.note(f"{left} requests were not answered within {within} s, by the container before")
        self.daemon.containers.stop(previous.id, GRACE)
        self.daemon.containers.remove(previous.id)

    def _move_name(self, to: str, earlier: Container | None, aside: str, service: Service) -> None:
        """Give a container the name of the one that serves, which gets the name `aside`."""
        if earlier:
            self.daemon.containers.rename(earlier.id, aside)
        self.daemon.containers.rename(to, self.names.container(service.name))

    def _put_in_front(self, earlier: Container | None, service: Service, report: Reporter) -> None:
        """The proxy as it is wanted, running. An earlier container without one has its port and name: it is stopped."""
        found = self._proxy(service.name)
        if found and found.running and spec_differs(found, self.proxy) is None:
            return
        if found:
            report.note("its proxy is made anew, which leaves a gap")
            self.daemon.containers.remove(found.id)
        if earlier and _alone(earlier, service):
            report.note("the last gap: its port goes to a proxy, behind which later releases take over without one")
            self.daemon.containers.stop(earlier.id, GRACE)
        self.daemon.containers.start(self.daemon.containers.create(self.proxy))

    def _is_in_front(self, service: Service) -> bool:
        found = self._proxy(service.name)
        return bool(found and found.running)

    def _remove_proxy(self, service: Service) -> None:
        if found := self._proxy(service.name):
            self.daemon.containers.remove(found.id)

    def _front(self, service: Service) -> Proxy:
        return Proxy(self.daemon, self.names.proxy(service.name))

    def _address_of(self, container: str, service: Service) -> str:
        """Where the proxy reaches it."""
        address = self.daemon.containers.inspect(container).address.get(self.names.project)
        if not address:
            raise Problem(f"{service.name}: its container has no address on network {self.names.project}")
        return f"{address}:{service.port}"


def _alone(container: Container, service: Service) -> bool:
    """Whether a container is what the service's name leads to, without a proxy."""
    return any(service.name in aliases for aliases in container.aliases.values())
