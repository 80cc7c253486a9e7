#!/usr/bin/env python3
"""Checks what promtool does not: that each alert rule has a severity, a summary, a description, a runbook page, a case in
which it fires and one in which it stays quiet. Prints one line per finding; exits 1 if any.

  tests/check/rules.py [ROOT]
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "dashboards/alerts"
PAGES = ROOT / "docs/runbooks"
SEVERITIES = {"warning", "critical"}
SECTIONS = ["## What it means", "## See the cause", "## What to do", "## Over when"]


def alerts():
    """Name and text of each alert; the files have one shape, so that no YAML library is needed."""
    for file in sorted(RULES.glob("*.yml")):
        for text in re.split(r"^ {6}- (?=alert: |record: )", file.read_text(), flags=re.M)[1:]:
            if name := re.match(r"alert: (\w+)", text):
                yield file, name[1], text


def rule(file, name, text):
    place = f"{file.relative_to(ROOT)}: {name}"
    severity = re.search(r"severity: (\w+)", text)
    if not severity or severity[1] not in SEVERITIES:
        yield f"{place}: no severity of {' and '.join(sorted(SEVERITIES))}"
    for annotation in ("summary", "description"):
        if not re.search(rf"^ +{annotation}: \S", text, flags=re.M):
            yield f"{place}: no {annotation}"
    if f"/runbooks/{name}.md'" not in text:
        yield f"{place}: runbook_url does not end in /runbooks/{name}.md"


def cases(file, name):
    tests = RULES / "tests" / f"{file.stem}.test.yml"
    # One case each, from its alertname to the next: one that expects an alert lists it.
    found = re.split(r"alertname: ", tests.read_text())[1:] if tests.exists() else []
    fires = ["exp_alerts" in case for case in found if case.startswith(name) and not case[len(name)].isalnum()]
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
    rules = list(alerts())
    names = [name for _, name, _ in rules]
    findings = [] if names else [f"{RULES}: no alerts"]
    for file, name, text in rules:
        findings += [*rule(file, name, text), *cases(file, name), *page(name)]
    index = (PAGES / "README.md").read_text()
    findings += [f"docs/runbooks/README.md does not link {name}.md" for name in names if f"({name}.md)" not in index]
    findings += [f"docs/runbooks/README.md: {name} is no alert" for name in re.findall(r"\((\w+)\.md\)", index) if name not in names]
    findings += [f"{file.relative_to(ROOT)}: no such alert" for file in sorted(PAGES.glob("*.md")) if file.stem not in (*names, "README")]
    print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
