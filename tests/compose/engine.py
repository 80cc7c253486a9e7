"""A Docker daemon of its own, without a registry: nothing of it is left when the process ends, but empty control groups.

The calling process has to be in namespaces of its own (`enter`): the daemon's bridges and rules stay in that network, its mounts
out of the machine's, and whatever it started dies with the first process of them. There is no way out to other networks.
"""
import json
import os
import pathlib
import subprocess
import sys

from tools import TOOLS, environment, run, wait_until

INSIDE = "COMPOSE_TEST_INSIDE"
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Debian, from its packages: what the trial runs in, and what images are based on.
DEBIAN = "debian:packages"
# Where systemd runs the machine the daemon would have it make control groups, and tell it processes by their numbers: those of
# its own namespace, which are others on the outside.
SETTINGS = {"exec-opts": ["native.cgroupdriver=cgroupfs"]}
START_SECONDS = 60
STOP_SECONDS = 60


def obstacle():
    """Why this machine cannot run a daemon of its own; nothing if it can."""
    if os.geteuid() != 0:
        return "it takes root"
    missing = [tool for tool in ("dockerd", "docker", "containerd", "iptables") if run("sh", "-c", f"command -v {tool}", check=False).returncode]
    if missing:
        return f"{', '.join(missing)} cannot be found: install docker.io"
    if not (TOOLS / "debian.stamp").exists():
        return "tests/compose/tools.sh could not make images of Debian's packages"
    return run(*NAMESPACES, "ip", "link", "set", "lo", "up", check=False).stderr.strip()


def enter():
    """Continues this program in namespaces of its own."""
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        sys.stdout.flush()
        os.execvp(NAMESPACES[0], [*NAMESPACES, sys.executable, *sys.argv])
    run("ip", "link", "set", "lo", "up")


class CannotStart(Exception):
    """The machine does not let a daemon run, or containers in it; the text is why."""


class Engine:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        socket = f"unix://{self.folder}/docker.sock"
        # The classic builder is in the daemon; the newer one is a plugin that Debian's package lacks.
        self.environment = environment(DOCKER_HOST=socket, DOCKER_CONFIG=str(self.folder), DOCKER_BUILDKIT="0")
        (self.folder / "daemon.json").write_text(json.dumps(SETTINGS))
        self.log_path = self.folder / "dockerd.log"
        command = ["dockerd", "--config-file", self.folder / "daemon.json", "--host", socket, "--pidfile", self.folder / "pid",
                   "--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--log-level", "warn"]
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        try:
            wait_until("the Docker daemon to answer", self.answers, START_SECONDS)
            self.import_image(TOOLS / "debian.tar", DEBIAN)
            self.try_a_container()
        except BaseException:
            self.__exit__()
            raise
        return self

    def try_a_container(self):
        """With a published port, as the compose file has them."""
        tried = self.docker("run", "--rm", "--publish", "127.0.0.1::1", DEBIAN, "true", check=False)
        if tried.returncode:
            raise CannotStart(f"no container starts here: {tried.stderr.strip().splitlines()[0]}")

    def answers(self):
        if self.process.poll() is not None:
            # It does not put this back itself when it fails.
            run("umount", "--lazy", self.folder / "data", check=False)
            last_line = self.log_path.read_text().strip().rpartition("\n")[2]
            raise CannotStart(f"no Docker daemon starts here: {last_line}")
        return self.docker("version", check=False).returncode == 0

    def __exit__(self, *_):
        if self.process.poll() is None:
            containers = self.docker("ps", "--all", "--quiet", check=False).stdout.split()
            self.docker("rm", "--force", "--volumes", *containers, check=False)
            self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def docker(self, *arguments, **kwargs):
        return run("docker", *arguments, env=self.environment, **kwargs)

    def import_image(self, tar, tag):
        self.docker("import", tar, tag)

    def build(self, context, tag, *arguments):
        self.docker("build", "--quiet", "--tag", tag, *arguments, context)

    def inspect(self, what, kind="container"):
        return json.loads(self.docker("inspect", "--type", kind, what).stdout)[0]
