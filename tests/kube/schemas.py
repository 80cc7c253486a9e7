#!/usr/bin/env python3
"""Writes schemas for kubeconform, which then needs no network: Kubernetes' own from the package kubernetes-validate, of the
newest release that it has and of the oldest that the chart takes, and those of custom resources from their definitions.

  schemas.py CRDS OUT     CRDS: a folder of CustomResourceDefinitions
"""
import importlib.metadata
import json
import pathlib
import sys

import kubernetes_validate
import yaml

# That of kubeVersion in Chart.yaml.
OLDEST = "1.30.0"


def kubernetes(version, out):
    source = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    for suffix in ("", "-strict"):
        target = out / f"v{version}-standalone{suffix}"
        target.mkdir(parents=True)
        for file in (source / f"v{version}-local{suffix}").glob("*.json"):
            # Definitions are beside each file; `$id` would say that they are on a server.
            schema = json.loads(file.read_text().replace('"/api/_definitions.json#', '"_definitions.json#'))
            schema.pop("$id", None)
            (target / file.name).write_text(json.dumps(schema, separators=(",", ":")))


def strict(schema):
    """Unknown fields are errors, as with --dry-run=server."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


def custom_resources(definitions, version, out):
    for file in sorted(definitions.glob("*.yaml")):
        spec = yaml.safe_load(file.read_text())["spec"]
        for served in spec["versions"]:
            schema = served["schema"]["openAPIV3Schema"]
            # The definition leaves these to Kubernetes.
            schema["properties"]["metadata"] = {"type": "object"}
            name = f"{spec['names']['kind']}-{spec['group'].split('.')[0]}-{served['name']}".lower()
            for suffix, body in (("", schema), ("-strict", strict(schema))):
                (out / f"v{version}-standalone{suffix}" / f"{name}.json").write_text(json.dumps(body))


def main():
    definitions, out = map(pathlib.Path, sys.argv[1:])
    for version in (OLDEST, importlib.metadata.version("kubernetes-validate")):
        kubernetes(version, out)
        custom_resources(definitions, version, out)


if __name__ == "__main__":
    main()
