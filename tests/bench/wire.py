"""Broker figures: produce, fetch and latency with wirebench.py, start-up and memory; each beside Apache Kafka.

Both brokers run in turn in one session, at least ROUNDS times; the best two of each are compared, because noise only
ever adds.
"""
import json
import pathlib
import socket
import struct
import subprocess
import sys
import time

import machine
from brokers import Kafka, Weir

ROUNDS = 4
RUN_MIB = 2048
WIREBENCH = pathlib.Path(__file__).with_name("wirebench.py")


def wirebench(what, broker, topic, *options):
    command = [sys.executable, str(WIREBENCH), what, broker.address, topic, "--pid", str(broker.pid), *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def best_two(values, highest):
    return sum(sorted(values, reverse=highest)[:2]) / 2


def produced(make, folder, rounds, options, key="mib_per_s"):
    """Fresh broker, fresh topic, warm pages, one run; `rounds` times. Gives (MiB/s, CPU-s per GiB, p99 ms, RSS after)."""
    runs = []
    for number in range(rounds):
        broker = make(folder / f"run-{number}")
        broker.start()
        broker.create_topic("bench", 6)
        machine.warm(folder, RUN_MIB * 3 // 2)
        runs.append(wirebench("produce", broker, "bench", "--mib", str(RUN_MIB), *options))
        broker.stop()
        broker.remove()
    return runs


def summary(runs):
    return {
        "mib_per_s": best_two([r["mib_per_s"] for r in runs], True),
        "cpu_s_per_gib": best_two([r["broker_cpu_s_per_gib"] for r in runs], False),
        "p99_ms": best_two([r["p99_ms"] for r in runs], False) if "p99_ms" in runs[0] else None,
        "rss_mib": min(r["broker_rss_mib"] for r in runs),
    }


def alternating(folder, weir_settings, options, rounds=ROUNDS):
    weir, kafka = [], []
    for number in range(rounds):
        weir += produced(lambda f: Weir(f, *weir_settings), folder / f"weir-{number}", 1, options)
        kafka += produced(Kafka, folder / f"kafka-{number}", 1, options)
    return summary(weir), summary(kafka)


def fetch(folder, rounds=ROUNDS):
    """Both brokers hold the same 2 GiB in warm pages; each is read in turn."""
    sides = {}
    for make in (lambda f: Weir(f, "log.flush=os"), Kafka):
        broker = make(folder / f"fetch-{len(sides)}")
        broker.start()
        broker.create_topic("bench", 6)
        wirebench("produce", broker, "bench", "--mib", str(RUN_MIB))
        sides[broker.name] = (broker, [])
    for _ in range(rounds):
        for broker, runs in sides.values():
            runs.append(wirebench("fetch", broker, "bench", "--mib", str(RUN_MIB)))
    for broker, _ in sides.values():
        broker.stop()
        broker.remove()
    return [{
        "mib_per_s": best_two([r["mib_per_s"] for r in runs], True),
        "cpu_s_per_gib": best_two([r["broker_cpu_s_per_gib"] for r in runs], False),
    } for _, runs in sides.values()]


def latency(folder, rounds=3):
    sides = {"Weir": [], "Apache Kafka": []}
    for number in range(rounds):
        for make in (lambda f: Weir(f, "log.flush=os"), Kafka):
            broker = make(folder / f"latency-{number}")
            broker.start()
            broker.create_topic("bench", 1)
            sides[broker.name].append(wirebench("latency", broker, "bench"))
            broker.stop()
            broker.remove()
    return [{
        "p50_ms": best_two([r["end_to_end"]["p50_ms"] for r in runs], False),
        "p99_ms": best_two([r["end_to_end"]["p99_ms"] for r in runs], False),
        "cpu_s": best_two([r["broker_cpu_s"] for r in runs], False),
    } for runs in sides.values()]


def seconds_until_it_serves(broker, began, topic, partitions=6):
    """Until every partition of the topic tells its end, which needs its log to be open and recovered."""
    def ends():
        with socket.create_connection(("127.0.0.1", broker.port), 10) as s:
            name = struct.pack(">h", len(topic)) + topic.encode()
            wanted = b"".join(struct.pack(">iq", p, -1) for p in range(partitions))
            body = struct.pack(">ii", -1, 1) + name + struct.pack(">i", partitions) + wanted
            header = struct.pack(">hhi", 2, 1, 1) + struct.pack(">h", 5) + b"bench"        # ListOffsets v1
            s.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
            answer = s.makefile("rb").read(struct.unpack(">i", s.recv(4, socket.MSG_WAITALL))[0])
        at = 4 + 4 + 2 + len(topic) + 4
        found = [struct.unpack_from(">ihqq", answer, at + p * 22) for p in range(partitions)]
        return all(error == 0 and offset > 0 for _, error, _, offset in found)

    while True:
        try:
            if ends():
                return time.time() - began
        except (OSError, struct.error):
            pass
        time.sleep(0.005)


def start_and_memory(folder, partitions=4000, gib=12):
    """Seconds to a port that answers and MB resident: empty, with many partitions, and after kill -9 with data."""
    out = []
    for make in (lambda f: Weir(f, "log.flush=os"), Kafka):
        broker = make(folder / "start")
        side = {"start_empty_s": broker.start()}
        side["idle_mb"] = machine.resident_mb(broker.pid)
        broker.create_topic("bench", 6)
        for first in range(0, partitions, 1000):
            broker.create_topic(f"many-{first}", min(1000, partitions - first))
        side["partitions_mb"] = machine.resident_mb(broker.pid)
        wirebench("produce", broker, "bench", "--mib", str(gib * 1024))
        side["after_load_mb"] = machine.resident_mb(broker.pid)
        broker.kill()
        began = time.time()
        broker.start()
        side["start_after_kill_s"] = seconds_until_it_serves(broker, began, "bench")
        broker.stop()
        broker.remove()
        out.append(side)
    return out
