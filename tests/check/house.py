#!/usr/bin/env python3
"""Checks what the compiler cannot: file sizes, layers, hollow places. Prints one line per finding; exits 1 if any.

  tests/check/house.py            check the tree
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 800
LINES_GOOD = 400
SHARE_ABOVE_GOOD_MAX = 0.10

# docs/architecture.md: arrows go down a floor, and the wings do not know each other.
FLOOR = {
    "weir-repeats": 0, "weir-trace": 0, "weir-types": 1, "weir-protocol": 2, "weir-storage": 2, "weir-control": 2, "weir-client": 3, "weir-broker": 4,
    "weir-connect-api": 1, "weir-search": 1, "weir-connectors": 2, "weir-connect": 3,
    "weir": 5, "weir-tests": 6,
}
BROKER = {"weir-types", "weir-protocol", "weir-storage", "weir-control", "weir-client", "weir-broker"}
CONNECT = {"weir-connect-api", "weir-search", "weir-connectors", "weir-connect"}
# Crates whose floor depends on having no runtime.
NO_TOKIO = {"weir-types", "weir-protocol", "weir-storage", "weir-control", "weir-connect-api"}

HOLLOW = re.compile(r"\b(?:todo!|unimplemented!)\s*\(|#\[ignore|allow\((?:dead_code|unused\b|clippy::all)")

# (files, what must not be in them outside tests, why)
WALLS = [
    ("broker/server/src/**/*.rs", r"\bLog::open\b", "partition", "only partition/ opens a log"),
    ("broker/server/src/**/*.rs", r"\bResponseError::", "api/", "Kafka's error codes appear only in api/"),
    ("broker/server/src/net/**/*.rs", r"\bcrate::(?:partition|groups|topics|metadata)\b", None, "net sees only api/"),
]


def tracked(pattern):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in out.stdout.splitlines() if (ROOT / line).exists()]


def sizes(files):
    above = 0
    for file in files:
        count = sum(1 for _ in file.open())
        above += count > LINES_GOOD
        if count > LINES_MAX:
            yield f"{file.relative_to(ROOT)}: {count} lines, more than {LINES_MAX}: split it by what its parts are about"
    if files and above / len(files) > SHARE_ABOVE_GOOD_MAX:
        yield f"{above} of {len(files)} files have more than {LINES_GOOD} lines: at most {SHARE_ABOVE_GOOD_MAX:.0%} may"


def layers():
    out = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, capture_output=True, text=True, check=True)
    for package in json.loads(out.stdout)["packages"]:
        name = package["name"]
        if name not in FLOOR:
            yield f"{name}: this crate has no floor: add it to tests/check/house.py and docs/architecture.md"
            continue
        for dependency in package["dependencies"]:
            other = dependency["name"]
            if dependency["kind"] == "dev":
                continue
            if other == "tokio" and name in NO_TOKIO:
                yield f"{name}: must not depend on tokio"
            if other not in FLOOR:
                continue
            if FLOOR[other] >= FLOOR[name]:
                yield f"{name} (floor {FLOOR[name]}) depends on {other} (floor {FLOOR[other]}): arrows go down"
            if (name in BROKER and other in CONNECT) or (name in CONNECT and other in BROKER):
                yield f"{name} depends on {other}: the wings do not know each other"


def walls():
    for glob, pattern, home, why in WALLS:
        for file in sorted(ROOT.glob(glob)):
            path = str(file.relative_to(ROOT / "broker/server/src"))
            if (home and path.startswith(home)) or "tests" in path:
                continue
            for number, line in enumerate(file.read_text().split("#[cfg(test)]")[0].splitlines(), 1):
                if re.search(pattern, line) and not line.lstrip().startswith("//"):
                    yield f"{file.relative_to(ROOT)}:{number}: {why}"


def hollow(files):
    for file in files:
        for number, line in enumerate(file.open(), 1):
            if HOLLOW.search(line) and not line.lstrip().startswith("//"):
                yield f"{file.relative_to(ROOT)}:{number}: hollow: {line.strip()}"


def main():
    files = tracked("*.rs")
    findings = [*sizes(files), *layers(), *walls(), *hollow(files)]
    for finding in findings:
        print(finding)
    print(f"house: {len(files)} files, {len(findings)} finding(s)", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
