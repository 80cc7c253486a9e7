"""A real Kubernetes API server with etcd, on loopback and in a folder of its own. It has no nodes and no controllers:
objects are admitted, checked and stored, and no pod ever starts.
"""
import contextlib
import json
import pathlib
import secrets
import socket
import subprocess
import tempfile
import time

import yaml

from tools import TOOLS, Failed, run

START_SECONDS_MAX = 90


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """What tests ask of it."""

    def __init__(self, folder, port, token):
        self.kubeconfig = folder / "kubeconfig"
        cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(folder / "certs/apiserver.crt")}
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }))

    def kubectl(self, *arguments, stdin=None, check=True):
        return run("kubectl", "--kubeconfig", self.kubeconfig, *arguments, stdin=stdin, check=check)

    def helm(self, *arguments, check=True):
        return run("helm", "--kubeconfig", self.kubeconfig, *arguments, check=check)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "--output", "json").stdout)

    def is_ready(self):
        return self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0


@contextlib.contextmanager
def cluster():
    """Runs one until the block ends."""
    with tempfile.TemporaryDirectory(prefix="weir-kube-") as name, contextlib.ExitStack() as processes:
        folder = pathlib.Path(name)
        etcd, peer, port = free_port(), free_port(), free_port()
        token = secrets.token_hex(16)
        (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
        subprocess.run(["openssl", "genrsa", "-out", folder / "accounts.key", "2048"], check=True, capture_output=True)
        start(processes, folder, "etcd", {
            "data-dir": folder / "etcd", "unsafe-no-fsync": "true",
            "listen-client-urls": f"http://127.0.0.1:{etcd}", "advertise-client-urls": f"http://127.0.0.1:{etcd}",
            "listen-peer-urls": f"http://127.0.0.1:{peer}",
        })
        server = start(processes, folder, "kube-apiserver", {
            "etcd-servers": f"http://127.0.0.1:{etcd}", "bind-address": "127.0.0.1", "advertise-address": "127.0.0.1",
            "secure-port": port, "cert-dir": folder / "certs", "service-cluster-ip-range": "10.0.0.0/24",
            "service-account-issuer": "https://127.0.0.1", "service-account-key-file": folder / "accounts.key",
            "service-account-signing-key-file": folder / "accounts.key", "token-auth-file": folder / "tokens.csv",
            # Nobody makes tokens for accounts, and pods would wait for them.
            "authorization-mode": "RBAC", "disable-admission-plugins": "ServiceAccount", "endpoint-reconciler-type": "none",
        })
        running = Cluster(folder, port, token)
        began = time.monotonic()
        while not running.is_ready():
            if server.poll() is not None or time.monotonic() - began > START_SECONDS_MAX:
                log = (folder / "kube-apiserver.log").read_text().splitlines()[-20:]
                raise Failed("the API server does not serve:\n" + "\n".join(log))
            time.sleep(0.2)
        yield running


def start(processes, folder, name, flags):
    log = processes.enter_context((folder / f"{name}.log").open("w"))
    command = [str(TOOLS / "bin" / name), *(f"--{key}={value}" for key, value in flags.items())]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    processes.callback(stop, process)
    return process


def stop(process):
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
