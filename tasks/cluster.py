"""cluster.*: the cluster behind an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.errors import NextCommand, UsageError
from tasks import tables
from tasks.task import command

if TYPE_CHECKING:
    from tasks.invocation import Invocation


@command(changes=True)
def start(invocation: Invocation) -> None:
    """Start the cluster behind an environment; create it if there is none.

    Example:
      ./invoke cluster.start --env minikube

    """
    invocation.workspace.lifecycle.ensure_managed()
    invocation.run(list(invocation.workspace.environment.start()))


@command(changes=True)
def stop(invocation: Invocation) -> None:
    """Stop the cluster behind an environment; what is on it stays.

    Example:
      ./invoke cluster.stop --env minikube

    """
    lifecycle = invocation.workspace.lifecycle
    lifecycle.ensure_managed()
    invocation.run_action("stop the cluster", lifecycle.stop)


@command(changes=True, confirm=True)
def delete(invocation: Invocation) -> None:
    """Delete the cluster behind an environment and everything on it: workloads, data, secrets and history.

    Example:
      ./invoke cluster.delete --env minikube

    """
    lifecycle = invocation.workspace.lifecycle
    lifecycle.ensure_managed()
    invocation.run_action("delete the cluster", lifecycle.delete)


@command()
def status(invocation: Invocation) -> None:
    """Show whether the cluster answers, and the CPUs and memory requested on its nodes.

    Example:
      ./invoke cluster.status --env minikube

    """
    name = invocation.environment.name
    nodes = invocation.workspace.deployments.status.nodes()
    if not nodes and not invocation.environment.on_docker:  # a cluster has at least one
        invocation.session.print("the cluster answers; you may not list all its nodes and pods")
        return
    if not nodes:
        raise UsageError(f"there is no cluster behind environment {name}", commands=[NextCommand("env.list")])
    if invocation.session.machine_readable:
        invocation.session.print_json({"environment": name, "nodes": nodes})
        return
    tables.print_nodes(invocation.session, nodes)
