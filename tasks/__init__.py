"""Every task under its public name, in two groups: commands for users, and those for developing Slipway itself."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from invoke import Collection, Task

import tasks.launcher  # noqa: F401  before the modules below, which need .venv's packages
from tasks import bundle, cluster, deploy, dev, environment, host, lab, operate, repl, scaffold


def _collection(tasks: list[Task[Any]], families: dict[str, dict[str, Task[Any]]]) -> Collection:
    """Tasks by their own names, and families of tasks: `cluster.start`."""
    found = Collection(*tasks)
    for family, members in families.items():
        collection = Collection(family)
        for name, member in members.items():
            collection.add_task(member, name=name)
        found.add_collection(collection)
    return found


def _tasks(module: ModuleType) -> list[Task[Any]]:
    return [found for found in vars(module).values() if isinstance(found, Task)]


commands = _collection(
    [*_tasks(deploy), *_tasks(repl), *_tasks(operate), *_tasks(scaffold), environment.render],
    {
        "cluster": {"start": cluster.start, "stop": cluster.stop, "delete": cluster.delete, "status": cluster.status},
        "env": {"list": environment.environments, "use": environment.use},
        "host": {"check": host.check, "facts": host.facts, "trust": host.trust},
        "bundle": {"create": bundle.create, "verify": bundle.verify},
    },
)
development = _collection(_tasks(dev), {"lab": {"bundle": lab.bundle, "hosts": lab.hosts, "down": lab.down}})
GROUPS = {"Commands": commands, "For developing Slipway itself": development}


def merged(groups: Iterable[Collection]) -> Collection:
    """All groups as one collection."""
    found = Collection()
    for group in groups:
        found.configure(group.configuration())
        for name, task in group.tasks.items():
            found.add_task(task, name=name)
        for family in group.collections.values():
            found.add_collection(family)
    return found


ns = merged(GROUPS.values())
