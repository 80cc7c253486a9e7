"""A node in small: runs the containers of the chart's pods as a kubelet would, without Kubernetes and without images.

Each pod has a network of its own with an address that other pods reach; each container sees only what its pod mounts, on a
root that is read-only if the pod says so, as the user that it says, without capabilities. Probes, preStop and the grace
period are the pod's. Not there: limits of resources, Secrets, scheduling, service addresses (names lead to pods directly).
"""
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

from tools import Failed

ADDRESS = "10.88.0.1"
# What an image would bring besides the binary: its libraries.
BASE = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
        "--symlink", "usr/bin", "/bin", "--ro-bind", "/etc/ssl", "/etc/ssl", "--proc", "/proc", "--dev", "/dev"]
PATH = "/opt/weir:/usr/bin"


def ip(*arguments, within=None):
    command = ["ip", *arguments] if within is None else ["nsenter", "--net", "--target", str(within), "ip", *arguments]
    subprocess.run(command, check=True, capture_output=True)


class Node:
    """In a network of its own, which the calling process has to be in: `unshare --net`."""

    def __init__(self, folder, weir):
        self.folder, self.weir = folder, weir
        self.pods = []
        self.hosts = {}
        self.count = 0
        ip("link", "set", "lo", "up")
        ip("link", "add", "node", "type", "bridge")
        ip("addr", "add", f"{ADDRESS}/24", "dev", "node")
        ip("link", "set", "node", "up")

    def next_address(self):
        self.count += 1
        return f"10.88.0.{self.count + 1}"

    def start(self, spec, objects, names=()):
        """Starts the containers of a pod that stays; `names` are those of services that lead to it."""
        address = self.next_address()
        for name in names:
            self.hosts[name] = address
        pod = Pod(self, spec, objects, address)
        self.pods.append(pod)
        pod.begin(spec["spec"]["containers"][0])
        return pod

    def run_to_end(self, spec, objects):
        """Runs the container of a pod that ends; what it printed."""
        [container] = spec["spec"]["containers"]
        pod = Pod(self, spec, objects, self.next_address())
        pod.begin(container)
        code = pod.wait(spec["spec"]["activeDeadlineSeconds"])
        if code != 0:
            raise Failed(f"{pod.name}: exit code {code}\n{pod.log()}")
        return pod.log()

    def close(self):
        for pod in self.pods:
            pod.kill()
        ip("link", "delete", "node")


