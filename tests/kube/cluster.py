#!/usr/bin/env python3
"""Installs, upgrades, rolls back and uninstalls the Helm chart against a real API server with etcd, with the defaults and
each of charts/weir/ci/*-values.yaml. The namespace enforces the restricted Pod Security Standard.
"""
import json
import sys

from apiserver import cluster
from tools import CHART, NAMESPACE, RELEASE, TOOLS, Failed, render, values_arguments, values_files, values_name

# What a release may leave behind: nothing of these.
KINDS = "statefulsets,services,configmaps,serviceaccounts,poddisruptionbudgets,networkpolicies,servicemonitors,prometheusrules"
OURS = "app.kubernetes.io/instance=weir"


def expect(holds, text):
    if not holds:
        raise Failed(text)


def prepare(kube):
    """The namespace, and the resources of the Prometheus operator."""
    kube.kubectl("create", "namespace", NAMESPACE)
    kube.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    # Too large for the annotation that apply would make.
    kube.kubectl("create", "--filename", TOOLS / "crds")
    kube.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")


def fields_are_known(kube, file):
    """A field that nobody knows is only a warning of helm install."""
    text, _ = render(file, "--no-hooks", "--api-versions", "monitoring.coreos.com/v1", "--kube-version", version(kube))
    kube.kubectl("apply", "--namespace", NAMESPACE, "--dry-run=server", "--validate=strict", "--filename", "-", stdin=text)


def version(kube):
    return json.loads(kube.kubectl("version", "--output", "json").stdout)["serverVersion"]["gitVersion"]


def release(kube, action, file, *more):
    return kube.helm(action, RELEASE, CHART, "--namespace", NAMESPACE, *values_arguments(file), *more)


def pods_are_admitted(kube):
    """The pods that controllers would make, were there any: admission knows only pods, not what makes them."""
    hooks = kube.helm("get", "hooks", RELEASE, "--namespace", NAMESPACE).stdout
    kube.kubectl("create", "--namespace", NAMESPACE, "--dry-run=server", "--validate=strict", "--filename", "-", stdin=hooks)
    for workload in kube.get("statefulsets", "--namespace", NAMESPACE)["items"]:
        kube.kubectl("create", "--namespace", NAMESPACE, "--dry-run=server", "--filename", "-", stdin=json.dumps(pod_of(workload)))


