#!/usr/bin/env python3
"""Checks the dashboards without a server: that they are what their source says, that each panel has its words and its place,
that units fit what is asked for and colours the alerts, that links lead somewhere and hand on what is taken there, that queries
parse and ask only for what Weir exports. Grafana's types are checked by
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
UNITS = {"short", "s", "dtdurations", "bytes", "Bps", "rps", "reqps", "ops", "percentunit"}
# Names that say their unit; `short` is the default, and fits counts. Skew is a factor.
WITH_UNIT = re.compile(r"_(?:seconds|bytes|(?<!skew_)ratio)(?:_sum|_bucket)?$")
COLORS = {"green", "yellow", "orange", "red", "blue", "text"}
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


def links(dashboard, variables):
    """`variables` are names by the uid of the dashboard that has them."""
    written = json.dumps(dashboard)
    for uid, query in sorted(set(re.findall(r"/d/([\w-]+)\??([^\"]*)", written))):
        if uid not in variables:
            yield f"links to a dashboard {uid} that does not exist"
            continue
        handed = set(re.findall(r"\bvar-(\w+)=", query)) | set(re.findall(r"\$\{(\w+):queryparam\}", query))
        yield from (f"hands ${name} to {uid}, which has no such variable" for name in sorted(handed - variables[uid]))
    for page in sorted(set(re.findall(r"\$\{docs\}/([^\"$#]*)", written))):
        if not (ROOT / "docs" / page).exists():
            yield f"links to docs/{page}, which does not exist"


def panel_words(panel):
    if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
        yield "is beyond the right edge"
    if panel["type"] != "row" and not (panel["title"] and panel["description"] and panel["targets"]):
        yield "needs a title, a description and a query"


def without_counts(expr):
    """What is counted, or only missed, has no unit any more."""
    while found := re.search(r"\b(?:count|absent)(?: by \([^)]*\) )?\s*\(", expr):
        inside = queries.closed(expr[found.end():])
        expr = expr[:found.start()] + expr[found.end() + len(inside) + 1:]
    return expr


def units(panel):
    if panel["type"] in ("row", "logs", "table"):
        return
    unit = panel["fieldConfig"]["defaults"].get("unit")
    if unit not in UNITS:
        yield f"has the unit {unit}, which is not one of {', '.join(sorted(UNITS))}"
    for target in panel["targets"] if unit == "short" else ():
        expr = without_counts(grammatical(target.get("expr", "")))
        if " / " in expr:
            continue
        yield from (f"shows {name} without a unit" for name, _ in queries.asked(expr)[0] if name and WITH_UNIT.search(name))
        yield from (f"shows a rate of {name} without a unit" for function, name in queries.OF_COUNTERS.findall(expr)
                    if function == "rate" and not name.endswith("_seconds_total"))


def steps_of(panel):
    """Thresholds of a panel, then those of its columns; each with its unit."""
    defaults = panel["fieldConfig"]["defaults"]
    if "thresholds" in defaults:
        yield defaults.get("unit"), defaults["thresholds"]["steps"]
    for override in panel["fieldConfig"]["overrides"]:
        own = {each["id"]: each["value"] for each in override["properties"]}
        if "thresholds" in own:
            yield own.get("unit", "short"), own["thresholds"]["steps"]


def colors(panel, limits):
    """Health is green, yellow or red; where it is no matter of counts, at a value that some rule has."""
    if panel["type"] == "row":
        return
    for unit, steps in steps_of(panel):
        values = [step["value"] for step in steps[1:]]
        if steps[0]["value"] is not None or values != sorted(values) or not {step["color"] for step in steps} <= COLORS:
            yield f"has thresholds that are out of order, or of other colours: {steps}"
        if values and unit != "short" and not limits & set(values):
            yield f"has thresholds of which no rule has one: {values}"
        if not values and steps[0]["color"] not in ("blue", "text"):
            yield "is always well"


def first_row(dashboard):
    """It says whether it is well: something in it may be red."""
    top = [panel for panel in dashboard["panels"] if panel["gridPos"]["y"] == 0]
    if not any('"red"' in json.dumps(panel["fieldConfig"]) for panel in top):
        yield "has nothing in its first row that could be red"


def panel_queries(panel, metrics, recorded):
    for target in panel.get("targets", []):
        if expr := target.get("expr"):
            yield from queries.complaints(grammatical(expr), metrics, recorded)
            if re.search(r"\b(?:rate|irate)\([^[]*\[(?!\$__rate_interval\]|10m\])", expr):
                yield f"takes a rate over something else than $__rate_interval: {expr}"
            if "topk(" in expr and not target["instant"] and "@ end()" not in expr:
                yield f"shows others at each point of time: {expr}"


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
    variables = {dashboard["uid"]: {each["name"] for each in dashboard["templating"]["list"]} for dashboard in dashboards.values()}
    limits = {float(value) for file in queries.RULES.glob("*.yml") for value in re.findall(r"expr: vector\(([\d.]+)\)", file.read_text())}
    metrics, recorded = queries.exported(), queries.recorded()
    findings = [] if len(set(uids)) == len(uids) >= 8 else ["dashboards: two have the same uid, or some are missing"]
    expressions = []
    for file, dashboard in dashboards.items():
        place = file.relative_to(ROOT)
        findings += [f"{place}: {said}" for said in (*whole(dashboard), *links(dashboard, variables), *first_row(dashboard))]
        for panel in dashboard["panels"]:
            said = [*panel_words(panel), *units(panel), *colors(panel, limits), *panel_queries(panel, metrics, recorded)]
            findings += [f"{place}: {panel['title']}: {words}" for words in said]
            expressions += [target["expr"] for target in panel.get("targets", []) if "expr" in target]
    findings += unparsable(expressions)
    print(*findings, sep="\n", end="\n" if findings else "")
    stale = subprocess.run([sys.executable, FOLDER / "build.py", "--check"], check=False).returncode
    return 1 if findings or stale else 0


if __name__ == "__main__":
    sys.exit(main())
