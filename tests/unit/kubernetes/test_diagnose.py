"""Causes, read from pods' states, events and last lines."""

from __future__ import annotations

import pytest

from slipway.kubernetes.diagnose import PULL_SECRET_PATIENCE, MissingObject, causes
from slipway.kubernetes.pods import oom_killed, pod_state, restarts
from slipway.kubernetes.snapshot import Snapshot
from tests.unit.kubernetes.rendered import Json


def pod_that_ended(reason: str) -> Json:
    container = {
        "name": "c",
        "state": {"waiting": {}},
        "lastState": {"terminated": {"reason": reason, "exitCode": 137}},
    }
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"memory": "32Mi"}}}]},
        "status": {"containerStatuses": [container]},
    }


def test_a_pod_once_oom_killed_is_so_when_its_runtime_later_calls_it_an_error() -> None:
    seen = oom_killed([pod_that_ended("OOMKilled")])
    later = Snapshot({"status": {}}, [pod_that_ended("Error")], oom_killed=seen)
    assert [cause.summary for cause in causes(later)] == ["OOMKilled: it exceeded its memory limit of 32Mi"]
    assert oom_killed([pod_that_ended("Error")]) == set()


def test_a_kubelet_that_could_not_read_the_credentials_for_an_image_is_waited_for() -> None:
    refused = "failed to resolve reference: 401 Unauthorized"
    waiting = {"waiting": {"reason": "ErrImagePull", "message": refused}}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"containerStatuses": [{"name": "c", "state": waiting}]},
    }
    text = "Unable to retrieve some image pull secrets (pull); attempting to pull the image may not succeed."
    event = {"reason": "FailedToRetrieveImagePullSecret", "message": text, "involvedObject": {"name": "p"}}
    (cause,) = causes(Snapshot({"status": {}}, [pod], events=[event]))
    assert (cause.final, cause.patience) == (False, PULL_SECRET_PATIENCE)
    assert cause.summary == f"the registry lets no node pull i: {refused}; its node says: {text}"
    other = {**event, "involvedObject": {"name": "q"}}
    assert causes(Snapshot({"status": {}}, [pod], events=[other]))[0].final


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("failed to resolve reference: 401 Unauthorized", "the registry lets no node pull i"),
        ("pull access denied, repository does not exist", "the registry lets no node pull i"),
        ("authorization failed: no basic auth credentials", "the registry lets no node pull i"),
        ("registry.example.com/i: not found", "image i is absent"),
        ("dial tcp: lookup registry.example.com: no such host", "image i can't be pulled"),
        ("failed to extract layer: mkdir /a: permission denied", "image i can't be pulled"),
    ],
)
def test_a_registry_that_refuses_differs_from_one_that_lacks_the_image(text: str, summary: str) -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": text}}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"containerStatuses": [{"name": "c", "state": waiting}]},
    }
    assert [cause.summary for cause in causes(Snapshot({"status": {}}, [pod]))] == [f"{summary}: {text}"]


def test_a_class_file_newer_than_the_jre_is_named_as_such() -> None:
    said = (
        "java.lang.UnsupportedClassVersionError: a/B has been compiled by a more recent version of the Java Runtime "
        "(class file version 65.0), this version of the Java Runtime only recognizes class file versions up to 61.0"
    )
    ended = {"terminated": {"exitCode": 1}}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "auth", "image": "i"}]},
        "status": {"containerStatuses": [{"name": "auth", "state": ended, "restartCount": 1}]},
    }
    found = causes(Snapshot({"status": {}}, [pod], logs={("p", "auth"): said}))
    assert found[0].summary == "its classes are compiled for Java 21, and the image has Java 17"


TEMPLATE: Json = {"spec": {"template": {"spec": {"containers": [{"name": "web"}]}}}}


def pod_of(*, init: list[Json] | None = None, containers: list[Json] | None = None, **status: object) -> Json:
    """A pod of the service `web` whose node has taken it."""
    names = [one["name"] for one in containers or []] or ["web"]
    spec = {"nodeName": "n", "containers": [{"name": name, "image": f"{name}:1"} for name in names]}
    spec["initContainers"] = [{"name": one["name"], "image": f"{one['name']}:1"} for one in init or []]
    found = {"initContainerStatuses": init or [], "containerStatuses": containers or [], **status}
    return {"metadata": {"name": "p"}, "spec": spec, "status": found}


def event(reason: str, message: str) -> Json:
    return {"type": "Warning", "reason": reason, "message": message, "involvedObject": {"name": "p"}}


