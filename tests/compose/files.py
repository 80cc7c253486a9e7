#!/usr/bin/env python3
"""Checks the files of deploy/ without running them: linters, schemas, and that they agree with each other and with the README.

  tests/compose/files.py WEIR     WEIR: the binary
"""
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import tomllib

import yaml

from tools import DEPLOY, ROOT, Failed, environment, expect, run

COMPOSE = DEPLOY / "docker-compose.yml"
DASHBOARDS = ROOT / "dashboards"
SERVICES = {"weir", "generator", "postgres", "prometheus", "alertmanager", "receiver", "grafana"}
# Their images' entry points hand folders over to their user.
STARTS_AS_ROOT = {"postgres"}
# That systemd counts for the unit, of 10; without its sandboxing it is 9.
EXPOSURE_MAX = 2.0


def config(**variables):
    """The compose file as docker compose understands it."""
    done = run("docker-compose", "--file", COMPOSE, "config", "--format", "json", env=environment(**variables))
    return json.loads(done.stdout)


def on_the_host(service, path):
    """The file of this tree that is at a path in a container."""
    for volume in service["volumes"]:
        target = pathlib.PurePath(volume["target"])
        if volume["type"] == "bind" and pathlib.PurePath(path).is_relative_to(target):
            return pathlib.Path(volume["source"]) / pathlib.PurePath(path).relative_to(target)
    raise Failed(f"{path} is not mounted from this tree")


def linters_and_schemas():
    run("hadolint", DEPLOY / "Dockerfile", ROOT / "tests/compose/stand-ins/Dockerfile")
    run("yamllint", "--strict", "--config-file", ROOT / "tests/compose/yamllint.yaml", DEPLOY)
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    run("promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml")
    for script in (DEPLOY / "demo").glob("*.pl"):
        run("perl", "-c", script)


def images_are_pinned():
    services = config()["services"]
    expect(set(services) == SERVICES, f"the services are {', '.join(sorted(services))}")
    for name, service in services.items():
        expect(re.search(r":v?\d+\.\d+(\.\d+)?[\w.-]*$", service["image"]), f"{name}: {service['image']}: name a version")


def ports_are_on_the_loopback_unless_told_otherwise():
    for address, variables in (("127.0.0.1", {}), ("10.1.2.3", {"BIND_ADDRESS": "10.1.2.3"})):
        ports = [port for service in config(**variables)["services"].values() for port in service.get("ports", [])]
        expect(ports, "no port is published")
        for port in ports:
            expect(port.get("host_ip") == address, f"port {port['published']} is published on {port.get('host_ip')}, not {address}")


def every_port_is_a_variable_that_the_readme_tells():
    told = (DEPLOY / "README.md").read_text()
    named = re.findall(r"\$\{BIND_ADDRESS:-127\.0\.0\.1\}:\$\{(\w+_PORT):-(\d+)\}:", COMPOSE.read_text())
    others = {name: str(20000 + index) for index, (name, _) in enumerate(named)}
    for variables, expected in (({}, dict(named)), (others, others)):
        services = config(ADVERTISED_HOST="weir.example.org", **variables)["services"]
        published = [port["published"] for service in services.values() for port in service.get("ports", [])]
        expect(sorted(published) == sorted(expected.values()), f"ports {sorted(published)} are published with {variables}")
        urls = {
            "prometheus": f"--web.external-url=http://weir.example.org:{expected['PROMETHEUS_PORT']}",
            "alertmanager": f"--web.external-url=http://weir.example.org:{expected['ALERTMANAGER_PORT']}",
        }
        for name, url in urls.items():
            expect(url in services[name]["command"], f"{name} is not told {url}")
        docs = services["prometheus"]["environment"]["WEIR_DOCS"]
        expect(docs == f"http://weir.example.org:{expected['METRICS_PORT']}/docs", f"links in alerts lead to {docs}")
        listeners = services["weir"]["environment"]["WEIR_BROKER_ADVERTISED_LISTENERS"]
        expect(listeners.endswith(f",HOST://weir.example.org:{expected['KAFKA_PORT']}"), f"clients are told {listeners}")
    for name, _ in named:
        expect(f"`{name}`" in told, f"the README does not tell of {name}")


def up_waits_for_every_service():
    """Each has a check, often enough to be waited for; Weir's is its image's."""
    image = re.search(r"^HEALTHCHECK --interval=(\w+) .*--start-period=(\w+) ", (DEPLOY / "Dockerfile").read_text(), re.M)
    expect(image and image.groups() == ("5s", "30m"), "Weir is not asked each 5 s, or has no half hour to read its partitions")
    for name, service in config()["services"].items():
        expect(name == "weir" or service.get("healthcheck", {}).get("interval") == "5s", f"{name} has no health check each 5 s")


def the_generator_is_healthy_while_it_writes():
    test = config()["services"]["generator"]["healthcheck"]["test"]
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "access.log"
        command = [part.replace("/var/log/weir/access.log", str(log)) for part in test[1:]]
        expect(str(log) in command[-1], f"it looks at another file: {test}")

        def is_healthy():
            return run(*command, check=False).returncode == 0

        expect(not is_healthy(), "it is healthy without a log")
        log.touch()
        expect(is_healthy(), "it is not healthy while it writes")
        os.utime(log, (time.time() - 90,) * 2)
        expect(not is_healthy(), "it is healthy with a log that nobody writes to")


def containers_may_do_no_more_than_they_need():
    for name, service in config()["services"].items():
        expect(service.get("security_opt") == ["no-new-privileges:true"], f"{name} may gain privileges")
        held = (service.get("read_only"), service.get("cap_drop"))
        expect(name in STARTS_AS_ROOT or held == (True, ["ALL"]), f"{name} is not hardened: {held}")


