#!/usr/bin/env python3
"""Adds to docs/metrics-reference.md, for each metric, the dashboards that show it and the alerts that watch it.

  tests/check/uses.py            adds them, to the page as `weir reference metrics` writes it
  tests/check/uses.py --check    writes nothing; exits 1 if the page does not have them as dashboards/ has them
"""
import collections
import json
import re
import sys

sys.dont_write_bytecode = True
import queries
import rules

PAGE = queries.ROOT / "docs/metrics-reference.md"
# What the code says of a metric: its name, and four cells more.
ROW = re.compile(r"^(\| `(\w+)` \|(?: [^|]*\|){4}).*$", flags=re.M)
HEADER = re.compile(r"^(\| metric \|.* meaning \|).*\n(\|(?: --- \|){5}).*$", flags=re.M)


def names(expr):
    return {name for name, _ in queries.asked(expr)[0] if name}


def families(page):
    """Names as the reference has them, by the names that queries use."""
    listed = {name for _, name in ROW.findall(page)}
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


def with_uses(page):
    family = families(page)
    shown, watched = in_dashboards(family), in_alerts(family)

    def row(found):
        said, name = found.groups()
        alerts = ", ".join(f"[{alert}](runbooks/{alert}.md)" for alert in sorted(watched[name]))
        return f"{said} {', '.join(sorted(shown[name]))} | {alerts} |"

    return ROW.sub(row, HEADER.sub(r"\1 dashboards | alerts |\n\2 --- | --- |", page))


def main():
    page = PAGE.read_text()
    text = with_uses(page)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if page != text:
        print(f"{PAGE.relative_to(queries.ROOT)} does not say what dashboards/ uses: run `make docs`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