def waits(name: str, reason: str, message: str = "") -> Json:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}


CREATING = waits("web", "ContainerCreating")


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("The node was low on resource: memory. Container web was using 900Mi, request is 256Mi. ", "raise resources.memory"),
        ('Usage of EmptyDir volume "tmp" exceeds the limit "64Mi". ', "write less to /tmp"),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ", "write less to /tmp"),
    ],
)  # fmt: skip
def test_an_evicted_pod_is_told_with_its_nodes_reason(message: str, hint: str) -> None:
    pod = pod_of(phase="Failed", reason="Evicted", message=message)
    (cause,) = causes(Snapshot(TEMPLATE, [pod]))
    assert cause.summary == f"its node evicted a pod: {message.strip()}"
    assert cause.hint.startswith(hint)
    assert pod_state(pod) == "Evicted"


@pytest.mark.parametrize(
    ("reason", "message", "summary"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "k" : hostPath type check failed', "a volume can't be mounted: "),
        ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) web-0', "a volume can't be attached to the node: "),
        ("FailedMapVolume", "MapVolume.SetUpDevice failed", "a volume can't be mounted: "),
        ("FailedCreatePodSandBox", "plugin type=calico failed", "the node can't create the pod's network or sandbox: "),
    ],
)  # fmt: skip
def test_why_a_pods_containers_are_not_created_is_told_while_they_are_not(
    reason: str, message: str, summary: str
) -> None:
    events = [event("Scheduled", "ok"), event(reason, message), event("Pulled", "x")]
    for containers in ([CREATING], []):
        found = causes(Snapshot(TEMPLATE, [pod_of(containers=containers)], events))
        assert [cause.summary for cause in found] == [f"{summary}{message}"]
    started = pod_of(containers=[{"name": "web", "ready": True, "state": {"running": {}}}])
    assert causes(Snapshot(TEMPLATE, [started], events)) == []


@pytest.mark.parametrize(("kind", "word"), [("Secret", "secret"), ("ConfigMap", "configmap")])
def test_an_object_that_is_mounted_and_missing_is_named(kind: str, word: str) -> None:
    events = [event("FailedMount", f'MountVolume.SetUp failed for volume "k" : {word} "key" not found')]
    (cause,) = causes(Snapshot(TEMPLATE, [pod_of(containers=[CREATING])], events))
    assert isinstance(cause, MissingObject)
    assert (cause.kind, cause.name, cause.hint) == (kind, "key", f"create {kind} key, or add it to manifests/")


def test_an_init_container_that_crashes_is_the_cause_with_its_last_lines() -> None:
    crashed = {
        "name": "istio-init",
        "restartCount": 2,
        **waits("istio-init", "CrashLoopBackOff"),
        "lastState": {"terminated": {"exitCode": 1}},
    }
    pod = pod_of(init=[crashed], containers=[waits("web", "PodInitializing")])
    found = causes(Snapshot(TEMPLATE, [pod], logs={("p", "istio-init"): "iptables: Permission denied"}))
    assert [cause.summary for cause in found] == [
        "init container istio-init: it exited with code 1 (2 restarts); its last lines: iptables: Permission denied"
    ]
    assert (pod_state(pod), restarts(pod)) == ("Init:CrashLoopBackOff", 2)


def test_an_init_container_without_an_image_is_the_cause() -> None:
    pod = pod_of(
        init=[waits("fetch", "ImagePullBackOff", "fetch:1: not found")], containers=[waits("web", "PodInitializing")]
    )
    (cause,) = causes(Snapshot(TEMPLATE, [pod]))
    assert cause.summary == "init container fetch: image fetch:1 is absent: fetch:1: not found"


def test_an_injected_container_that_fails_is_named_and_one_that_does_not_is_no_cause() -> None:
    own = {"name": "web", "ready": True, "state": {"running": {}}}
    proxy = {
        "name": "proxy",
        "ready": False,
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 2}},
    }
    (cause,) = causes(Snapshot(TEMPLATE, [pod_of(containers=[own, proxy])], logs={("p", "web"): "fine"}))
    assert cause.summary == "container proxy, which is not the service's own: it exited with code 2 (3 restarts)"
    running = {"name": "proxy", "ready": True, "state": {"running": {}}}
    assert causes(Snapshot(TEMPLATE, [pod_of(containers=[own, running])])) == []


