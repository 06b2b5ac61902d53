"""The commands: every task, under its public name."""

from invoke import Collection

from tasks import deploy as ship
from tasks import dev as project
from tasks import environment as place
from tasks import host, lab
from tasks import operate as day
from tasks import scaffold as create

ns = Collection()
for _module in (ship, day, create, project):
    for _task in Collection.from_module(_module).tasks.values():
        ns.add_task(_task)
ns.add_task(place.render)
for _family, _tasks in {
    "cluster": {"start": place.start, "stop": place.stop, "delete": place.delete, "status": place.status},
    "env": {"list": place.environments, "use": place.use},
    "host": {"check": host.check, "facts": host.facts, "trust": host.trust},
    "lab": {"bundle": lab.bundle, "hosts": lab.hosts, "down": lab.down},
    "bundle": {"create": place.create, "verify": place.verify},
}.items():
    _collection = Collection(_family)
    for _name, _task in _tasks.items():
        _collection.add_task(_task, name=_name)
    ns.add_collection(_collection)
