#!/usr/bin/env python3
"""Checks what promtool does not: that each alert rule has a severity, a summary that names something, a description, a runbook
page, a case in which it fires and one in which it stays quiet, and that rules ask for nothing that Weir does not export. Prints
one line per finding; exits 1 if any.
"""
import re
import sys

sys.dont_write_bytecode = True
import queries

ROOT = queries.ROOT
RULES = queries.RULES
PAGES = ROOT / "docs/runbooks"
SEVERITIES = {"warning", "critical"}
OBJECTS = "broker|instance|topic|group|connector|index|log_dir|cluster"
SECTIONS = ["## What it means", "## See the cause", "## What to do", "## Over when"]


def rules():
    """Kind, name and text of each rule; the files have one shape, so that no YAML library is needed."""
    for file in sorted(RULES.glob("*.yml")):
        for text in re.split(r"^ {6}- (?=alert: |record: )", file.read_text(), flags=re.M)[1:]:
            kind, name = re.match(r"(\w+): (\S+)", text).groups()
            yield file, kind, name, text


def names(file, name, text, metrics, recorded):
    for complaint in queries.complaints(queries.expression(text), metrics, recorded):
        yield f"{file.relative_to(ROOT)}: {name}: {complaint}"


def rule(file, name, text):
    place = f"{file.relative_to(ROOT)}: {name}"
    severity = re.search(r"severity: (\w+)", text)
    if not severity or severity[1] not in SEVERITIES:
        yield f"{place}: no severity of {' and '.join(sorted(SEVERITIES))}"
    for annotation in ("summary", "description"):
        if not re.search(rf"^ +{annotation}: \S", text, flags=re.M):
            yield f"{place}: no {annotation}"
    if not re.search(rf"^ +summary: .*\{{\{{[^}}]*\$labels\.(?:{OBJECTS})\b", text, flags=re.M):
        yield f"{place}: the summary names nothing: no {{{{ $labels.… }}}} of {OBJECTS.replace('|', ', ')}"
    if f"/runbooks/{name}.md'" not in text:
        yield f"{place}: runbook_url does not end in /runbooks/{name}.md"


def cases(file, name):
    tests = RULES / "tests" / f"{file.stem}.test.yml"
    # One case each, from its alertname to the next: one that expects an alert lists its labels.
    found = re.split(r"alertname: ", tests.read_text())[1:] if tests.exists() else []
    fires = ["exp_labels" in case for case in found if case.startswith(name) and not case[len(name)].isalnum()]
    for wanted, what in ((True, "it fires"), (False, "it stays quiet")):
        if wanted not in fires:
            yield f"{tests.relative_to(ROOT)}: {name}: no case in which {what}"


def page(name):
    file = PAGES / f"{name}.md"
    if not file.exists():
        yield f"docs/runbooks/{name}.md is missing"
        return
    found = [line for line in file.read_text().splitlines() if line.startswith("#")]
    if found != [f"# {name}", *SECTIONS]:
        yield f"docs/runbooks/{name}.md: headings are not # {name}, {', '.join(SECTIONS)}"


def main():
    every = list(rules())
    alerts = [name for _, kind, name, _ in every if kind == "alert"]
    findings = [] if alerts else [f"{RULES}: no alerts"]
    metrics, recorded = queries.exported(), queries.recorded()
    for file, kind, name, text in every:
        findings += names(file, name, text, metrics, recorded)
        if kind == "alert":
            findings += [*rule(file, name, text), *cases(file, name), *page(name)]
    index = (PAGES / "README.md").read_text()
    findings += [f"docs/runbooks/README.md does not link {name}.md" for name in alerts if f"({name}.md)" not in index]
    findings += [f"docs/runbooks/README.md: {name} is no alert" for name in re.findall(r"\((\w+)\.md\)", index) if name not in alerts]
    findings += [f"{file.relative_to(ROOT)}: no such alert" for file in sorted(PAGES.glob("*.md")) if file.stem not in (*alerts, "README")]
    print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
