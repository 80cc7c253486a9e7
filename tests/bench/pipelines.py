"""Pipeline figures: file → topic beside rsyslog, topic → Postgres beside psql's \\copy, topic → index."""
import json
import os
import pathlib
import pwd
import subprocess
import time
import urllib.request

import machine
from brokers import ROOT, WEIR, Broker, Weir, free_port
from wire import best_two

LINES = 2_000_000
ROWS = 3_000_000
PG_ROUNDS = 3
DOCUMENTS = 2_000_000
SILENCE_LIMIT_S = 300
POLL_S = 0.25
COLUMNS = "line bigint, time timestamptz, clientip inet, verb text, request text, status integer, bytes bigint, referrer text, agent text"


class WeirUp(Weir):
    """The whole of Weir, with a weir.yaml."""

    def __init__(self, folder, sections):
        Broker.__init__(self, folder)
        self.http, self.connect, self.search = free_port(), free_port(), free_port()
        self.yaml = self.folder / "weir.yaml"
        self.yaml.write_text(
            f"data: {self.folder}/data\n"
            f"broker:\n  listeners: PLAINTEXT://127.0.0.1:{self.port}\n  log.flush: os\n"
            f"http:\n  listeners: http://127.0.0.1:{self.http}\n"
            f"connect:\n  listeners: http://127.0.0.1:{self.connect}\n"
            f"search:\n  listeners: http://127.0.0.1:{self.search}\n" + sections)

    def command(self):
        return [str(WEIR), "up", "-c", str(self.yaml)]


def nginx_lines(path, count):
    """`count` lines of nginx's combined format, 166 bytes each on average, each with its number."""
    with open(path, "w") as out:
        for n in range(count):
            out.write(f'10.{n % 256}.{n // 256 % 256}.7 - - [10/Oct/2026:13:{n // 60 % 60:02}:{n % 60:02} +0000] '
                      f'"GET /orders/{n % 997}?line={n:08} HTTP/1.1" 200 {n % 20000} "-" '
                      f'"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"\n')


def end_offset(broker, topic):
    from brokers import java
    out = java("org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", broker.address, "--topic", topic)
    return sum(int(line.rsplit(":", 1)[1]) for line in out.splitlines() if line.count(":") == 2)


def wait_for(what, count, reading):
    """Units per second, from the first sign of them until `reading()` reaches `count`."""
    first, last, heard = None, -1, time.time()
    while last < count:
        now = reading()
        if now > 0 and first is None:
            first = (time.time(), now)
        if now != last:
            last, heard = now, time.time()
        if time.time() - heard > SILENCE_LIMIT_S:
            raise SystemExit(f"{what}: stuck at {last} of {count}")
        time.sleep(POLL_S)
    return (count - first[1]) / max(time.time() - first[0], POLL_S)


def metric(broker, series):
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http}/metrics") as page:
        for line in page.read().decode().splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
    return 0.0


def file_to_topic(folder):
    """Lines per CPU-second of the shipper alone: for Weir the Connect worker in a process of its own."""
    source = folder / "access.log"
    nginx_lines(source, LINES)
    broker = Weir(folder / "broker", "log.flush=os")
    broker.start()
    out = {}

    broker.create_topic("by-weir", 1)
    yaml = folder / "tail.yaml"
    yaml.write_text(f"connect:\n  bootstrap.servers: {broker.address}\n  listeners: http://127.0.0.1:{free_port()}\n"
                    f"connectors:\n  tail: {{class: file-tail, paths: ['{source}'], topic: by-weir}}\n")
    out["weir"] = shipped([str(WEIR), "connect", "run", "-c", str(yaml)], broker, "by-weir", folder)

    broker.create_topic("by-rsyslog", 1)
    conf = folder / "rsyslog.conf"
    conf.write_text(
        f'global(workDirectory="{folder}")\nmodule(load="imfile" mode="inotify")\nmodule(load="omkafka")\n'
        'template(name="raw" type="string" string="%msg%")\n'
        'main_queue(queue.size="200000" queue.dequeuebatchsize="4096")\n'
        f'input(type="imfile" file="{source}" tag="bench" readMode="0" reopenOnTruncate="on")\n'
        f'action(type="omkafka" broker=["{broker.address}"] topic="by-rsyslog" template="raw" '
        'confParam=["compression.codec=none","queue.buffering.max.messages=400000","linger.ms=20"])\n')
    out["rsyslog"] = shipped(["rsyslogd", "-n", "-f", str(conf), "-i", str(folder / "rsyslog.pid")], broker, "by-rsyslog", folder)
    broker.stop()
    return out


def shipped(command, broker, topic, folder):
    log = open(folder / "shipper.log", "ab")
    shipper = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    series = f'weir_records_in_total{{topic="{topic}"}}'
    rate = wait_for(f"{command[0]} into {topic}", LINES, lambda: metric(broker, series))
    cpu, resident = machine.cpu_seconds(shipper.pid), machine.resident_mb(shipper.pid)
    shipper.terminate()
    shipper.wait()
    return {"lines_per_cpu_s": LINES / cpu, "lines_per_s": rate, "resident_mb": resident,
            "records": end_offset(broker, topic)}


