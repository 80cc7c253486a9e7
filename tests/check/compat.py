#!/usr/bin/env python3
"""Holds the expressions of other people's dashboards and rules against the names that Weir has for them at /metrics/compat.

  compat.py FILE...    Grafana's dashboards (.json) and Prometheus's rules (.yaml, .yml)

Prints one line per expression that Weir does not serve, with the reason where there is one; exits 1 if one has none. The
files are not part of this project: docs/compat-metrics.md says where they are and which revisions were read.
"""
import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True
import queries

# Labels that the configuration of a scrape adds.
OF_SCRAPE = queries.OF_SCRAPE | {
    "namespace", "pod", "container", "kubernetes_namespace", "kubernetes_pod_name", "strimzi_io_cluster", "strimzi_io_kind",
    "strimzi_io_name", "kafka_cluster", "cluster_name",
}
# Why nothing in Weir has such names.
WITHOUT_SUBJECT = {
    "the JVM": r"jvm_.*|java_lang_.*",
    "the kubelet": r"container_.*|kubelet_.*",
    "ZooKeeper": r"zookeeper_.*|.*zookeeper.*|leader_uptime|num_alive_connections",
    "Raft": r"kafka_server_raft(channel)?metrics_.*",
}
NAMES = re.compile(r'\{\s*__name__\s*=~\s*"([^"]*)"\s*,?')
LABEL_VALUES = re.compile(r"label_values\((.*),\s*(\w+)\)$", re.S)


def served():
    """Labels by name."""
    lines = (queries.ROOT / "tests/check/compat.txt").read_text().splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: set(labels) for name, *labels in words}


def expressions(node):
    """Every expression below `node`, with what stands over it."""
    if isinstance(node, list):
        for child in node:
            yield from expressions(child)
    elif isinstance(node, dict):
        name = node.get("title") or node.get("alert") or node.get("record") or node.get("name") or ""
        for key in ("expr", "query", "definition"):
            if isinstance(node.get(key), str) and (key == "expr" or "(" in node[key]):
                yield name, node[key]
        for key, child in node.items():
            if key in ("targets", "query"):
                yield from ((name, expr) for _, expr in expressions(child))
            else:
                yield from expressions(child)


def pieces(expr):
    """What stands between its `or`s: one of them is enough."""
    expr, wanted = expr.replace("'", '"'), set()
    if found := LABEL_VALUES.match(expr.strip()):
        expr, wanted = found[1], {found[2]}
    if found := NAMES.search(expr):
        expr = " or ".join(expr.replace(found[0], name + "{") for name in found[1].split("|"))
    for piece in re.split(r"\bor\b(?! vector)", expr):
        selectors, groupings = queries.asked(piece)
        if selectors:
            yield selectors, groupings | wanted


def missing(piece, metrics):
    """Names, or labels of them, that are not there."""
    selectors, groupings = piece
    known = set(OF_SCRAPE)
    for name, labels in selectors:
        if name in queries.OF_PROMETHEUS:
            continue
        if name not in metrics:
            yield name
            continue
        known |= metrics[name]
        yield from (f"{name}{{{label}}}" for label in sorted(labels - metrics[name] - OF_SCRAPE))
    if all(name in metrics for name, _ in selectors):
        yield from (f"label {label}" for label in sorted(groupings - known))


def reason(lacking):
    """Why all of them cannot be there, if that is so."""
    found = {why for why, names in WITHOUT_SUBJECT.items() for name in lacking if re.fullmatch(names, str(name))}
    without = [name for name in lacking if not any(re.fullmatch(names, str(name)) for names in WITHOUT_SUBJECT.values())]
    return " and ".join(sorted(found)) if not without else None


def documents(path):
    if path.suffix == ".json":
        return [json.loads(path.read_text())]
    import yaml

    return list(yaml.safe_load_all(path.read_text()))


def main():
    metrics, unexplained = served(), 0
    for path in map(pathlib.Path, sys.argv[1:]):
        found = list(dict.fromkeys(expressions(documents(path))))
        lacking = [(name, [list(missing(piece, metrics)) for piece in pieces(expr)]) for name, expr in found]
        lacking = [(name, min(each, key=len)) for name, each in lacking if each and all(each)]
        print(f"{path.name}: {len(found)} expressions, {len(found) - len(lacking)} served")
        for name, names in lacking:
            why = reason(names)
            unexplained += why is None
            print(f"  {'NOT SERVED' if why is None else why}: {name}: {', '.join(map(str, names))}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