def pod_of(workload):
    """As the controller of StatefulSets makes it."""
    template = workload["spec"]["template"]
    name = f"{workload['metadata']['name']}-0"
    spec = dict(template["spec"], hostname=name, subdomain=workload["spec"]["serviceName"])
    spec["volumes"] = spec["volumes"] + [
        {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": f"{claim['metadata']['name']}-{name}"}}
        for claim in workload["spec"].get("volumeClaimTemplates", [])
    ]
    metadata = dict(template["metadata"], name=name)
    metadata.pop("creationTimestamp", None)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def services_find_pods(kube):
    """What neither schemas nor the server see: a selector that matches nobody, a port that no container has."""
    pods = [pod_of(workload) for workload in kube.get("statefulsets", "--namespace", NAMESPACE)["items"]]
    selected = [(entry, entry["spec"]["selector"], entry["spec"]["ports"]) for entry in kube.get("services", "--namespace", NAMESPACE)["items"]]
    for kind in ("poddisruptionbudgets", "networkpolicies"):
        for entry in kube.get(kind, "--namespace", NAMESPACE)["items"]:
            selector = entry["spec"].get("selector") or entry["spec"]["podSelector"]
            ports = [{"targetPort": port["port"]} for rule in entry["spec"].get("ingress", []) for port in rule["ports"]]
            selected.append((entry, selector["matchLabels"], ports))
    for entry, selector, ports in selected:
        name = f"{entry['kind']} {entry['metadata']['name']}"
        found = [pod for pod in pods if selector.items() <= pod["metadata"]["labels"].items()]
        expect(len(found) == 1, f"{name}: selects {len(found)} pods, not one")
        named = {port["name"] for container in found[0]["spec"]["containers"] for port in container["ports"]}
        for port in ports:
            expect(port["targetPort"] in named, f"{name}: the pod has no port {port['targetPort']}")
    governing = {workload["spec"]["serviceName"] for workload in kube.get("statefulsets", "--namespace", NAMESPACE)["items"]}
    expect(governing <= {entry["metadata"]["name"] for entry, _, _ in selected}, f"a service of {governing} is missing")


def configuration(kube):
    """weir.yaml of the broker, and the sum of it by which its pod is made anew."""
    text = kube.get("configmap", RELEASE, "--namespace", NAMESPACE)["data"]["weir.yaml"]
    template = kube.get("statefulset", RELEASE, "--namespace", NAMESPACE)["spec"]["template"]
    return text, template["metadata"]["annotations"]["checksum/config"]


def life_of_a_release(kube, file):
    fields_are_known(kube, file)
    release(kube, "install", file, "--dry-run=server")
    release(kube, "install", file)
    pods_are_admitted(kube)
    services_find_pods(kube)
    installed = configuration(kube)

    release(kube, "upgrade", file, "--set", "broker.config.num\\.partitions=7")
    upgraded = configuration(kube)
    expect("num.partitions: 7\n" in upgraded[0], "the upgrade has not changed the configuration")
    expect(installed[1] != upgraded[1], "a new configuration makes no new pod")

    kube.helm("rollback", RELEASE, "1", "--namespace", NAMESPACE)
    expect(configuration(kube) == installed, "the rollback has not brought the configuration back")
    uninstall(kube)


def uninstall(kube):
    kube.helm("uninstall", RELEASE, "--namespace", NAMESPACE)
    left = [f"{entry['kind']} {entry['metadata']['name']}" for entry in kube.get(KINDS, "--namespace", NAMESPACE, "--selector", OURS)["items"]]
    expect(not left, f"the release leaves {', '.join(left)}")


def worker_moves(kube):
    """Out of the broker's pod and back: nothing that cannot be changed may stand in the way."""
    release(kube, "install", None)
    for separate, workloads in (("true", {"weir", "weir-connect"}), ("false", {"weir"})):
        release(kube, "upgrade", None, "--set", f"connect.separate={separate}")
        found = {entry["metadata"]["name"] for entry in kube.get("statefulsets", "--namespace", NAMESPACE)["items"]}
        expect(found == workloads, f"connect.separate={separate}: {found}")
        services_find_pods(kube)
    uninstall(kube)


def search_is_switched_off_and_on(kube):
    """Beside a separate worker, whose claim would be in the way if it depended on that."""
    separate = ("--set", "connect.separate=true")
    release(kube, "install", None, *separate)
    for enabled in ("false", "true"):
        release(kube, "upgrade", None, *separate, "--set", f"search.enabled={enabled}")
        arguments = kube.get("statefulset", f"{RELEASE}-connect", "--namespace", NAMESPACE)["spec"]["template"]["spec"]["containers"][0]["args"]
        expect(("--search" in arguments) == (enabled == "true"), f"search.enabled={enabled}: the worker runs with {arguments}")
        services_find_pods(kube)
    uninstall(kube)


def wrong_values_are_refused(kube):
    """Before anything is stored."""
    for wrong in ("broker.replicas=3", "broker.unknown=1", "externalAccess.enabled=true"):
        done = kube.helm("install", RELEASE, CHART, "--namespace", NAMESPACE, "--set", wrong, check=False)
        expect(done.returncode != 0, f"{wrong} was installed")
    expect(not kube.get(KINDS, "--namespace", NAMESPACE, "--selector", OURS)["items"], "a refused release left objects")


def main():
    with cluster() as kube:
        print(f"kube: API server {version(kube)}")
        prepare(kube)
        for file in values_files():
            print(f"kube: the life of a release, {values_name(file)} values")
            life_of_a_release(kube, file)
        print("kube: the worker moves out and back")
        worker_moves(kube)
        print("kube: search goes and comes")
        search_is_switched_off_and_on(kube)
        print("kube: wrong values are refused")
        wrong_values_are_refused(kube)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
