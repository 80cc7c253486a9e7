#!/usr/bin/env python3
"""Asks a live Prometheus, and a live search node, what the panels of the dashboards ask, as Grafana would.

  tests/dashboards/live.py --prometheus URL [--search URL] [--seconds 300] [--only UID] [NAME=VALUE …]

Prints JSON: a list of dashboards, with for each panel its answers. NAME=VALUE chooses a value of a variable, several times
for several values; others stand at All, or at the first where there is no All.
Exits 1 if a query is refused, 0 otherwise: whether answers may be empty is for the caller to say.
"""
import argparse
import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

DASHBOARDS = pathlib.Path(__file__).resolve().parents[2] / "dashboards"
POINTS = 120
TIMEOUT_SECONDS = 30


class Refused(Exception):
    """A query that the other side does not take."""


def call(url, body=None, content_type="application/x-www-form-urlencoded"):
    request = urllib.request.Request(url, body, {"Content-Type": content_type} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refused(error.read().decode()) from error


class Prometheus:
    def __init__(self, url, seconds):
        self.url, self.end, self.seconds = url.rstrip("/"), time.time(), seconds
        self.step = max(1, seconds // POINTS)

    def ask(self, path, **parameters):
        return call(f"{self.url}/api/v1/{path}", urllib.parse.urlencode(parameters, doseq=True).encode())["data"]

    def now(self, expr):
        return self.ask("query", query=expr, time=self.end)["result"]

    def over_time(self, expr):
        return self.ask("query_range", query=expr, start=self.end - self.seconds, end=self.end, step=self.step)["result"]

    def choices(self, query):
        """What a variable offers: `label_values(selector, label)`."""
        selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
        found = self.ask("series", **{"match[]": selector, "start": self.end - self.seconds, "end": self.end})
        return sorted({series[label] for series in found if label in series})


class Search:
    def __init__(self, url, seconds):
        self.url, self.seconds = url.rstrip("/"), seconds
        self.end = int(time.time() * 1000)

    def ask(self, target):
        """The request that Grafana's Elasticsearch data source makes of a query."""
        window = {"gte": self.end - self.seconds * 1000, "lte": self.end, "format": "epoch_millis"}
        filters = [{"range": {target["timeField"]: window}},
                   {"query_string": {"analyze_wildcard": True, "query": target["query"]}}]
        body = {"size": 0, "query": {"bool": {"filter": filters}}}
        if target["metrics"][0]["type"] == "logs":
            body |= {"size": int(target["metrics"][0]["settings"]["limit"]), "sort": [{target["timeField"]: {"order": "desc"}}]}
        else:
            body["aggs"] = self.aggregations(target)
        header = {"search_type": "query_then_fetch", "ignore_unavailable": True, "index": "*"}
        lines = f"{json.dumps(header)}\n{json.dumps(body)}\n".encode()
        answer = call(f"{self.url}/_msearch?max_concurrent_shard_requests=5", lines, "application/x-ndjson")["responses"][0]
        if "error" in answer:
            raise Refused(json.dumps(answer["error"]))
        return answer

    def aggregations(self, target):
        inner = {}
        for bucket in reversed(target["bucketAggs"]):
            if bucket["type"] == "date_histogram":
                interval = f"{max(1000, self.seconds * 1000 // POINTS)}ms"
                how = {"field": bucket["field"], "fixed_interval": interval, "min_doc_count": 0, "format": "epoch_millis",
                       "extended_bounds": {"min": self.end - self.seconds * 1000, "max": self.end}}
            else:
                settings = bucket["settings"]
                how = {"field": bucket["field"], "size": int(settings["size"]), "order": {settings["orderBy"]: settings["order"]},
                       "min_doc_count": int(settings["min_doc_count"])}
            inner = {bucket["id"]: {bucket["type"]: how, **({"aggs": inner} if inner else {})}}
        return inner


def filled(text, values):
    for name, value in values.items():
        text = re.sub(rf"\$\{{{name}\}}|\${name}\b", lambda _: value, text)
    return text


def in_expression(variable, chosen):
    """What Grafana's Prometheus data source makes of chosen values. They stand in a quoted regular expression: an escape of
    its own needs one, too."""
    if not variable["multi"] and not variable["includeAll"]:
        return chosen[-1]
    escaped = [re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\" * 4)) for value in chosen]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def values_of(dashboard, prometheus, chosen, rate_interval, seconds):
    """The variables' values, in their order, and what each offers."""
    values = {"__rate_interval": rate_interval, "__range": f"{seconds}s"}
    offers = {}
    for variable in dashboard["templating"]["list"]:
        name = variable["name"]
        if variable["type"] == "query":
            offers[name] = prometheus.choices(filled(variable["query"]["query"], values))
            if name in chosen:
                values[name] = in_expression(variable, chosen[name])
            else:
                values[name] = variable["allValue"] if variable["includeAll"] else (*offers[name], "")[0]
        elif variable["type"] in ("textbox", "constant"):
            values[name] = chosen[name][-1] if name in chosen else variable["query"]
    return values, offers


def panel_answers(panel, values, prometheus, search):
    for target in panel.get("targets", []):
        said = {"legend": target.get("legendFormat"), "query": filled(target.get("expr", target.get("query", "")), values)}
        try:
            if target["datasource"]["type"] == "elasticsearch":
                if not search:
                    continue
                said["answer"] = search.ask({**target, "query": said["query"]})
            else:
                ask = prometheus.now if target["instant"] else prometheus.over_time
                said["series"] = ask(said["query"])
        except Refused as error:
            said["error"] = str(error)
        yield said


def evaluated(file, prometheus, search, chosen, rate_interval, seconds):
    dashboard = json.loads(file.read_text())
    values, offers = values_of(dashboard, prometheus, chosen, rate_interval, seconds)
    panels = [{"panel": panel, "answers": list(panel_answers(panel, values, prometheus, search))}
              for panel in dashboard["panels"]]
    return {"file": file.name, "uid": dashboard["uid"], "title": dashboard["title"], "description": dashboard["description"],
            "variables": dashboard["templating"]["list"], "offers": offers, "panels": panels}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--prometheus", required=True)
    arguments.add_argument("--search")
    arguments.add_argument("--seconds", type=int, default=300)
    arguments.add_argument("--rate-interval", default="1m")
    arguments.add_argument("--only")
    arguments.add_argument("variables", nargs="*")
    given = arguments.parse_args()
    prometheus = Prometheus(given.prometheus, given.seconds)
    search = Search(given.search, given.seconds) if given.search else None
    chosen = {}
    for name, value in (pair.split("=", 1) for pair in given.variables):
        chosen.setdefault(name, []).append(value)
    every = [evaluated(file, prometheus, search, chosen, given.rate_interval, given.seconds)
             for file in sorted(DASHBOARDS.glob("*.json"))]
    every = [dashboard for dashboard in every if given.only in (None, dashboard["uid"])]
    json.dump(every, sys.stdout)
    return int(any("error" in answer for dashboard in every for panel in dashboard["panels"] for answer in panel["answers"]))


if __name__ == "__main__":
    sys.exit(main())
