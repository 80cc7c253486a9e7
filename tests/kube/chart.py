#!/usr/bin/env python3
"""Checks the Helm chart without a cluster, with each of charts/weir/ci/*-values.yaml and the defaults: lint, its own unit
tests, Kubernetes' schemas, and `weir check` of the configuration that comes out; and that it has the project's rules and dashboards.

  tests/kube/chart.py WEIR     WEIR: the binary
"""
import json
import pathlib
import re
import sys
import tarfile
import tempfile

import yaml

from tools import CHART, Failed, KUBERNETES, OLDEST, RELEASE, ROOT, TOOLS, by_kind, render, run, values_arguments, values_files, values_name

# Properties that the schema lets people add, and the values need not name.
OPTIONAL = re.compile(r"global|.*\.probes\..*\.(initialDelaySeconds|successThreshold)|.*\.resources\.claims|.*\.affinity\..*")

# Where links in dashboards lead as they come.
DOCS = "http://localhost:9464/docs"


def lint(_weir):
    for file in values_files():
        run("helm", "lint", "--strict", CHART, *values_arguments(file))


def unit_tests(_weir):
    # Files are looked for inside of the chart.
    done = run("helm-unittest", "--strict", "--file", "tests/*_test.yaml", CHART)
    print("  " + next(line for line in done.stdout.splitlines() if line.startswith("Tests:")))


def schemas(_weir):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    if chart["kubeVersion"] != f">={OLDEST}-0":
        raise Failed(f"Chart.yaml: kubeVersion is {chart['kubeVersion']}, the oldest schema is of {OLDEST}")
    for file in values_files():
        for version in (OLDEST, KUBERNETES):
            # Only newer ones copy a node's labels.
            rack = ("--set", "broker.rack.fromTopologyLabel=") if version == OLDEST else ()
            text, _ = render(file, "--kube-version", version, *rack)
            run("kubeconform", "-strict", "-kubernetes-version", version, "-schema-location", TOOLS / "schemas", "-", stdin=text)


def configurations(weir):
    """What the chart writes is what the binary takes."""
    for file in values_files():
        _, objects = render(file)
        for config in by_kind(objects, "ConfigMap"):
            if "weir.yaml" not in config["data"]:
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "weir.yaml"
                path.write_text(config["data"]["weir.yaml"])
                done = run(weir, "check", path, check=False)
            if done.returncode != 0:
                raise Failed(f"{values_name(file)}, {config['metadata']['name']}: {done.stdout}{done.stderr}")


def schema_and_values_agree(_weir):
    """Each property of the schema has its default, where one can see it; lint says it the other way round."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def walk(node, value, path):
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")]
        if node.get("type") == "object" and "properties" in node and node.get("additionalProperties") is not False:
            raise Failed(f"values.schema.json: {path or 'the root'} takes unknown keys")
        for key, child in (node.get("properties") or {}).items():
            name = f"{path}.{key}".lstrip(".")
            if OPTIONAL.fullmatch(name):
                continue
            if not isinstance(value, dict) or key not in value:
                raise Failed(f"values.yaml: {name} is in the schema, but has no default")
            walk(child, value[key], name)

    walk(schema, values, "")


def every_value_is_tried(_weir):
    """Each value is set in a unit test or in a file of ci/, so that no switch is one that nobody ever turned."""
    tried = set()
    for file in (CHART / "tests").glob("*_test.yaml"):
        suite = yaml.safe_load(file.read_text())
        for given in (suite, *suite["tests"]):
            # Only the first level of `set` is written as a path.
            for path, value in given.get("set", {}).items():
                tried |= {(*path.split("."), *rest) for rest in leaves(value)}
    for file in filter(None, values_files()):
        tried |= set(leaves(yaml.safe_load(file.read_text())))
    values = leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
    if untried := sorted(".".join(leaf) for leaf in values if not any(path[:len(leaf)] == leaf for path in tried)):
        raise Failed(f"no test sets {', '.join(untried)}")


def leaves(value):
    """The paths to what is no map, or an empty one."""
    if not isinstance(value, dict) or not value:
        return [()]
    return [(key, *rest) for key, child in value.items() for rest in leaves(child)]


def monitoring(_weir):
    """Rules and dashboards are those of the project, to the letter (their own templates are not the chart's), but for where the
    links lead if docsUrl says so."""
    monitoring_with("", lambda text: text, lambda text: text)
    url = "https://docs.example.org/weir"
    monitoring_with(
        url,
        lambda text: text.replace('{{ or $externalLabels.weir_docs "docs" }}', url),
        lambda text: text.replace(json.dumps(DOCS), json.dumps(url)),
    )


def monitoring_with(docs_url, rule_text, dashboard_text):
    """What the chart makes of the project's files with a value of docsUrl, against what the test makes of them."""
    everything = CHART / "ci/everything-values.yaml"
    rendered, objects = render(everything, "--kube-version", KUBERNETES, "--set", f"docsUrl={docs_url}")
    if docs_url and (DOCS in rendered or "weir_docs" in rendered):
        raise Failed(f"links lead elsewhere than to docsUrl, {docs_url}")
    rules = {entry["metadata"]["name"].removeprefix(f"{RELEASE}-"): entry["spec"] for entry in by_kind(objects, "PrometheusRule")}
    expected = {path.stem: yaml.safe_load(rule_text(path.read_text())) for path in (ROOT / "dashboards/alerts").glob("*.yml")}
    if not expected or rules != expected:
        raise Failed(f"PrometheusRules {sorted(rules)} are not the files {sorted(expected)}")
    shown = {}
    for config in by_kind(objects, "ConfigMap"):
        if "grafana_dashboard" in config["metadata"]["labels"]:
            shown.update(config["data"])
    expected = {path.name: dashboard_text(path.read_text()) for path in (ROOT / "dashboards").glob("*.json")}
    if {name: json.loads(text) for name, text in shown.items()} != {name: json.loads(text) for name, text in expected.items()}:
        raise Failed(f"the dashboards {sorted(shown)} are not the files {sorted(expected)}")


def package(_weir):
    """An archive has what the templates read, and says which binary it is for."""
    binary = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    if chart["appVersion"] != binary:
        raise Failed(f"Chart.yaml: appVersion is {chart['appVersion']}, the binary is {binary}")
    with tempfile.TemporaryDirectory() as folder:
        run("helm", "package", CHART, "--destination", folder)
        with tarfile.open(next(pathlib.Path(folder).glob("*.tgz"))) as archive:
            packed = {name.removeprefix("weir/") for name in archive.getnames()}
    needed = {f"dashboards/{path.relative_to(ROOT / 'dashboards')}" for pattern in ("*.json", "alerts/*.yml") for path in (ROOT / "dashboards").glob(pattern)}
    if missing := sorted(needed - packed):
        raise Failed(f"the packed chart lacks {', '.join(missing)}")
    if surplus := sorted(name for name in packed if name.startswith(("ci/", "tests/", "dashboards/alerts/tests/"))):
        raise Failed(f"the packed chart has {', '.join(surplus)}")


CHECKS = [lint, unit_tests, schemas, configurations, schema_and_values_agree, every_value_is_tried, monitoring, package]


def main():
    weir = pathlib.Path(sys.argv[1]).resolve()
    failed = 0
    for check in CHECKS:
        try:
            print(f"chart: {check.__name__.replace('_', ' ')}")
            check(weir)
        except Failed as error:
            failed += 1
            print(error, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
