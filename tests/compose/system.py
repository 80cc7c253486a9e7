#!/usr/bin/env python3
"""Builds Weir's image and runs deploy/docker-compose.yml with it, with a Docker daemon of its own (engine.py) and without a
registry: bases are made of Debian's packages under the tags that the files name. Not here: Grafana, which no package has, and the
image's compilation, for which the binary that is there stands in; the source that it would compile is checked.

  tests/compose/system.py WEIR     WEIR: the binary, built on this release of Debian
"""
import json
import os
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import time
import urllib.request

from engine import DEBIAN, CannotStart, Engine, enter, obstacle
from service import the_unit_runs
from tools import DEPLOY, ROOT, TOOLS, Failed, environment, expect, run, wait_until

IMAGE = "weir:0.1.0"
SERVERS = "servers:debian"
SERVICES = ["weir", "generator", "postgres", "prometheus", "alertmanager", "receiver"]
REVISION = "0123456789abcdef"
PASSWORD = "another password"
USER = "10001"
# What the image holds beside its base and the binary: configuration, a user.
IMAGE_EXTRA_BYTES_MAX = 5 << 20
# Once the images are there: all services answer, and everything that is to be seen is there.
UP_SECONDS = 60
CONNECT_SECONDS = 5
# The whole workspace, where nothing was compiled before.
COMPILE_SECONDS_MAX = 1800
STREAMS = {"access": "access_log", "app": "app_log"}


class System:
    """The compose file in a copy of what it mounts, with a password of its own."""

    def __init__(self, engine, folder):
        self.engine = engine
        for part in ("deploy", "dashboards", "examples"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("weir"))
        self.folder = folder / "deploy"
        (self.folder / "secrets/postgres-password").write_text(f"{PASSWORD}\n")

    def compose(self, *arguments, check=True):
        return run("docker-compose", *arguments, check=check, env=self.engine.environment, cwd=self.folder)

    def up(self):
        """How long it took."""
        began = time.monotonic()
        self.compose("up", "--detach", "--wait", "--wait-timeout", UP_SECONDS, "--no-build", "--pull", "never", *SERVICES)
        return time.monotonic() - began

    def container(self, service):
        return self.engine.inspect(f"weir-{service}-1")

    def weir(self, *arguments):
        return self.compose("exec", "--no-TTY", "weir", "weir", *arguments).stdout

    def query(self, sql):
        """The rows of an answer, over the network with the password of the file."""
        url = "postgresql://weir@127.0.0.1/weir"
        command = ["exec", "--no-TTY", "--env", f"PGPASSWORD={PASSWORD}", "postgres", "psql", "--no-align", "--tuples-only", "--command", sql, url]
        return [line.split("|") for line in self.compose(*command).stdout.splitlines()]


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def get_json(port, path):
    return json.loads(get(port, path))


def build_images(engine, folder, weir):
    engine.docker("tag", DEBIAN, base_image())
    engine.import_image(TOOLS / "servers.tar", SERVERS)
    stand_ins = ROOT / "tests/compose/stand-ins"
    for service, image in re.findall(r"^  (prometheus|alertmanager|postgres):\n    .*?image: (\S+)", compose_text(), re.M | re.S):
        engine.build(stand_ins, image, "--build-arg", f"DEBIAN={SERVERS}", "--target", service)
    context = folder / "context"
    shutil.copytree(DEPLOY / "image", context / "deploy/image")
    shutil.copy(DEPLOY / "Dockerfile", context / "deploy")
    run("strip", "--strip-debug", "-o", context / "weir", weir)
    engine.build(context, IMAGE, "--file", context / "deploy/Dockerfile", "--target", "runtime-prebuilt", "--build-arg", "BINARY=weir",
                 "--build-arg", f"REVISION={REVISION}")
    return (context / "weir").stat().st_size


def compose_text():
    return (DEPLOY / "docker-compose.yml").read_text()


def base_image():
    return re.search(r"^ARG BASE_IMAGE=(.+)$", (DEPLOY / "Dockerfile").read_text(), re.M)[1]


