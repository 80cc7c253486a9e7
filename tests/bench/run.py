#!/usr/bin/env python3
"""Measures Weir beside Apache Kafka and other peers on this machine, prints a table, writes docs/benchmarks.md.

  tests/bench/run.py [GROUP …]     groups: produce fetch latency start files postgres index observing; all without an argument

Ratios of one session on one machine are what counts; figures of different machines do not compare.
"""
import datetime
import pathlib
import shutil
import subprocess
import sys
import tempfile

import machine
import observing
import pipelines
import wire
from brokers import KAFKA_VERSION, ROOT, WEIR

OUT = ROOT / "docs/benchmarks.md"
NOTES = """How to read it:

- Ratios of one run on one machine are what counts; figures of different machines do not compare.
- Both brokers run side by side and are measured in turn. A first round, with which a JVM gets warm, is dropped; of the
  others the best two count, because noise only ever adds.
- "start after kill -9" is the time until every partition of the loaded topic tells its end, not until the port is open.
- The pipelines are measured from the first row or document that is there: what comes before it are the three seconds of
  `group.initial.rebalance.delay.ms`. `\\copy` reads a file with the same rows into a table of the same shape,
  in turn with the sink: the best two of three rounds after a first one.
- What watching costs is measured beside a second Weir that nobody watches, with both logs in memory, in short turns, and in a hundred
  rounds with connections of their own; ± is the standard error. It is too small to be seen: more than 100 % is chance. Counting itself
  cannot be switched off. Of the 150 that scrape, a hundred ask at once, each second, and fifty read
  a byte a second. They run on the same processors, which costs the producer more than being scraped does: hence the twin that
  they scrape instead.
"""


def against(what, weir, peer, target, met):
    return [what, weir, peer, target, "yes" if met else "**no**"]


def produce(folder):
    rows = []
    for title, settings, options, speed, cpu in [
        ("64 KiB batches, `log.flush=os`", ["log.flush=os"], [], 1.5, 1 / 2),
        ("4 KiB batches, `log.flush=os`", ["log.flush=os"], ["--batch-kib", "4"], 2, 1 / 3),
    ]:
        weir, kafka = wire.produce(folder, settings, options)
        ratio, cpus = weir["mib_per_s"] / kafka["mib_per_s"], weir["cpu_s_per_gib"] / kafka["cpu_s_per_gib"]
        rows.append(against(f"produce, {title}", f"{weir['mib_per_s']:.0f} MiB/s", f"{kafka['mib_per_s']:.0f} MiB/s",
                            f"≥ {speed} ×, is {ratio:.2f} ×", ratio >= speed))
        rows.append(against(f"produce, {title}: CPU", f"{weir['cpu_s_per_gib']:.2f} s/GiB", f"{kafka['cpu_s_per_gib']:.2f} s/GiB",
                            f"≤ {cpu:.2f} ×, is {cpus:.2f} ×", cpus <= cpu))
    weir, kafka = wire.produce(folder, [], [])
    disk = machine.disk_mib_per_s(folder, 1024)
    floor = min(kafka["mib_per_s"], 0.8 * disk)
    rows.append(against("produce, durable default, 64 KiB", f"{weir['mib_per_s']:.0f} MiB/s",
                        f"{kafka['mib_per_s']:.0f} MiB/s (dd, synced: {disk:.0f})", "≥ Kafka, or ≥ 80 % of dd", weir["mib_per_s"] >= floor))
    return rows


def fetch(folder):
    weir, kafka = wire.fetch(folder)
    speed, cpus = weir["mib_per_s"] / kafka["mib_per_s"], weir["cpu_s_per_gib"] / kafka["cpu_s_per_gib"]
    return [
        against("fetch", f"{weir['mib_per_s']:.0f} MiB/s", f"{kafka['mib_per_s']:.0f} MiB/s", f"≥ 1 ×, is {speed:.2f} ×", speed >= 1),
        against("fetch: CPU", f"{weir['cpu_s_per_gib']:.2f} s/GiB", f"{kafka['cpu_s_per_gib']:.2f} s/GiB", f"≤ 1 ×, is {cpus:.2f} ×", cpus <= 1),
    ]


def latency(folder):
    weir, kafka = wire.latency(folder)
    tail, cpus = weir["p99_ms"] / kafka["p99_ms"], weir["cpu_s"] / kafka["cpu_s"]
    return [
        against("latency at 2,000/s, p99 end to end", f"{weir['p99_ms']:.2f} ms", f"{kafka['p99_ms']:.2f} ms", f"≤ 0.33 ×, is {tail:.3f} ×", tail <= 1 / 3),
        against("latency at 2,000/s: CPU", f"{weir['cpu_s']:.1f} s", f"{kafka['cpu_s']:.1f} s", f"≤ 0.33 ×, is {cpus:.2f} ×", cpus <= 1 / 3),
    ]


