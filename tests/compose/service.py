"""Runs the unit of deploy/systemd under systemd, in a container that has one, as the README installs it."""
from tools import DEPLOY, expect, wait_until

NAME = "machine"
BOOT_SECONDS = 30
CONFIG = 'broker: {listeners: "PLAINTEXT://localhost:9092"}\nhttp: {listeners: "localhost:9464"}\n'
# What systemd needs to run the sandboxes of its units.
MAY = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--cgroupns", "private"]


def the_unit_runs(engine, folder, weir, image):
    """It starts, serves, may do no more than it says, and stops; or why systemd does not run in containers here."""
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
    within("systemctl", "start", "weir")
    wait_until("the unit to be ready", lambda: within("weir", "health", check=False).returncode == 0, BOOT_SECONDS)
    within("weir", "produce", "orders")
    record = within("weir", "consume", "orders", "--from-beginning", "--exit-at-end").stdout
    expect(record == "one\n", f"the record came out as {record!r}\n{within('journalctl', '--unit', 'weir').stdout}")
    process = within("systemctl", "show", "--property", "MainPID", "--value", "weir").stdout.strip()
    status = dict(line.split(":\t", 1) for line in within("cat", f"/proc/{process}/status").stdout.splitlines() if ":\t" in line)
    user = within("id", "--user", "weir").stdout.strip()
    held = status["Uid"].split()[0], int(status["CapBnd"], 16), status["NoNewPrivs"], status["Seccomp"]
    expect(held == (user, 0, "1", "2"), f"its user, capabilities, privileges and filter of system calls are {held}")
    within("systemctl", "stop", "weir")
    result = within("systemctl", "show", "--property", "Result", "--value", "weir").stdout.strip()
    expect(result == "success", f"it stopped with {result}\n{within('journalctl', '--unit', 'weir').stdout}")
    engine.docker("rm", "--force", "--volumes", NAME)
