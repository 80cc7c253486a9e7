"""Where the tools of these tests are, and how they are called."""
import os
import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
TOOLS = pathlib.Path(os.environ.get("WEIR_TOOLS") or CACHE / "weir-tools") / "compose"
# What a person may have set must not decide: the compose file's variables, settings of Weir, another Docker.
OURS = ("WEIR_", "DOCKER_", "COMPOSE_", "BUILDKIT_")
VARIABLES = ("BIND_ADDRESS", "ADVERTISED_HOST", "BASE_IMAGE", "RUST_IMAGE", "REVISION")
PORTS = "_PORT"
POLL_SECONDS = 0.5
RUN_SECONDS_MAX = 300


class Failed(Exception):
    """A check did not hold; the text says which and why."""


def expect(holds, text):
    if not holds:
        raise Failed(text)


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS) and name not in VARIABLES and not name.endswith(PORTS)}
    # deploy/.env is a person's, too.
    ours = {"PATH": f"{TOOLS}/bin:{TOOLS}/python/bin:{os.environ['PATH']}", "COMPOSE_DISABLE_ENV_FILE": "1"}
    return kept | ours | more


def run(*command, check=True, env=None, timeout=RUN_SECONDS_MAX, **kwargs):
    """The output of a command, which is looked for among the tools first. It is killed once it takes more seconds than `timeout`."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env or environment(), timeout=timeout, **kwargs)
    except subprocess.TimeoutExpired as error:
        said = "".join((text or b"").decode(errors="replace") for text in (error.stdout, error.stderr))
        raise Failed(f"{' '.join(command)}: not within {timeout} s\n{said}".rstrip()) from None
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done


def wait_until(what, holds, seconds):
    """What `holds` gives once that is not nothing. A check that fails meanwhile is why it does not hold yet."""
    began, reason = time.monotonic(), ""
    while time.monotonic() - began < seconds:
        try:
            if held := holds():
                return held
        except (Failed, OSError) as error:
            reason = f": {error}"
        time.sleep(POLL_SECONDS)
    raise Failed(f"not within {seconds:.0f} s: {what}{reason}")