def mounted_files_exist():
    for name, service in config()["services"].items():
        for volume in service.get("volumes", []):
            expect(volume["type"] == "volume" or pathlib.Path(volume["source"]).exists(), f"{name}: {volume['source']} does not exist")


def passwords_are_files_and_told_in_the_readme():
    told = (DEPLOY / "README.md").read_text()
    compose = config()
    for secret in compose["secrets"].values():
        password = pathlib.Path(secret["file"]).read_text().strip()
        expect(f"`{password}`" in told, f"the README does not tell the password in {secret['file']}")
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            hidden = "PASSWORD" not in variable or (variable.endswith("_FILE") and value.startswith("/run/secrets/"))
            expect(hidden, f"{name}: {variable} holds a password: name a file")


def versions_agree():
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    weir = config()["services"]["weir"]
    expect(weir["image"] == f"weir:{package['version']}", f"docker-compose.yml has {weir['image']}, Cargo.toml {package['version']}")
    defaults = dict(re.findall(r"^ARG (\w+)=(.+)$", (DEPLOY / "Dockerfile").read_text(), re.M))
    expect(defaults["VERSION"] == package["version"], f"the Dockerfile has VERSION={defaults['VERSION']}")
    rust = package["rust-version"]
    expect(defaults["RUST_IMAGE"].startswith(f"rust:{rust}."), f"the Dockerfile has {defaults['RUST_IMAGE']}, Cargo.toml Rust {rust}")
    for argument, value in weir["build"]["args"].items():
        expect(defaults[argument] == value, f"{argument} is {value} in docker-compose.yml, {defaults[argument]} in the Dockerfile")
    revision = config(REVISION="of-a-test")["services"]["weir"]["build"]["args"]["REVISION"]
    expect(revision == "of-a-test", f"the build is told revision {revision}")


def configurations_of_weir_are_right(weir):
    run(weir, "check", DEPLOY / "weir.yaml", DEPLOY / "image/weir.yaml")
    run(weir, "connect", "test", DEPLOY / "weir.yaml")


def grafana_finds_what_dashboards_ask_for():
    services = config()["services"]
    grafana = services["grafana"]
    sources = yaml.safe_load(on_the_host(grafana, "/etc/grafana/provisioning/datasources/weir.yaml").read_text())["datasources"]
    [scraping] = [source for source in sources if source["uid"] == "prometheus"]
    [logs] = [source for source in sources if source["uid"] == "weir-logs-es"]
    expect([source["uid"] for source in sources if source.get("isDefault")] == ["prometheus"], "Prometheus is not the one default")
    for source in sources:
        host, port = re.fullmatch(r"http://([\w-]+):(\d+)", source["url"]).groups()
        expect(any(one["target"] == int(port) for one in services[host]["ports"]), f"{source['name']}: nothing serves {source['url']}")
    interval = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    expect(scraping["jsonData"]["timeInterval"] == interval, f"the data source does not know that scrapes come each {interval}")
    told = (DASHBOARDS / "README.md").read_text()
    for value in logs["jsonData"].values():
        expect(f"`{value}`" in told, f"dashboards/README.md does not ask for {value} in the data source of logs")

    [provider] = yaml.safe_load(on_the_host(grafana, "/etc/grafana/provisioning/dashboards/weir.yaml").read_text())["providers"]
    folder = on_the_host(grafana, provider["options"]["path"])
    expect(folder == DASHBOARDS, f"dashboards are read from {folder}")
    dashboards = {path.name: json.loads(path.read_text()) for path in folder.rglob("*.json")}
    uids = [dashboard["uid"] for dashboard in dashboards.values()]
    expect(len(set(uids)) == len(uids) > 0, f"dashboards share their uids: {sorted(uids)}")
    home = on_the_host(grafana, grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    expect(dashboards[home.name]["uid"] == "weir-cluster", f"{home.name} is the home page")
    kinds = {source["type"] for source in sources}
    for name, dashboard in dashboards.items():
        asked = {variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"}
        expect(asked and asked <= kinds, f"{name} asks for data sources {asked}, provisioned are {kinds}")


def the_unit_is_one_that_systemd_takes(weir):
    unit = (DEPLOY / "systemd/weir.service").read_text()
    with tempfile.TemporaryDirectory() as folder:
        # Where it is installed, systemd finds the binary.
        path = pathlib.Path(folder) / "weir.service"
        path.write_text(unit.replace("/usr/local/bin/weir", str(weir)))
        said = run("systemd-analyze", "verify", "--man=no", path)
        about_it = [line for line in said.stderr.splitlines() if "weir.service" in line]
        expect(not about_it, "\n".join(about_it))
        run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}", path)
        run("systemd-sysusers", "--dry-run", DEPLOY / "systemd/weir.sysusers")


def main():
    weir = pathlib.Path(sys.argv[1]).resolve()
    linters_and_schemas()
    images_are_pinned()
    ports_are_on_the_loopback_unless_told_otherwise()
    every_port_is_a_variable_that_the_readme_tells()
    up_waits_for_every_service()
    the_generator_is_healthy_while_it_writes()
    containers_may_do_no_more_than_they_need()
    mounted_files_exist()
    passwords_are_files_and_told_in_the_readme()
    versions_agree()
    configurations_of_weir_are_right(weir)
    grafana_finds_what_dashboards_ask_for()
    the_unit_is_one_that_systemd_takes(weir)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
