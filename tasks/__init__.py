"""The commands: every task, under its public name."""

from invoke import Collection

from tasks import day, project, ship

ns = Collection()
for _module in (ship, day, project):
    for _task in Collection.from_module(_module).tasks.values():
        ns.add_task(_task)
