#!/usr/bin/env python3
"""Checks the dashboards without a server: that they are what their source says, that each panel has its words and its place,
that links lead somewhere, that queries parse and ask only for what Weir exports. Grafana's types are checked by
tests/dashboards/schema. Prints one line per finding; exits 1 if any.
"""
import itertools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import queries

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dashboards"
SCHEMA_VERSION = 39
BUILT_IN = {"__all", "__rate_interval", "__range", "__url_time_range", "__value"}
# What stands for variables where only the grammar counts.
FOR_GRAMMAR = {"__rate_interval": "1m", "__range": "1h"}
VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}|\$(\w+)")


def variables_in(value):
    return {one or other for one, other in VARIABLE.findall(json.dumps(value))}


def grammatical(expr):
    return VARIABLE.sub(lambda found: FOR_GRAMMAR.get(found[1] or found[2], ".+"), expr)


def whole(dashboard):
    if dashboard["schemaVersion"] != SCHEMA_VERSION or "__inputs" in dashboard:
        yield f"must have schemaVersion {SCHEMA_VERSION} and no __inputs"
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    yield from (f"uses a variable ${name} that it does not have" for name in sorted(variables_in(dashboard) - defined - BUILT_IN))
    yield from (f"does not use its variable ${name}" for name in sorted(defined - variables_in(dashboard)))
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have the same id"
    for one, other in itertools.combinations(dashboard["panels"], 2):
        if overlap(one["gridPos"], other["gridPos"]):
            yield f"panels {one['title']} and {other['title']} overlap"


def overlap(one, other):
    return (one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
            and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"])


def links(dashboard, uids):
    for uid in sorted(set(re.findall(r"/d/([\w-]+)", json.dumps(dashboard)))):
        if uid not in uids:
            yield f"links to a dashboard {uid} that does not exist"


def panel_words(panel):
    if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
        yield "is beyond the right edge"
    if panel["type"] != "row" and not (panel["title"] and panel["description"] and panel["targets"]):
        yield "needs a title, a description and a query"
    if panel["type"] != "row" and not panel["fieldConfig"]["defaults"].get("unit") and panel["type"] not in ("logs", "table"):
        yield "has no unit"


def panel_queries(panel, metrics, recorded):
    for target in panel.get("targets", []):
        if expr := target.get("expr"):
            yield from queries.complaints(grammatical(expr), metrics, recorded)
            if re.search(r"\b(?:rate|irate)\([^[]*\[(?!\$__rate_interval\]|10m\])", expr):
                yield f"takes a rate over something else than $__rate_interval: {expr}"


def unparsable(expressions):
    """What promtool says of all of them, as if they were rules."""
    rules = [{"record": f"q:{at}", "expr": grammatical(expr)} for at, expr in enumerate(expressions)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
        file.flush()
        said = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
    return [line.strip() for line in said.stderr.splitlines() if line.strip()] if said.returncode else []


def main():
    dashboards = {file: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
    uids = [dashboard["uid"] for dashboard in dashboards.values()]
    metrics, recorded = queries.exported(), queries.recorded()
    findings = [] if len(set(uids)) == len(uids) >= 8 else ["dashboards: two have the same uid, or some are missing"]
    expressions = []
    for file, dashboard in dashboards.items():
        place = file.relative_to(ROOT)
        findings += [f"{place}: {said}" for said in (*whole(dashboard), *links(dashboard, uids))]
        for panel in dashboard["panels"]:
            said = [*panel_words(panel), *panel_queries(panel, metrics, recorded)]
            findings += [f"{place}: {panel['title']}: {words}" for words in said]
            expressions += [target["expr"] for target in panel.get("targets", []) if "expr" in target]
    findings += unparsable(expressions)
    print(*findings, sep="\n", end="\n" if findings else "")
    stale = subprocess.run([sys.executable, FOLDER / "build.py", "--check"], check=False).returncode
    return 1 if findings or stale else 0


if __name__ == "__main__":
    sys.exit(main())