@pytest.mark.parametrize(
    ("init", "containers", "state"),
    [
        ([], [{"name": "web", "ready": True, "state": {"running": {}}}, {"name": "proxy", "ready": False, "state": {"running": {}}}], "Running"),
        ([], [{"name": "web", "ready": True, "state": {"running": {}}}], "Ready"),
        ([{"name": "i", "state": {"terminated": {"exitCode": 0}}}], [{"name": "web", "ready": True, "state": {"running": {}}}], "Ready"),
        ([{"name": "side", "started": True, "state": {"running": {}}}], [{"name": "web", "ready": True, "state": {"running": {}}}], "Ready"),
        ([{"name": "i", "state": {"running": {}}}], [waits("web", "PodInitializing")], "Init:Running"),
        ([{"name": "i", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}], [waits("web", "PodInitializing")], "Init:Error"),
    ],
)  # fmt: skip
def test_a_pods_state_is_that_of_all_its_containers(init: list[Json], containers: list[Json], state: str) -> None:
    assert pod_state(pod_of(init=init, containers=containers)) == state


def refused(message: str, strategy: str, new: int) -> Snapshot:
    """A Deployment with so many new pods, whose ReplicaSet could not create another one."""
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": f'pods "web-1" is forbidden: {message}'}]
    status = {"conditions": conditions, "updatedReplicas": new}
    return Snapshot({"spec": {"strategy": {"type": strategy}}, "status": status})


@pytest.mark.parametrize(
    ("strategy", "new", "message", "summary", "final", "waits_longer"),
    [
        ("RollingUpdate", 0, "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3", "a quota of the namespace is used up", False, False),
        ("RollingUpdate", 1, "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3", "a quota of the namespace is used up", False, True),
        ("Recreate", 0, "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1", "a quota of the namespace is used up", False, True),
        ("Recreate", 0, "exceeded quota: q, requested: requests.memory=2Gi, used: requests.memory=0, limited: requests.memory=1536Mi", "a pod asks for more than a quota", True, False),
        ("RollingUpdate", 0, "exceeded quota: q, requested: limits.cpu=500m,pods=1, used: limits.cpu=0,pods=1, limited: limits.cpu=0.4,pods=9", "a pod asks for more than a quota", True, False),
        ("RollingUpdate", 0, "failed quota: q: must specify limits.cpu for: web", "a quota of the namespace wants more to be said", True, False),
    ],
)  # fmt: skip
def test_a_quota_that_may_have_room_later_differs_from_one_that_never_has(
    strategy: str, new: int, message: str, summary: str, final: bool, waits_longer: bool
) -> None:
    (cause,) = causes(refused(message, strategy, new))
    assert cause.summary.startswith(summary)
    assert (cause.final, cause.patience > 0) == (final, waits_longer)


NO_ROOM = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."}]


@pytest.mark.parametrize(
    ("events", "scales"),
    [
        ([("TriggeredScaleUp", "pod triggered scale-up: [{group 1->2 (max: 5)}]", "10:00:00")], True),
        ([("Nominated", "Pod should schedule on: nodeclaim/default-x", "10:00:00")], True),
        ([("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached", "10:00:00")], False),
        ([("TriggeredScaleUp", "a", "10:00:05"), ("NotTriggerScaleUp", "b", "10:00:00")], True),
        ([("TriggeredScaleUp", "a", "10:00:00"), ("NotTriggerScaleUp", "b", "10:00:05")], False),
        ([], False),
    ],
)
def test_a_node_that_an_autoscaler_adds_is_waited_for(events: list[tuple[str, str, str]], scales: bool) -> None:
    pod = pod_of(conditions=NO_ROOM)
    pod["spec"].pop("nodeName")
    given = [{**event(reason, text), "lastTimestamp": f"2026-01-01T{when}Z"} for reason, text, when in events]
    (cause,) = causes(Snapshot(TEMPLATE, [pod], given))
    assert cause.summary.startswith("the cluster's autoscaler is adding a node: ") is scales
    assert (cause.patience > 0) is scales


@pytest.mark.parametrize(("sizes", "waits"), [(["1", "4"], True), (["1", "1500m"], False), ([], False)])
def test_room_that_other_pods_hold_is_waited_for_if_a_node_is_large_enough(sizes: list[str], waits: bool) -> None:
    pod = pod_of(conditions=NO_ROOM)
    pod["spec"].pop("nodeName")
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
    nodes = [{"metadata": {"name": f"n{n}"}, "status": {"allocatable": {"cpu": one}}} for n, one in enumerate(sizes)]
    (cause,) = causes(Snapshot(TEMPLATE, [pod], nodes=nodes))
    assert "no node has room: a pod asks for 2.00 CPUs; 0/1 nodes are available" in cause.summary
    assert (cause.patience > 0) is waits
