"""Broker figures: produce, fetch and latency with wirebench.py, start-up and memory; each beside Apache Kafka.

Both brokers run side by side and are measured in turn, ROUNDS times after one round that only warms up; the best two of
each are compared, because noise only ever adds.
"""
import json
import pathlib
import socket
import struct
import subprocess
import sys
import time

import machine
from brokers import Kafka, Weir, running

ROUNDS = 4
RUN_MIB = 2048
WIREBENCH = pathlib.Path(__file__).with_name("wirebench.py")


def wirebench(what, broker, topic, *options):
    command = [sys.executable, str(WIREBENCH), what, broker.address, topic, "--pid", str(broker.pid), *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def best_two(values, highest):
    return sum(sorted(values, reverse=highest)[:2]) / 2


def both(folder, weir_settings=("log.flush=os",)):
    """Weir and Kafka, both running: they are measured in turn, each at its best."""
    return running(Weir(folder / "weir", *weir_settings), Kafka(folder / "kafka"))


def in_turn(brokers, rounds, measure):
    """`measure(broker, number)` for each broker in each round. The first round warms up, a JVM above all, and is dropped."""
    runs = [[measure(broker, number) for broker in brokers] for number in range(rounds + 1)]
    return [list(side) for side in zip(*runs[1:])]


def produced(broker, folder, number, options):
    """One run into a fresh topic, with warm pages."""
    topic = f"bench-{number}"
    broker.create_topic(topic, 6, "--config", "file.delete.delay.ms=0")
    machine.warm(folder, RUN_MIB * 3 // 2)
    run = wirebench("produce", broker, topic, "--mib", str(RUN_MIB), *options)
    broker.delete_topic(topic)
    return run


def summary(runs):
    return {
        "mib_per_s": best_two([r["mib_per_s"] for r in runs], True),
        "cpu_s_per_gib": best_two([r["broker_cpu_s_per_gib"] for r in runs], False),
    }


def produce(folder, weir_settings, options, rounds=ROUNDS):
    with both(folder, weir_settings) as brokers:
        sides = in_turn(brokers, rounds, lambda broker, number: produced(broker, folder, number, options))
    return [summary(runs) for runs in sides]


def fetch(folder, rounds=ROUNDS):
    """Both brokers hold the same 2 GiB in warm pages; each is read in turn."""
    with both(folder) as brokers:
        for broker in brokers:
            broker.create_topic("bench", 6)
            wirebench("produce", broker, "bench", "--mib", str(RUN_MIB))
        sides = in_turn(brokers, rounds, lambda broker, _: wirebench("fetch", broker, "bench", "--mib", str(RUN_MIB)))
    return [summary(runs) for runs in sides]


def latency(folder, rounds=3):
    with both(folder) as brokers:
        for broker in brokers:
            broker.create_topic("bench", 1)
        sides = in_turn(brokers, rounds, lambda broker, _: wirebench("latency", broker, "bench"))
    return [{
        "p50_ms": best_two([r["end_to_end"]["p50_ms"] for r in runs], False),
        "p99_ms": best_two([r["end_to_end"]["p99_ms"] for r in runs], False),
        "cpu_s": best_two([r["broker_cpu_s"] for r in runs], False),
    } for runs in sides]


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