def start(folder):
    weir, kafka = wire.start_and_memory(folder)
    return [against(what, f"{weir[key]:.2f} {unit}", f"{kafka[key]:.2f} {unit}", f"≤ {most} {unit}", weir[key] <= most) for what, key, unit, most in [
        ("start, empty", "start_empty_s", "s", 0.3),
        ("start after kill -9, 12 GiB and 4,000 partitions", "start_after_kill_s", "s", 3),
        ("resident, idle", "idle_mb", "MB", 40),
        ("resident, 4,000 partitions", "partitions_mb", "MB", 150),
        ("resident, after the load", "after_load_mb", "MB", 200),
    ]]


def files(folder):
    out = pipelines.file_to_topic(folder)
    weir, peer = out["weir"], out["rsyslog"]
    return [against("file → topic, lines per CPU-second", f"{weir['lines_per_cpu_s'] / 1e3:.0f} k", f"rsyslog {peer['lines_per_cpu_s'] / 1e3:.0f} k",
                    f"≥ 1 ×, is {weir['lines_per_cpu_s'] / peer['lines_per_cpu_s']:.2f} ×", weir["lines_per_cpu_s"] >= peer["lines_per_cpu_s"])]


def postgres(folder):
    out = pipelines.topic_to_postgres(folder)
    share = out["weir_rows_per_s"] / out["copy_rows_per_s"]
    once = "exactly once" if out["exactly_once"] else "NOT exactly once"
    return [against("topic → Postgres, 9 typed columns", f"{out['weir_rows_per_s'] / 1e3:.0f} k rows/s, {once}",
                    f"\\copy {out['copy_rows_per_s'] / 1e3:.0f} k", f"≥ 50 %, is {share:.0%}", share >= 0.5 and out["exactly_once"])]


def index(folder):
    out = pipelines.topic_to_index(folder)
    return [against("topic → index, 200 B documents", f"{out['documents_per_s'] / 1e3:.0f} k/s", "", "≥ 60 k/s", out["documents_per_s"] >= 60_000)]


def observed(folder):
    watched, traced = observing.metrics(folder), observing.traces(folder)
    many, latency = observing.scrapes(folder), observing.latency_in_a_crowd(folder)
    page = f"{many['median_s'] * 1000:.0f} ms, {many['page_mb']:.1f} MB"
    alone, other, crowd = (latency[side]["p99_ms"] for side in ("alone", "other", "crowd"))
    return [
        against("produce, a series per partition, scraped each second", f"{watched['mib_per_s']:.0f} MiB/s", "Weir that nobody scrapes",
                f"≥ 98 %, is {watched['speed']:.1%} ± {watched['error']:.1%}", watched["speed"] >= 0.98),
        against("produce, one trace in a hundred", f"{traced['mib_per_s']:.0f} MiB/s, {traced['exported']:.0f} spans", "Weir without traces",
                f"≥ 97 %, is {traced['speed']:.1%} ± {traced['error']:.1%}", traced["speed"] >= 0.97 and traced["exported"] > 0),
        against("scrape, 10,000 partitions and 1,000 groups", page, f"{many['series']} series", "< 100 ms, < 5 MB",
                many["median_s"] < 0.1 and many["page_mb"] < 5),
        against("resident, for these groups and scrapes", f"{many['grown_mb']:.1f} MB", f"{many['idle_mb']:.0f} MB, 10,000 partitions", "< 20 MB",
                many["grown_mb"] < 20),
        against("latency at 2,000/s, p99, while 150 scrape", f"{crowd:.2f} ms", f"{other:.2f} ms, they scrape another broker; {alone:.2f} ms, nobody does",
                f"≤ 1.2 ×, is {crowd / other:.2f} ×", crowd <= 1.2 * other),
    ]


GROUPS = {"produce": produce, "fetch": fetch, "latency": latency, "start": start, "files": files, "postgres": postgres, "index": index, "observing": observed}


def table(rows):
    head = ["what", "Weir", "peer", "target", "met"]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * 5, *rows])


def main():
    chosen = sys.argv[1:] or list(GROUPS)
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        sys.exit(f"unknown group {unknown[0]}: one of {', '.join(GROUPS)}")
    rows = []
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-"))
        try:
            rows += GROUPS[name](folder)
        except (Exception, SystemExit) as error:  # one group that cannot be measured must not hide the others
            rows.append([name, f"could not be measured: {error}", "", "", "**no**"])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(table(rows[-8:]), file=sys.stderr, flush=True)
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    page = (f"# Benchmarks\n\nMeasured {datetime.date.today()} by `make bench` (`tests/bench/run.py {' '.join(chosen)}`), revision {revision}, "
            f"beside Apache Kafka {KAFKA_VERSION} with its default settings and a 1 GiB heap, on {machine.describe()}.\n\n{table(rows)}\n\n{NOTES}")
    print(page)
    if not sys.argv[1:]:
        OUT.write_text(page)


if __name__ == "__main__":
    main()
