#!/usr/bin/env python3
"""Draws the dashboards from what live.py was answered, in a headless Chromium, one picture for each.

  tests/dashboards/live.py --prometheus URL --search URL > answers.json
  tests/dashboards/draw.py answers.json PACKAGES FOLDER

PACKAGES is where draw/package.json is installed. Not Grafana: near enough to see whether a picture is readable and whether what is
wrong stands out. Needs Debian's chromium. `make pictures` does all of it.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent / "draw"
WIDTH = 1520
PAGE = """<!doctype html><meta charset="utf-8"><style>{css}</style><body>
<script>{library}</script><script>const DATA = {data};</script><script>{code}</script>"""


def height(dashboard):
    lowest = max(panel["panel"]["gridPos"]["y"] + panel["panel"]["gridPos"]["h"] for panel in dashboard["panels"])
    return lowest * 38 + 90


def page(dashboard, packages):
    times = [float(at) for panel in dashboard["panels"] for answer in panel["answers"]
             for series in answer.get("series", []) for at, _ in series.get("values", [])]
    times += [bucket["key"] / 1000 for panel in dashboard["panels"] for answer in panel["answers"]
              for inner in answer.get("answer", {}).get("aggregations", {}).values() for bucket in inner["buckets"]
              if isinstance(bucket["key"], int) and bucket["key"] > 10**12]
    start, end = (min(times), max(times)) if times else (0, 1)
    steps = sorted(set(times))
    step = min((later - at for at, later in zip(steps, steps[1:])), default=1)
    data = json.dumps({**dashboard, "from": start, "to": end, "step": step}).replace("</", "<\\/")
    library = packages / "node_modules/uplot/dist"
    return PAGE.format(css=(library / "uPlot.min.css").read_text() + (HERE / "page.css").read_text(), data=data,
                       library=(library / "uPlot.iife.min.js").read_text(), code=(HERE / "page.js").read_text())


def draw(answers, packages, folder):
    """Writes a picture for each dashboard; yields their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    browser = shutil.which("chromium") or sys.exit("no chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as scratch:
        for dashboard in answers:
            file = pathlib.Path(scratch) / "page.html"
            file.write_text(page(dashboard, packages))
            picture = folder / f"{dashboard['file'].removesuffix('.json')}.png"
            subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                            f"--user-data-dir={scratch}/profile", f"--window-size={WIDTH},{height(dashboard)}",
                            f"--screenshot={picture}", f"file://{file}"],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
            yield picture


if __name__ == "__main__":
    for drawn in draw(json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])):
        print(drawn)
