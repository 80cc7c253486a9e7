"""What the benches need of the machine: warm pages, CPU seconds and memory of a process, its description."""
import os
import pathlib
import platform
import re
import subprocess


def warm(folder, mib):
    """Write and delete a file of that size.

    Memory that a virtual machine has not touched lately is slow to touch again; without this one measures that.
    """
    file = pathlib.Path(folder) / "warm"
    subprocess.run(["dd", "if=/dev/zero", f"of={file}", "bs=1M", f"count={mib}"], check=True, capture_output=True)
    file.unlink()


def disk_mib_per_s(folder, mib):
    """What one stream of synced writes reaches: `dd conv=fdatasync`."""
    file = pathlib.Path(folder) / "dd"
    out = subprocess.run(["dd", "if=/dev/zero", f"of={file}", "bs=1M", f"count={mib}", "conv=fdatasync"], check=True,
                         capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))
    file.unlink()
    seconds = float(re.search(r"([\d.]+) s,", out.stderr).group(1))
    return mib / seconds


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024 / 1e6


def describe():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 2**20
    name = model.group(1) if model else platform.machine()
    return f"{os.cpu_count()} × {name}, {memory:.0f} GiB, Linux {platform.release()}"