class Postgres:
    """A private server, as Debian's package installs it; root runs it as the user `postgres`."""

    def __init__(self, folder):
        newest = max(pathlib.Path("/usr/lib/postgresql").iterdir(), key=lambda p: int(p.name))
        # The server runs as another user, who has to get in.
        folder.chmod(0o755)
        self.bin, self.data, self.port = newest / "bin", folder / "postgres", free_port()
        self.data.mkdir()
        self.become = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.data, user.pw_uid, user.pw_gid)
            self.become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        self.run("initdb", "-D", str(self.data), "-U", "weir", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        command = [*self.become, str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", str(self.data),
                   "-h", "127.0.0.1", "-c", "max_wal_size=4GB", "-c", "shared_buffers=512MB"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        while subprocess.run([*self.become, str(self.bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)],
                             stdout=subprocess.DEVNULL, cwd="/").returncode:
            time.sleep(0.1)

    def run(self, program, *arguments):
        return subprocess.run([*self.become, str(self.bin / program), *arguments], check=True, capture_output=True, text=True, cwd="/").stdout

    def sql(self, text):
        return self.run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "weir", "-d", "postgres", "-qAtc", text).strip()

    @property
    def url(self):
        return f"postgres://weir@127.0.0.1:{self.port}/postgres"

    def stop(self):
        self.process.terminate()
        self.process.wait()


def row(n):
    return {"line": n, "time": f"2026-10-10T13:{n // 60 % 60:02}:{n % 60:02}Z", "clientip": f"10.{n % 256}.{n // 256 % 256}.7",
            "verb": "GET", "request": f"/orders/{n % 997}?line={n}", "status": 200, "bytes": n % 20000, "referrer": "-",
            "agent": "Mozilla/5.0 (X11; Linux x86_64)"}


def fill(broker, topic, count):
    """JSON rows into one partition, through kcat's bigger sibling: the CLI's own producer."""
    file = broker.folder / f"{topic}.jsonl"
    with open(file, "w") as out:
        out.writelines(json.dumps(row(n), separators=(",", ":")) + "\n" for n in range(count))
    subprocess.run([str(WEIR), "produce", topic, "--bootstrap-server", broker.address, "--file", str(file)], check=True, stdout=subprocess.DEVNULL)
    file.unlink()


def topic_to_postgres(folder):
    """Both write into tables of the same shape in one server, in turn; the first round makes the server warm."""
    postgres = Postgres(folder)
    csv = folder / "rows.csv"
    with open(csv, "w") as out:
        out.writelines("\t".join(str(v) for v in row(n).values()) + "\n" for n in range(ROWS))
    csv.chmod(0o644)
    broker = WeirUp(folder / "weir", "")
    broker.start()
    broker.create_topic("rows", 1)
    fill(broker, "rows", ROWS)
    rounds = [{"copied": copy(postgres, csv), **sink(postgres, broker, f"sink-{number}")} for number in range(PG_ROUNDS + 1)][1:]
    broker.stop()
    postgres.stop()
    return {"copy_rows_per_s": best_two([one["copied"] for one in rounds], True),
            "weir_rows_per_s": best_two([one["sunk"] for one in rounds], True), "exactly_once": all(one["once"] for one in rounds)}


def copy(postgres, csv):
    postgres.sql(f"create table copied ({COLUMNS})")
    began = time.time()
    postgres.run("psql", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "weir", "-d", "postgres", "-qc", f"\\copy copied from '{csv}'")
    took = time.time() - began
    # What one has dirtied must not be written while the other is measured.
    postgres.sql("drop table copied; checkpoint")
    return ROWS / took


def sink(postgres, broker, name):
    postgres.sql(f"create table sunk ({COLUMNS})")
    config = {"connector.class": "postgres", "topics": "rows", "url": postgres.url, "table": "sunk"}

    def committed():
        # The sink's own offsets: counting the rows would take a core from what is measured.
        if postgres.sql("select to_regclass('weir_connect_offsets')"):
            return int(postgres.sql(f"select coalesce(sum(next_offset), 0) from weir_connect_offsets where connector = '{name}'"))
        return 0

    rate = connector(broker, name, config, "Postgres", ROWS, committed)
    rows, distinct = postgres.sql("select count(*), count(distinct line) from sunk").split("|")
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{broker.connect}/connectors/{name}", method="DELETE")).read()
    postgres.sql("drop table sunk; checkpoint")
    return {"sunk": rate, "once": int(rows) == int(distinct) == ROWS}


def topic_to_index(folder):
    broker = WeirUp(folder / "weir", "")
    broker.start()
    broker.create_topic("docs", 1)
    fill(broker, "docs", DOCUMENTS)

    def indexed():
        request = urllib.request.Request(f"http://127.0.0.1:{broker.search}/docs-*/_search", method="POST",
                                         data=b'{"size":0,"track_total_hits":true}', headers={"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["hits"]["total"]["value"]

    config = {"connector.class": "search", "topics": "docs", "url": "embedded", "index": "docs-%Y.%m.%d"}
    rate = connector(broker, "sink", config, "the index", DOCUMENTS, indexed)
    resident = machine.resident_mb(broker.pid)
    broker.stop()
    return {"documents_per_s": rate, "resident_mb": resident}


def connector(broker, name, config, what, count, reading):
    body = json.dumps({"name": name, "config": config}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{broker.connect}/connectors", method="POST", data=body,
                                     headers={"content-type": "application/json"})
    urllib.request.urlopen(request).read()
    return wait_for(what, count, reading)
