"""What watching costs: produce with metrics, scrapes and traces on and off; scrapes of many partitions and groups."""
import contextlib
import http.server
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import machine
from brokers import Weir, free_port, running
from wire import wirebench
from wirebench import Producer, request, response, string

TURN_MIB, TURNS, ROUNDS = 128, 4, 100
MEMORY = pathlib.Path("/dev/shm")
PARTITIONS, TOPICS, GROUPS = 10_000, 1_000, 1_000
TOPICS_PER_GROUP = 2
SCRAPES = 21
SETTLED_MB = 0.5
COORDINATOR_LOAD_IN_PROGRESS = 14
SCRAPERS, SLOW_SCRAPERS, CROWD_TOPICS = 100, 50, 100
LATENCY_ROUNDS = 4
LATENCY_S = 10


def traced(folder, receiver_port):
    """With one request in a hundred told to a receiver of traces."""
    broker = Weir(folder, "log.flush=os")
    broker.environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver_port}",
                          "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
    return broker


def text(broker):
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http}/metrics", timeout=60) as answer:
        return answer.read()


def value(broker, series):
    line = next(line for line in text(broker).decode().splitlines() if line.startswith(series + " "))
    return float(line.rsplit(" ", 1)[1])


class Load:
    """A producer to a topic of its own, in short turns; `each_second` of its own time something is done beside it."""

    def __init__(self, broker, each_second=None):
        self.broker, self.each_second, self.seconds, self.done = broker, each_second, 0, 0

    def begin(self, topic):
        create_topics(self.broker, [topic], 6, {"file.delete.delay.ms": "0"})
        self.topic, self.producer = topic, Producer(self.broker.address, topic)

    def turn(self):
        beside = None
        if self.each_second and self.seconds >= self.done:
            self.done += 1
            beside = threading.Thread(target=self.each_second)
        began = time.perf_counter()
        if beside:
            beside.start()
        self.producer.send(TURN_MIB * 2**20 // self.producer.round_bytes)
        if beside:
            beside.join()
        self.seconds += time.perf_counter() - began

    def end(self):
        self.producer.close()
        delete_topic(self.broker, self.topic)


def compared(watched, alone, each_second=None):
    """Throughput watched over that alone. In turns of a few hundredths of a second, so that a machine that has moods has them
    for both; and in many rounds with connections and topics of their own, whose places make a few percent by chance."""
    loads = [Load(watched, each_second), Load(alone)]
    ratios = []
    for number in range(ROUNDS + 1):
        before = [load.seconds for load in loads]
        for load in loads:
            load.begin(f"bench-{number}")
        for turn in range(TURNS):
            for load in loads if (turn + number) % 2 else reversed(loads):
                load.turn()
        for load in loads:
            load.end()
        if number:  # the first round warms up
            took = [load.seconds - seconds for load, seconds in zip(loads, before)]
            ratios.append(took[1] / took[0])
    mib = (ROUNDS + 1) * TURNS * TURN_MIB
    return {"speed": statistics.mean(ratios), "error": statistics.stdev(ratios) / len(ratios) ** 0.5, "mib_per_s": mib / loads[0].seconds}


@contextlib.contextmanager
def in_memory(folder):
    """A folder without a disk under it, whose moods would hide what is looked for."""
    with tempfile.TemporaryDirectory(prefix="weir-bench-", dir=MEMORY if MEMORY.is_dir() else folder) as place:
        yield pathlib.Path(place)


def metrics(folder):
    """Every partition a series and a scrape each second, against one series for all and nobody who asks: counting as such
    cannot be switched off."""
    with in_memory(folder) as place:
        watched = Weir(place / "watched", "log.flush=os", "metrics.level=partition")
        alone = Weir(place / "alone", "log.flush=os", "metrics.level=cluster")
        with running(watched, alone):
            machine.warm(place, 3 * TURNS * TURN_MIB)
            return compared(watched, alone, lambda: text(watched))


def traces(folder):
    """One trace in a hundred, sent to a receiver on this machine, against none."""
    with receiver() as (port, received), in_memory(folder) as place:
        watched, alone = traced(place / "traced", port), Weir(place / "alone", "log.flush=os")
        with running(watched, alone):
            machine.warm(place, 3 * TURNS * TURN_MIB)
            result = compared(watched, alone)
            result["exported"] = value(watched, "weir_trace_spans_exported_total")
            result["dropped"] = value(watched, "weir_trace_spans_dropped_total")
    return result | {"received_bytes": received[0]}


@contextlib.contextmanager
def receiver():
    """Takes spans and forgets them."""
    received = [0]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            received[0] += len(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()
        thread.join()


class Connection:
    """One request after another, as `wirebench.request` frames them."""

    def __init__(self, broker):
        self.socket = socket.create_connection(("127.0.0.1", broker.port), 60)

    def ask(self, api, version, body):
        self.socket.sendall(request(api, version, 1, body))
        return bytes(response(self.socket))


def commit(broker, topics, partitions):
    """Each group commits offset 0 in every partition of some of the topics. OffsetCommit v2, without a member."""
    connection = Connection(broker)
    # The first that asks for a coordinator makes the topic of offsets: FindCoordinator v0.
    while any(connection.ask(10, 0, string("x"))[4:6]):
        time.sleep(0.1)
    each = struct.pack(">i", partitions) + b"".join(struct.pack(">iqh", partition, 0, -1) for partition in range(partitions))
    for number in range(GROUPS):
        group, read = f"group-{number:04}", [topics[(number + more) % len(topics)] for more in range(TOPICS_PER_GROUP)]
        body = string(group) + struct.pack(">i", -1) + string("") + struct.pack(">qi", -1, len(read))
        body += b"".join(string(topic) + each for topic in read)
        while error := int.from_bytes(connection.ask(8, 2, body)[-2:], "big"):
            if error != COORDINATOR_LOAD_IN_PROGRESS:
                raise SystemExit(f"the commit of {group} was refused: error {error}")
            time.sleep(0.1)


def create_topics(broker, names, partitions, settings={}):
    """CreateTopics v2, a hundred at once: Kafka's tool takes a second for each."""
    connection = Connection(broker)
    configs = struct.pack(">i", len(settings)) + b"".join(string(key) + string(value) for key, value in settings.items())
    for first in range(0, len(names), 100):
        some = [string(name) + struct.pack(">ihi", partitions, 1, 0) + configs for name in names[first:first + 100]]
        connection.ask(19, 2, struct.pack(">i", len(some)) + b"".join(some) + struct.pack(">ib", 60_000, 0))


def delete_topic(broker, name):
    """DeleteTopics v1; over once its files are gone."""
    Connection(broker).ask(20, 1, struct.pack(">i", 1) + string(name) + struct.pack(">i", 60_000))
    while any(broker.folder.glob(f"**/{name}-*")):
        time.sleep(0.02)


def scrapes(folder):
    """The page of many partitions and groups: seconds and bytes. And what it takes of memory, with the groups themselves: more
    than a broker that has the partitions and nothing to do."""
    broker = Weir(folder / "many", "log.flush=os")
    broker.start()
    names, each = [f"topic-{number:04}" for number in range(TOPICS)], PARTITIONS // TOPICS
    create_topics(broker, names, each)
    broker.stop()
    broker.start()
    idle_mb = settled_mb(broker)
    commit(broker, names, each)
    seconds = []
    for _ in range(SCRAPES):
        began = time.perf_counter()
        page = text(broker)
        seconds.append(time.perf_counter() - began)
    result = {"first_s": seconds[0], "median_s": statistics.median(seconds[1:]), "max_s": max(seconds), "page_mb": len(page) / 1e6,
              "series": sum(not line.startswith(b"#") for line in page.splitlines()),
              "idle_mb": idle_mb, "grown_mb": settled_mb(broker) - idle_mb}
    broker.stop()
    broker.remove()
    return result


def settled_mb(broker):
    """Resident, once it is ready and that stays the same."""
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{broker.http}/health/ready", timeout=60).close()
            break
        time.sleep(0.05)
    before = 0
    while abs((now := machine.resident_mb(broker.pid)) - before) > SETTLED_MB:
        before = now
        time.sleep(3)
    return now


def crowd(broker):
    """Scrapers by the hundred each second, and some that read a byte a second: a process of its own, as they would be."""
    words = [sys.executable, __file__, "crowd", str(broker.http)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def latency_in_a_crowd(folder):
    """p50 and p99 of a steady producer beside a thousand groups: alone, while many scrape, and while as many scrape another
    broker like it on the same processors: what that costs is not the measured broker's doing."""
    broker, other = Weir(folder / "crowd", "log.flush=os"), Weir(folder / "other", "log.flush=os")
    with running(broker, other):
        broker.create_topic("bench", 1)
        names = [f"topic-{number:04}" for number in range(CROWD_TOPICS)]
        for each in (broker, other):
            create_topics(each, names, PARTITIONS // TOPICS)
            commit(each, names, PARTITIONS // TOPICS)
        scraped = {"alone": None, "other": other, "crowd": broker}
        sides = {side: [] for side in scraped}
        for number in range(LATENCY_ROUNDS + 1):
            for side, runs in sides.items():
                scrapers = crowd(scraped[side]) if scraped[side] else None
                try:
                    run = wirebench("latency", broker, "bench", "--seconds", str(LATENCY_S))["acknowledged"]
                finally:
                    if scrapers:
                        scrapers.terminate()
                        scrapers.wait()
                if number:
                    runs.append(run)
    median = lambda side, key: statistics.median(run[key] for run in sides[side])
    return {side: {key: median(side, key) for key in ("p50_ms", "p99_ms")} for side in sides}


def be_a_crowd(port):
    """Bounded in time: ends by itself."""
    until = time.time() + 60
    ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(SLOW_SCRAPERS)]
    for s in slow:
        s.sendall(ask)
    while time.time() < until:
        began = time.time()
        many = [socket.create_connection(("127.0.0.1", port)) for _ in range(SCRAPERS)]
        for s in many:
            s.sendall(ask)
        for s in many:
            while s.recv(1 << 16):
                pass
            s.close()
        for s in slow:
            with contextlib.suppress(OSError):
                s.recv(1)
        time.sleep(max(0, began + 1 - time.time()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["crowd"]:
        be_a_crowd(int(sys.argv[2]))