def the_source_in_the_build_context_is_whole(engine, folder):
    """What the stage that compiles gets, compiled here as far as types go: a file that .dockerignore keeps out is missed, and none
    is there that it should keep out."""
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /source\n")
    engine.build(ROOT, "source:context", "--file", folder / "Dockerfile")
    created = engine.docker("create", "source:context", "none").stdout.strip()
    # In one place always, so that it is compiled anew only as far as it has changed.
    source = TOOLS / "source"
    shutil.rmtree(source, ignore_errors=True)
    engine.docker("cp", f"{created}:/source", source)
    sent = {path.name for path in (*source.iterdir(), *(source / "deploy").iterdir())}
    surplus = sent - {"Cargo.lock", "Cargo.toml", "broker", "cli", "connect", "docs", "tests", "deploy", "image", "weir"}
    expect(not surplus, f"the builder gets {', '.join(sorted(surplus))}, too")
    # A file that a macro takes in is none that Cargo looks at.
    for file in source.rglob("*.rs"):
        file.touch()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or "target")
    run("cargo", "check", "--quiet", "--offline", "--locked", "-p", "weir", cwd=source, env=environment(CARGO_TARGET_DIR=str(ROOT / target)),
        timeout=COMPILE_SECONDS_MAX)


def the_image_is_small_and_says_what_it_is(engine, binary_bytes):
    image, base = (engine.inspect(name, "image") for name in (IMAGE, base_image()))
    extra = image["Size"] - base["Size"] - binary_bytes
    expect(extra < IMAGE_EXTRA_BYTES_MAX, f"the image has {extra} bytes beside its base and the binary")
    config = image["Config"]
    expect(config["User"].split(":")[0] == USER, f"the image's user is {config['User']}")
    expect(config["StopSignal"] == "SIGTERM" and config["Healthcheck"]["Test"] == ["CMD", "weir", "health"], f"{config}")
    version = engine.docker("run", "--rm", IMAGE, "version").stdout.split()[1]
    labels = {name.rsplit(".", 1)[1]: value for name, value in config["Labels"].items()}
    expect((labels["version"], labels["revision"]) == (version, REVISION), f"its labels are {labels}, it is {version}")


