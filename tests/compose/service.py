"""Runs the unit of deploy/systemd under systemd, in a container that has one, as the README installs it."""
import re

from tools import DEPLOY, expect, wait_until

NAME = "machine"
BOOT_SECONDS = 30
CONFIG = 'broker: {listeners: "PLAINTEXT://localhost:9092"}\nhttp: {listeners: "localhost:9464"}\n'
WRONG_CONFIG = CONFIG.replace("listeners", "listenerz")
# What systemd needs to run the sandboxes of its units.
MAY = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--cgroupns", "private"]


def the_unit_runs(engine, folder, weir, image):
    """It starts, serves, may do no more than it says, stops, and is not tried again with a wrong configuration; or why systemd does
    not run in containers here."""
    config = folder / "unit.yaml"
    config.write_text(CONFIG)
    files = {
        weir: "/usr/local/bin/weir",
        config: "/etc/weir/weir.yaml",
        DEPLOY / "systemd/weir.service": "/etc/systemd/system/weir.service",
        DEPLOY / "systemd/weir.sysusers": "/etc/sysusers.d/weir.conf",
    }
    mounts = [argument for file, path in files.items() for argument in ("--volume", f"{file}:{path}:ro")]
    engine.docker("run", "--detach", "--name", NAME, *MAY, "--tmpfs", "/run", "--env", "container=docker", *mounts, image, "/lib/systemd/systemd")

    def within(*command, check=True):
        return engine.docker("exec", "--interactive", NAME, *command, check=check, input="one\n")

    def has_booted():
        ended = not engine.inspect(NAME)["State"]["Running"]
        return ended or within("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    wait_until("systemd to have booted", has_booted, BOOT_SECONDS)
    if not engine.inspect(NAME)["State"]["Running"]:
        print(f"compose: the unit is not started, since systemd ends here: {engine.docker('logs', NAME).stdout.strip()[-200:]}", flush=True)
        return
    within("systemd-sysusers")
    # The end of what the README says to type.
    within("sh", "-euc", re.search(r"^systemctl daemon-reload.*?(?=^```)", (DEPLOY / "README.md").read_text(), re.M | re.S)[0])
    it_serves_without_privileges(within)
    within("systemctl", "stop", "weir")
    result = value_of(within, "Result")
    expect(result == "success", f"it stopped with {result}\n{journal(within)}")
    config.write_text(WRONG_CONFIG)
    a_wrong_configuration_is_not_tried_again(within)
    engine.docker("rm", "--force", "--volumes", NAME)


def value_of(within, name):
    return within("systemctl", "show", "--property", name, "--value", "weir").stdout.strip()


def journal(within):
    return within("journalctl", "--unit", "weir").stdout


def it_serves_without_privileges(within):
    within("weir", "produce", "orders")
    record = within("weir", "consume", "orders", "--from-beginning", "--exit-at-end").stdout
    expect(record == "one\n", f"the record came out as {record!r}\n{journal(within)}")
    status = dict(line.split(":\t", 1) for line in within("cat", f"/proc/{value_of(within, 'MainPID')}/status").stdout.splitlines() if ":\t" in line)
    user = within("id", "--user", "weir").stdout.strip()
    held = status["Uid"].split()[0], int(status["CapBnd"], 16), status["NoNewPrivs"], status["Seccomp"]
    expect(held == (user, 0, "1", "2"), f"its user, capabilities, privileges and filter of system calls are {held}")


def a_wrong_configuration_is_not_tried_again(within):
    within("systemctl", "start", "weir", check=False)
    wait_until("the unit to fail for good", lambda: value_of(within, "ActiveState") == "failed", BOOT_SECONDS)
    restarts = value_of(within, "NRestarts")
    expect(restarts == "0", f"it was tried again {restarts} times")
    expect("unknown key `listenerz`" in journal(within), f"what is wrong is not said:\n{journal(within)}")