class Pod:
    def __init__(self, node, spec, objects, address):
        self.node, self.spec, self.objects, self.address = node, spec, objects, address
        self.name = spec["metadata"]["name"]
        self.process = None

    def begin(self, container):
        self.container = container
        self.log_path = self.node.folder / f"{self.name}-{self.address}.log"
        (info_read, info), (block, block_write) = os.pipe(), os.pipe()
        command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--hostname", self.name, "--die-with-parent",
                   "--as-pid-1", "--cap-add", "ALL", "--clearenv", "--info-fd", str(info), "--block-fd", str(block)]
        command += [*self.mounts(), *self.environment(), *self.as_user(), *container["command"], *container["args"]]
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(info, block))
        os.close(info)
        os.close(block)
        # It waits until its network is there.
        with os.fdopen(info_read) as text:
            self.pid = json.load(text)["child-pid"]
        self.connect()
        os.close(block_write)

    def connect(self):
        # Not by its address: the link of an earlier pod goes some time after that.
        outside = f"pod{self.pid}"
        ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        ip("link", "set", outside, "master", "node", "up")
        ip("addr", "add", f"{self.address}/24", "dev", "eth0", within=self.pid)
        ip("link", "set", "eth0", "up", within=self.pid)

    def mounts(self):
        """The volumes that the container mounts, and what a kubelet writes below /etc."""
        hosts = self.file("hosts", "127.0.0.1 localhost\n" + "".join(f"{to} {name}\n" for name, to in self.node.hosts.items()))
        arguments = ["--ro-bind", str(hosts), "/etc/hosts", "--ro-bind", str(self.node.weir), "/opt/weir/weir"]
        volumes = {volume["name"]: volume for volume in self.spec["spec"].get("volumes", [])}
        for mount in self.container.get("volumeMounts", []):
            volume = volumes[mount["name"]]
            if "configMap" in volume:
                [config] = [entry for entry in self.objects if (entry["kind"], entry["metadata"]["name"]) == ("ConfigMap", volume["configMap"]["name"])]
                files = {mount["subPath"]: mount["mountPath"]} if "subPath" in mount else {key: f"{mount['mountPath']}/{key}" for key in config["data"]}
                for key, path in files.items():
                    arguments += ["--ro-bind", str(self.file(key, config["data"][key])), path]
            else:
                arguments += ["--bind", str(self.folder(volume)), mount["mountPath"]]
        # Folders that bwrap makes by itself are its user's alone.
        folders = sorted({parent for path in arguments[2::3] for parent in pathlib.PurePath(path).parents})
        made = [argument for folder in folders[1:] for argument in ("--perms", "0755", "--dir", str(folder))]
        read_only = self.container["securityContext"].get("readOnlyRootFilesystem")
        return [*made, *BASE, *arguments, *(["--remount-ro", "/"] if read_only else [])]

    def file(self, name, text):
        path = self.node.folder / f"{self.name}-{self.address}-{name}"
        path.write_text(text)
        path.chmod(0o644)
        return path

    def folder(self, volume):
        """Claims outlive their pods; the group of files is the pod's `fsGroup`."""
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        path = self.node.folder / (claim or f"{self.name}-{self.address}-{volume['name']}")
        path.mkdir(exist_ok=True)
        os.chown(path, 0, self.spec["spec"]["securityContext"]["fsGroup"])
        path.chmod(0o2775)
        return path

    def environment(self):
        fields = {"status.hostIP": ADDRESS, **{f"metadata.labels['{key}']": value for key, value in self.spec["metadata"]["labels"].items()}}
        values = {"PATH": PATH}
        for entry in self.container.get("env", []):
            value = entry["value"] if "value" in entry else fields[entry["valueFrom"]["fieldRef"]["fieldPath"]]
            for name, known in values.items():
                value = value.replace(f"$({name})", known)
            values[entry["name"]] = value
        return [argument for name, value in values.items() for argument in ("--setenv", name, value)]

    def as_user(self):
        user = self.spec["spec"]["securityContext"]
        return ["setpriv", f"--reuid={user['runAsUser']}", f"--regid={user['runAsGroup']}", f"--groups={user['fsGroup']}",
                "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"]

    def log(self):
        return self.log_path.read_text()

    def wait(self, seconds):
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def port(self, name):
        return next(port["containerPort"] for port in self.container["ports"] if port["name"] == name)

    def get(self, port, path):
        """The answer to a request from the node: status and body; no status where there is none."""
        try:
            with urllib.request.urlopen(f"http://{self.address}:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return None, ""

    def passes(self, probe):
        request = self.container[probe]["httpGet"]
        return self.get(self.port(request["port"]), request["path"])[0] == 200

    def wait_until(self, what, holds, seconds=60):
        began = time.monotonic()
        while not holds():
            if self.process.poll() is not None:
                raise Failed(f"{self.name} has ended with exit code {self.process.returncode}\n{self.log()}")
            if time.monotonic() - began > seconds:
                raise Failed(f"{self.name}: not within {seconds} s: {what}\n{self.log()}")
            time.sleep(0.1)

    def wait_until_ready(self):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.wait_until(probe, lambda probe=probe: self.passes(probe))

    def end(self):
        """As when the pod is deleted: the drain, SIGTERM, and kill -9 after the grace."""
        drain = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        grace = self.spec["spec"]["terminationGracePeriodSeconds"]
        time.sleep(drain)
        if not self.passes("readinessProbe"):
            raise Failed(f"{self.name} does not serve while it drains\n{self.log()}")
        os.kill(self.pid, 15)
        return self.wait(grace - drain)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