def the_image_runs_alone_on_a_root_that_nobody_writes(engine):
    """As it comes, with settings as variables, and with a file in the place of its own."""
    hardened = ["--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    advertised = "WEIR_BROKER_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092"
    engine.docker("run", *hardened, "--name", "alone", "--env", advertised, "--env", "WEIR_BROKER_NUM_PARTITIONS=3", IMAGE)
    wait_until("the image to be healthy", lambda: engine.inspect("alone")["State"]["Health"]["Status"] == "healthy", UP_SECONDS)
    inside = ["exec", "--interactive", "alone"]
    engine.docker(*inside, "weir", "produce", "orders", input="one\n")
    record = engine.docker(*inside, "weir", "consume", "orders", "--from-beginning", "--exit-at-end").stdout
    expect(record == "one\n", f"the record came out as {record!r}")
    partitions = json.loads(engine.docker(*inside, "weir", "topics", "describe", "orders", "--output", "json").stdout)["partitions"]
    expect(len(partitions) == 3, "WEIR_BROKER_NUM_PARTITIONS has no effect")
    expect(engine.docker(*inside, "id", "--user").stdout.strip() == USER, "it runs as another user")
    written = engine.docker(*inside, "touch", "/etc/weir/written", check=False)
    expect("Read-only file system" in written.stderr, f"its root can be written: {written.stderr}")
    engine.docker("stop", "--time", "30", "alone")
    state = engine.inspect("alone")["State"]
    expect(state["ExitCode"] == 0, f"it did not stop within 30 s: exit code {state['ExitCode']}")
    engine.docker("rm", "--volumes", "alone")
    own = DEPLOY / "image/weir.yaml"
    refused = engine.docker("run", "--rm", "--read-only", "--volume", f"{own}:/etc/weir/weir.yaml:ro", "--env", "WEIR_LOG_FORMAT=neither", IMAGE, check=False)
    expect(refused.returncode == 2 and "WEIR_LOG_FORMAT" in refused.stderr, f"a wrong setting: {refused.returncode} {refused.stderr}")


def everything_is_there_within_a_minute(system):
    began = time.monotonic()
    system.up()

    def within(what, holds):
        wait_until(what, holds, max(1, UP_SECONDS - (time.monotonic() - began)))

    for stream, table in STREAMS.items():
        within(f"rows in {table}", lambda table=table: int(system.query(f"select count(*) from {table}")[0][0]) > 0)
        within(f"documents of {stream}", lambda stream=stream: documents(stream) > 0)
    within("all targets to be up", all_targets_are_up)
    within("the rules to be evaluated", all_rules_are_evaluated)
    within("every dashboard to show something", every_dashboard_shows_something)
    seconds = time.monotonic() - began
    print(f"compose: everything is there after {seconds:.0f} s", flush=True)


def documents(stream):
    return get_json(9200, f"/{stream}-*/_search?size=0&track_total_hits=true")["hits"]["total"]["value"]


def all_targets_are_up():
    targets = get_json(9090, "/api/v1/targets")["data"]["activeTargets"]
    down = [f"{target['labels']['job']}: {target['lastError']}" for target in targets if target["health"] != "up"]
    expect(not down, ", ".join(down))
    return {target["labels"]["job"] for target in targets} >= {"weir", "prometheus", "alertmanager"}


def all_rules_are_evaluated():
    rules = [rule for group in get_json(9090, "/api/v1/rules")["data"]["groups"] for rule in group["rules"]]
    wrong = [f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}" for rule in rules if rule["health"] != "ok"]
    expect(not wrong, ", ".join(wrong))
    alerts = {name for path in (ROOT / "dashboards/alerts").glob("*.yml") for name in re.findall(r"- alert: (\w+)", path.read_text())}
    return alerts <= {rule["name"] for rule in rules}


def every_dashboard_shows_something():
    asked = run(sys.executable, ROOT / "tests/dashboards/live.py", "--prometheus", "http://127.0.0.1:9090", "--search", "http://127.0.0.1:9200",
                "--seconds", "60", "--rate-interval", "20s")
    dashboards = json.loads(asked.stdout)
    for dashboard in dashboards:
        panels = [panel for panel in dashboard["panels"] if panel["answers"]]
        filled = [panel for panel in panels if any(has_data(answer) for answer in panel["answers"])]
        # Some show only what is wrong, and others what this system does not have.
        expect(len(filled) > len(panels) / 2, f"{dashboard['uid']}: {len(filled)} of {len(panels)} panels have data")
    return {dashboard["uid"] for dashboard in dashboards} >= {"weir-cluster", "weir-logs"}


def has_data(answer):
    return bool(answer.get("series")) or answer.get("answer", {}).get("hits", {}).get("total", {}).get("value", 0) > 0


def ports_are_closed_to_others(system):
    """An address of this machine that is not the loopback's, where others would knock."""
    networks = system.container("weir")["NetworkSettings"]["Networks"].values()
    [gateway] = [network["Gateway"] for network in networks]
    published = [port for service in SERVICES for ports in system.container(service)["NetworkSettings"]["Ports"].values() for port in ports or []]
    expect(len(published) >= len(SERVICES), f"few ports are published: {published}")
    for port in published:
        with socket.socket() as knocking:
            knocking.settimeout(CONNECT_SECONDS)
            open_to_others = knocking.connect_ex((gateway, int(port["HostPort"]))) == 0
        expect(not open_to_others, f"port {port['HostPort']} is open at {gateway}")


def clients_outside_of_the_containers_find_the_broker(weir):
    """They are told the machine's name, and not that of a container."""
    env = environment(WEIR_BOOTSTRAP_SERVER="127.0.0.1:9092")
    run(weir, "produce", "from-outside", env=env, input="hello\n")
    record = run(weir, "consume", "from-outside", "--from-beginning", "--exit-at-end", env=env).stdout
    expect(record == "hello\n", f"the record came out as {record!r}")


def a_line_that_is_none_reaches_the_receiver_as_an_alert(system):
    system.compose("exec", "--no-TTY", "generator", "sh", "-c", "echo this line is none >> /var/log/weir/access.log")
    alert = wait_until("the alert at the receiver", lambda: re.search(r"^.* FIRING .* WeirDeadLetters: .*access-tail.*$", get(9095, "/"), re.M), UP_SECONDS)
    expect(alert[0] in system.compose("logs", "--no-log-prefix", "receiver").stdout, "the receiver's log does not show it")
    print(f"compose: {alert[0]}", flush=True)


def the_link_in_the_alert_leads_to_its_page():
    [alert] = [one for one in get_json(9090, "/api/v1/alerts")["data"]["alerts"] if one["labels"]["alertname"] == "WeirDeadLetters"]
    link = alert["annotations"]["runbook_url"]
    expect(link == "http://localhost:9464/docs/runbooks/WeirDeadLetters.md", f"the alert's link is {link}")
    expect("WeirDeadLetters" in get(9464, "/docs/runbooks/WeirDeadLetters.md"), "its page is another")


def old_lines_leave_postgres(system):
    system.query("insert into access_log (line, time) values (-1, now() - interval '25 hours')")
    [[kept]] = system.query("select count(*) from access_log where line < 0")
    expect(kept == "0", "a line of yesterday stays")


def an_edited_file_is_checked_and_taken(system):
    """Edited as most editors do it: another file takes its name, and a running container has the one that it started with."""
    path = system.folder / "weir.yaml"
    before = path.read_text()

    def edit(text):
        other = path.with_suffix(".new")
        other.write_text(text)
        other.rename(path)

    def check():
        return system.compose("run", "--rm", "--no-deps", "--no-TTY", "weir", "check", "/etc/weir/weir.yaml", check=False)

    edit(before.replace("log.retention.bytes", "log.retention.bites"))
    checked = check()
    expect(checked.returncode == 2 and "`log.retention.bites`" in checked.stdout, f"a wrong file: {checked.returncode} {checked.stdout}{checked.stderr}")
    edit(before.replace("level: info", "level: warn", 1))
    checked = check()
    expect(checked.returncode == 0, f"a right file: {checked.returncode} {checked.stdout}{checked.stderr}")
    system.compose("restart", "weir")
    wait_until("Weir to serve again", lambda: system.container("weir")["State"]["Health"]["Status"] == "healthy", UP_SECONDS)
    taken = system.compose("exec", "--no-TTY", "weir", "cat", "/etc/weir/weir.yaml").stdout
    expect("level: warn" in taken, "a restart does not take the edited file")
    edit(before)


def weir_stops_within_its_grace(system):
    grace = system.container("weir")["Config"]["StopTimeout"]
    began = time.monotonic()
    system.compose("stop", "weir")
    seconds, state = time.monotonic() - began, system.container("weir")["State"]
    expect(state["ExitCode"] == 0 and seconds < grace, f"it stopped after {seconds:.1f} s with exit code {state['ExitCode']}; its grace is {grace} s")
    print(f"compose: weir stops in {seconds:.1f} s, of {grace} s that it may take", flush=True)


def data_survives_down_and_up(system):
    before = {stream: (count(system, table), documents(stream)) for stream, table in STREAMS.items()}
    weir_stops_within_its_grace(system)
    system.compose("down")
    system.up()
    for stream, table in STREAMS.items():
        kept = (count(system, table), documents(stream))
        expect(all(now >= then for now, then in zip(kept, before[stream])), f"{stream}: {kept} rows and documents, after {before[stream]}")
    record = system.weir("consume", "from-outside", "--from-beginning", "--exit-at-end")
    expect(record == "hello\n", f"the record of before is {record!r}")


def count(system, table):
    return int(system.query(f"select count(*) from {table}")[0][0])


def every_line_has_arrived_exactly_once(system):
    """After a stop of Weir, a down and an up; lines are numbered from 0."""
    system.compose("stop", "generator")
    written = int(re.findall(r"wrote lines up to number (\d+)", system.compose("logs", "generator").stdout)[-1]) + 1
    for stream, table in STREAMS.items():
        wait_until(f"{written} rows in {table}", lambda table=table: count(system, table) >= written, UP_SECONDS)
        wait_until(f"{written} documents of {stream}", lambda stream=stream: documents(stream) >= written, UP_SECONDS)
        [row] = system.query(f"select count(*), count(distinct line), min(line), max(line) from {table}")
        expect(row == [str(written), str(written), "0", str(written - 1)], f"{table}: count, distinct, first, last are {row}, of {written} lines")
        expect(documents(stream) == written, f"{stream}: {documents(stream)} documents of {written} lines")
    print(f"compose: {written} lines of each file arrived exactly once", flush=True)


def main():
    if reason := obstacle():
        print(f"compose: not run, since {reason}")
        return
    enter()
    weir = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="weir-compose-") as name:
        folder = pathlib.Path(name)
        with Engine(folder / "engine") as engine:
            print("compose: building images", flush=True)
            binary_bytes = build_images(engine, folder, weir)
            the_source_in_the_build_context_is_whole(engine, folder)
            the_image_is_small_and_says_what_it_is(engine, binary_bytes)
            the_image_runs_alone_on_a_root_that_nobody_writes(engine)
            the_unit_runs(engine, folder, folder / "context/weir", SERVERS)
            system = System(engine, folder)
            everything_is_there_within_a_minute(system)
            ports_are_closed_to_others(system)
            clients_outside_of_the_containers_find_the_broker(weir)
            a_line_that_is_none_reaches_the_receiver_as_an_alert(system)
            the_link_in_the_alert_leads_to_its_page()
            old_lines_leave_postgres(system)
            an_edited_file_is_checked_and_taken(system)
            data_survives_down_and_up(system)
            every_line_has_arrived_exactly_once(system)


if __name__ == "__main__":
    try:
        main()
    except CannotStart as error:
        print(f"compose: not run, since {error}")
    except Failed as error:
        sys.exit(str(error))
