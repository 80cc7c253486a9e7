#!/usr/bin/env python3
"""Writes the dashboards: each module of source/ that has a DASHBOARD becomes a JSON file beside this one.

  dashboards/build.py            writes them
  dashboards/build.py --check    writes nothing; exits 1 and names the files that are not what the source says
"""
import importlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
FILES = {
    "cluster-overview.json": "cluster",
    "brokers.json": "brokers",
    "topics.json": "topics",
    "groups.json": "groups",
    "replication.json": "replication",
    "connect.json": "connect",
    "weir-itself.json": "itself",
    "logs.json": "logs",
}


def built():
    sys.path.insert(0, str(HERE / "source"))
    sys.dont_write_bytecode = True
    for file, module in FILES.items():
        yield HERE / file, json.dumps(importlib.import_module(module).DASHBOARD, indent=1, ensure_ascii=False) + "\n"


def main():
    dashboards = dict(built())
    if "--check" in sys.argv[1:]:
        stale = [file for file, text in dashboards.items() if not file.exists() or file.read_text() != text]
        stale += [file for file in HERE.glob("*.json") if file not in dashboards]
        for file in stale:
            print(f"{file.relative_to(HERE.parent)} is not what dashboards/source says: run `make docs`")
        return 1 if stale else 0
    for file, text in dashboards.items():
        file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
