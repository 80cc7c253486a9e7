#!/usr/bin/env python3
"""Writes docs/metrics-uses.md: for each metric that is exported the dashboards that show it and the alerts that watch it.

  tests/check/uses.py            writes it
  tests/check/uses.py --check    writes nothing; exits 1 if the page is stale
"""
import collections
import json
import re
import sys

sys.dont_write_bytecode = True
import queries
import rules

PAGE = queries.ROOT / "docs/metrics-uses.md"
HEAD = """<!-- Written by `make docs` from dashboards/. -->
# Where each metric is used

What the [dashboards](../dashboards/README.md) show and the [alerts](runbooks/README.md) watch; what the metrics mean is in the
[reference](metrics-reference.md). A metric without a use is there for questions that nobody has asked yet.

| metric | dashboards | alerts |
| --- | --- | --- |
"""


def names(expr):
    return {name for name, _ in queries.asked(expr)[0] if name}


def families():
    """Names as the reference has them, by the names that queries use."""
    listed = set(re.findall(r"^\| `(\w+)` \|", (queries.ROOT / "docs/metrics-reference.md").read_text(), flags=re.M))
    return {name: name if name in listed else queries.HISTOGRAM.sub("", name) for name in queries.exported()}


def in_dashboards(family):
    found = collections.defaultdict(set)
    for file in (queries.ROOT / "dashboards").glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                for name in names(re.sub(r"\$\{?\w+\}?", "x", target.get("expr", ""))) & family.keys():
                    found[family[name]].add(file.stem)
    return found


def in_alerts(family):
    """An alert watches what it names, and what the rules that it names were recorded from."""
    expressions = {name: names(queries.expression(text)) for _, _, name, text in rules.rules()}

    def watched(name, seen=()):
        of_rules = (watched(other, (*seen, name)) for other in expressions.get(name, ()) if other not in seen)
        return {name}.union(*of_rules)

    found = collections.defaultdict(set)
    for _, kind, alert, _ in rules.rules():
        if kind == "alert":
            for name in watched(alert) & family.keys():
                found[family[name]].add(alert)
    return found


def page():
    family = families()
    shown, watched = in_dashboards(family), in_alerts(family)
    lines = []
    for name in sorted(set(family.values())):
        alerts = ", ".join(f"[{alert}](runbooks/{alert}.md)" for alert in sorted(watched[name]))
        lines.append(f"| `{name}` | {', '.join(sorted(shown[name]))} | {alerts} |\n")
    return HEAD + "".join(lines)


def main():
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if not PAGE.exists() or PAGE.read_text() != text:
        print(f"{PAGE.relative_to(queries.ROOT)} is not what dashboards/ says: run `make docs`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
