"""Weir and Apache Kafka as processes to measure: same port rules, same folder rules."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOLS = pathlib.Path(os.environ.get("WEIR_TOOLS") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "weir-tools")
WEIR = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/weir"
KAFKA_VERSION = re.search(r"<kafka.version>(.*?)<", (HERE.parent / "java/pom.xml").read_text()).group(1)
JARS = TOOLS / f"kafka-{KAFKA_VERSION}"
START_LIMIT_S = 120


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """A broker process. `start()` gives the seconds until its port answered."""

    name = ""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None
        self.environment = {}

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        raise NotImplementedError

    def start(self):
        log = open(self.folder / "log", "ab")
        began = time.time()
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder, env=os.environ | self.environment)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return time.time() - began
            except OSError:
                if self.process.poll() is not None or time.time() - began > START_LIMIT_S:
                    raise SystemExit(f"{self.name} did not start: see {self.folder}/log")
                time.sleep(0.005)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def remove(self):
        shutil.rmtree(self.folder)

    def create_topic(self, topic, partitions, *options):
        admin("--bootstrap-server", self.address, "--create", "--topic", topic, "--partitions", str(partitions), *options)

    def delete_topic(self, topic):
        admin("--bootstrap-server", self.address, "--delete", "--topic", topic)


@contextlib.contextmanager
def running(*brokers):
    """All of them, until the end; what they have stored goes with them."""
    for broker in brokers:
        broker.start()
    try:
        yield brokers
    finally:
        for broker in brokers:
            broker.stop()
            broker.remove()


class Weir(Broker):
    name = "Weir"

    def __init__(self, folder, *settings):
        super().__init__(folder)
        self.http = free_port()
        self.settings = [f"listeners=PLAINTEXT://127.0.0.1:{self.port}", f"log.dirs={self.folder}/data",
                         f"http.listeners=http://127.0.0.1:{self.http}", *settings]

    def command(self):
        return [str(WEIR), "broker", *(word for setting in self.settings for word in ("--set", setting))]


class Kafka(Broker):
    name = "Apache Kafka"

    def __init__(self, folder, *settings):
        super().__init__(folder)
        controller = free_port()
        properties = [
            "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}", "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", f"log.dirs={self.folder}/data",
            "offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1", "group.initial.rebalance.delay.ms=0", *settings,
        ]
        self.config = self.folder / "server.properties"
        self.config.write_text("\n".join(properties) + "\n")
        java("kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", str(self.config), "--ignore-formatted")

    def command(self):
        # The heap and collector settings of Kafka's own start script.
        return ["java", "-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true",
                "-cp", f"{JARS}/*", "kafka.Kafka", str(self.config)]


def java(name, *arguments):
    return subprocess.run(["java", "-Xmx512M", "-cp", f"{JARS}/*", name, *arguments], check=True, capture_output=True, text=True).stdout


def admin(*arguments):
    return java("org.apache.kafka.tools.TopicCommand", *arguments)
