#!/usr/bin/env python3
"""Runs the demo with consumers that behave well and badly, and a Prometheus with the shipped rules, then draws the dashboards.

  tests/dashboards/pictures.py WEIR_DEMO PACKAGES FOLDER [SECONDS]
"""
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

import draw
import live

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS = "http://127.0.0.1:9990"
BOOTSTRAP = {"bootstrap.servers": "localhost:9092"}
SECONDS = 360
CONFIG = """
global: {{scrape_interval: 5s, evaluation_interval: 5s}}
rule_files: ['{rules}/*.yml']
scrape_configs:
  - job_name: weir
    static_configs: [{{targets: ['localhost:9464'], labels: {{cluster: demo}}}}]
"""
TOPICS = {"orders": (200, 500), "clicks": (600, 200), "payments": (20, 1500)}


def produce(topic, rate, size):
    producer = Producer(BOOTSTRAP)
    while True:
        for _ in range(max(1, rate // 10)):
            producer.produce(topic, key=str(random.random()), value=b"x" * random.randint(size // 2, size))
        producer.poll(0)
        time.sleep(0.1)


def consume(group, topics, pause, seconds):
    """Reads with a pause after each record; leaves after `seconds`."""
    consumer = Consumer({**BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe(topics)
    end = time.time() + seconds
    while time.time() < end:
        if consumer.poll(0.5) is not None:
            time.sleep(pause)
    consumer.close()


def crowd(seconds):
    admin = AdminClient(BOOTSTRAP)
    for topic in TOPICS:
        admin.create_topics([NewTopic(topic, 3, 1)])[topic].result()
    jobs = [(produce, (topic, *load)) for topic, load in TOPICS.items()]
    jobs += [(consume, ("billing", ["orders"], 0, seconds))] * 2
    jobs += [(consume, ("analytics", ["clicks", "orders"], 0, seconds)), (consume, ("slow-export", ["clicks"], 0.004, seconds)),
             (consume, ("fraud", ["payments"], 0, seconds / 4))]
    for job, arguments in jobs:
        threading.Thread(target=job, args=arguments, daemon=True).start()


def wait_for(url):
    for _ in range(100):
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(url, timeout=1).read()
        time.sleep(0.2)
    sys.exit(f"{url} does not answer")


@contextlib.contextmanager
def running(command, end=signal.SIGTERM, **how):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
    try:
        yield
    finally:
        process.send_signal(end)
        process.wait(120)


def main():
    demo, packages, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    seconds = int(sys.argv[4]) if len(sys.argv) > 4 else SECONDS
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (scratch / "prometheus.yml").write_text(CONFIG.format(rules=ROOT / "dashboards/alerts"))
        stack.enter_context(running([demo], signal.SIGINT, env={**os.environ, "DEMO_RATE": "400"}, cwd=scratch))
        wait_for("http://localhost:9464/health/ready")
        stack.enter_context(running(["prometheus", f"--config.file={scratch}/prometheus.yml", f"--storage.tsdb.path={scratch}/tsdb",
                                     f"--web.listen-address={PROMETHEUS.removeprefix('http://')}"]))
        try:
            crowd(seconds)
        except KafkaException as error:
            sys.exit(f"the demo's broker: {error}")
        for left in range(seconds, 0, -1):
            print(f"\r{left} s until the pictures are taken ", end="", file=sys.stderr, flush=True)
            time.sleep(1)
        print(file=sys.stderr)
        prometheus, search = live.Prometheus(PROMETHEUS, seconds), live.Search("http://localhost:9200", seconds)
        answers = [live.evaluated(file, prometheus, search, {}, "1m", seconds) for file in sorted(live.DASHBOARDS.glob("*.json"))]
    for picture in draw.draw(answers, packages, folder):
        print(picture)


if __name__ == "__main__":
    main()
