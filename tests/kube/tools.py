"""Where the tools of the chart's tests are, and how they are called."""
import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/weir"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
TOOLS = pathlib.Path(os.environ.get("WEIR_TOOLS") or CACHE / "weir-tools") / "kube"
# Releases of Kubernetes: the oldest that the chart takes, and the one that the API server has.
OLDEST, KUBERNETES = sorted(
    (path.name.removesuffix("-standalone").removeprefix("v") for path in TOOLS.glob("schemas/v*-standalone")),
    key=lambda version: [int(part) for part in version.split(".")],
)
NAMESPACE = "logs"
RELEASE = "weir"


class Failed(Exception):
    """A check did not hold; the text says which and why."""


def run(*command, stdin=None, check=True, **kwargs):
    """The output of a command; one of ours is looked for among the tools first."""
    tool = TOOLS / "bin" / command[0]
    command = [str(tool) if tool.exists() else command[0], *map(str, command[1:])]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, **kwargs)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done


def values_files():
    """The defaults, and each file of values that the chart is tried with."""
    return [None, *sorted((CHART / "ci").glob("*-values.yaml"))]


def values_arguments(file):
    return [] if file is None else ["-f", file]


def values_name(file):
    return "default" if file is None else file.name.removesuffix("-values.yaml")


def render(file, *arguments):
    """All objects of the chart, as text and parsed."""
    text = run("helm", "template", RELEASE, CHART, "--namespace", NAMESPACE, *values_arguments(file), *arguments).stdout
    return text, [document for document in yaml.safe_load_all(text) if document]


def by_kind(objects, kind):
    return [entry for entry in objects if entry["kind"] == kind]
