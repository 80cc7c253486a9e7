#!/usr/bin/env python3
"""Runs the pods that the Helm chart makes, with the binary, on a node in small (node.py): they start, pass their probes,
take the record of `helm test`, stop within their grace, and have kept it when they start again.

  tests/kube/pods.py WEIR     WEIR: the binary
"""
import json
import os
import pathlib
import sys
import tempfile

from cluster import pod_of
from node import Node
from tools import NAMESPACE, Failed, by_kind, render, run

RECORD = "revision 1 of weir keeps records "
TOPIC = "weir-helm-test"
INSIDE = "WEIR_PODS_NETWORK"


def expect(holds, text):
    if not holds:
        raise Failed(text)


def names_of(objects, pod):
    """All names under which services lead to a pod."""
    for service in by_kind(objects, "Service"):
        if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items():
            name = service["metadata"]["name"]
            yield from (name, f"{name}.{NAMESPACE}.svc.cluster.local")
    yield f"{pod['spec']['hostname']}.{pod['spec']['subdomain']}.{NAMESPACE}.svc.cluster.local"


def start(node, objects, name):
    [workload] = [entry for entry in by_kind(objects, "StatefulSet") if entry["metadata"]["name"] == name]
    pod = pod_of(workload)
    running = node.start(pod, objects, names_of(objects, pod))
    running.wait_until_ready()
    return running


def helm_test(node, objects):
    """The record that it sent and received."""
    [pod] = by_kind(objects, "Pod")
    record = node.run_to_end(pod, objects).splitlines()[-1]
    expect(record.startswith(RECORD), f"helm test ends with {record}")
    return record


def weir(node, objects, *arguments):
    """A command in a pod like that of `helm test`."""
    [pod] = by_kind(objects, "Pod")
    container = dict(pod["spec"]["containers"][0], command=["weir"], args=list(arguments))
    return node.run_to_end(dict(pod, spec=dict(pod["spec"], containers=[container])), objects)


def end(pod):
    code = pod.end()
    expect(code == 0, f"{pod.name}: exit code {code} on SIGTERM\n{pod.log()}")


def everything_in_one_pod(node):
    _, objects = render(None)
    pod = start(node, objects, "weir")
    record = helm_test(node, objects)
    expect("weir_records_in_total" in pod.get(9464, "/metrics")[1], "there are no metrics")
    expect(json.loads(pod.get(8083, "/connectors")[1]) == [], "REST has connectors")
    expect(json.loads(pod.get(9200, "/")[1])["cluster_name"] == "weir", "search does not answer")
    end(pod)
    again = start(node, objects, "weir")
    kept = weir(node, objects, "consume", TOPIC, "--from-beginning", "--exit-at-end")
    expect(kept == f"{record}\n", f"the record has not outlived its pod: {kept}")
    expect(helm_test(node, objects) != record, "helm test sends the same again")
    end(again)


def worker_in_a_pod_of_its_own(node):
    """It finds the broker by its service, and indexes what goes through it."""
    connector = json.dumps({"class": "search", "topics": [TOPIC], "url": "embedded", "index": "tests"})
    _, objects = render(None, "--set", "connect.separate=true", "--set-json", f"connect.connectors.tests={connector}")
    broker = start(node, objects, "weir")
    worker = start(node, objects, "weir-connect")
    expect(broker.get(8083, "/")[0] is None, "the broker's pod has a worker, too")
    helm_test(node, objects)

    def found():
        status, body = worker.get(9200, "/tests/_search?q=message:keeps")
        return status == 200 and json.loads(body)["hits"]["total"]["value"] == 1

    worker.wait_until("the record is found", found)
    end(worker)
    end(broker)


def another_rack_and_clients_outside(node):
    """What the pod is told by its environment: its node's zone and address."""
    _, objects = render(
        None, "--kube-version", "1.37.0", "--set", "broker.rack.fromTopologyLabel=topology.kubernetes.io/zone",
        "--set", "externalAccess.enabled=true,externalAccess.type=NodePort",
    )
    # Kubernetes copies the label from the node.
    [workload] = by_kind(objects, "StatefulSet")
    workload["spec"]["template"]["metadata"]["labels"]["topology.kubernetes.io/zone"] = "zone-b"
    broker = start(node, objects, "weir")
    expect('rack="zone-b"' in broker.get(9464, "/metrics")[1], "the broker does not know its zone")
    helm_test(node, objects)
    try:
        weir(node, objects, "consume", TOPIC, "--bootstrap-server", f"{broker.address}:9094")
    except Failed as error:
        # Nothing forwards the node's port here: that it is what clients are told is what counts.
        expect("10.88.0.1:30094" in str(error), f"clients outside are told something else: {error}")
    else:
        raise Failed("clients outside are not told the node's address")
    end(broker)


def main():
    if INSIDE not in os.environ:
        own_network = ["unshare", "--net", "--mount"]
        refused = run(*own_network, "true", check=False).stderr.strip()
        if refused:
            print(f"pods: not run, since this machine gives no network of its own: {refused}")
            return
        os.environ[INSIDE] = "1"
        os.execvp(own_network[0], [*own_network, sys.executable, *sys.argv])
    binary = pathlib.Path(sys.argv[1]).resolve()
    for case in (everything_in_one_pod, worker_in_a_pod_of_its_own, another_rack_and_clients_outside):
        print(f"pods: {case.__name__.replace('_', ' ')}", flush=True)
        with tempfile.TemporaryDirectory(prefix="weir-pods-") as folder:
            pathlib.Path(folder).chmod(0o755)
            node = Node(pathlib.Path(folder), binary)
            try:
                case(node)
            finally:
                node.close()


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
