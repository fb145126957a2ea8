"""`./run deployment-test`: docs/deployment.md on a clean Debian, step by step, with the time that each takes.

Debootstrap makes the root; packages and wheels are fetched, then everything runs in a network of its own, which reaches nothing else.
Ends with 0 and the reason where that can't be had here. `--root FOLDER` keeps the root there, and uses one that is there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PACKAGES = (
    *("mosquitto", "python3-venv", "postgresql", "python3-virtualenv"),  # of the documents
    *("sudo", "systemd", "procps", "iproute2", "ca-certificates", "openssl"),  # what a Debian has anyway
)
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run deployment-test", description=__doc__)
    parser.add_argument("--suite", choices=PYTHONS, default="bookworm", help="of Debian (%(default)s)")
    parser.add_argument("--root", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if reason := missing():
        print(f"Skipped: {reason}.")
        return 0
    began = time.monotonic()
    root = arguments.root or Path(tempfile.mkdtemp(prefix="sgmp-root-", dir="/var/tmp"))
    try:
        if not (root / "etc" / "debian_version").exists():
            run("debootstrap", "--variant=minbase", arguments.suite, str(root))
        root.chmod(0o755)  # its users get in
        print(f"=== {time.monotonic() - began:4.0f} s  Debian is there", flush=True)
        prepare(root, PYTHONS[arguments.suite])
        print(f"=== {time.monotonic() - began:4.0f} s  packages and wheels are there", flush=True)
        inside(
            root,
            "ip link set lo up && ip address add 192.0.2.10/32 dev lo && exec bash /inside.sh",
            alone=True,
        )
    except subprocess.CalledProcessError as error:
        print(f"Failed: {' '.join(map(str, error.cmd))[:200]}", file=sys.stderr)
        return 1
    finally:
        if arguments.root is None:
            shutil.rmtree(root)
    print(f"Whole test: {time.monotonic() - began:.0f} s")
    return 0


def missing() -> str:
    """Why it can't run here; empty where it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "it needs root on Linux"
    for program, package in (("debootstrap", "debootstrap"), ("unshare", "util-linux"), ("ip", "iproute2")):
        if shutil.which(program) is None:
            return f"{program} is missing (apt-get install {package})"
    return ""


def run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(["nice", *command], check=True, cwd=cwd, stdin=subprocess.DEVNULL)


def inside(root: Path, script: str, *, alone: bool = False) -> None:
    """In the root, with processes of its own, all of which end with it. `alone`: also with a network of its own."""
    kinds = ["--mount", "--pid", "--uts", "--fork", "--kill-child", *(["--net"] if alone else [])]
    mounts = "hostname clean; mount -t proc proc /proc && mount -t tmpfs tmpfs /dev/shm 2>/dev/null;"
    environment = [
        "env",
        "-i",
        "HOME=/root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM=dumb",
    ]
    run("unshare", *kinds, "chroot", str(root), *environment, "bash", "-c", f"{mounts} {script}")


def prepare(root: Path, python: str) -> None:
    """What is fetched or built, and the files of the test."""
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # packages start nothing
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    inside(
        root,
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "
        f"{' '.join(PACKAGES)} >/dev/null",
    )
    wheels = root / "wheels"
    wheels.mkdir(exist_ok=True)
    for lock in ("sgmp_edge/requirements.txt", "locks/server.txt"):
        run(
            *(
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--disable-pip-version-check",
                "--require-hashes",
            ),
            *("--only-binary=:all:", "--python-version", python, "--dest", str(wheels), "-r", lock),
            cwd=REPOSITORY,
        )
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "copy")
        shutil.copytree(
            REPOSITORY,
            copy,
            ignore=shutil.ignore_patterns(
                ".git", ".venv", ".*_cache", "tests", "screenshots", "build", "dist"
            ),
        )
        version_file = copy / "sgmp_edge" / "__init__.py"
        text = version_file.read_text("utf-8")
        (version,) = re.findall(r'VERSION = "([^"]+)"', text)
        newer = f"{version}.post1"
        for name, number in (("version", version), ("newer_version", newer)):
            version_file.write_text(text.replace(f'"{version}"', f'"{number}"'), "utf-8")
            build = (
                sys.executable,
                "-m",
                "pip",
                "wheel",
                "-q",
                "--disable-pip-version-check",
                "--no-deps",
                "--no-build-isolation",
            )
            run(*build, "--wheel-dir", str(root / "root"), str(copy))
            (root / name).write_text(number)
    shutil.rmtree(root / "sgmp_edge", ignore_errors=True)
    shutil.copytree(
        REPOSITORY / "sgmp_edge", root / "sgmp_edge", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("inside.sh", "window.py"):
        shutil.copy(HERE / name, root / name)
    shutil.copy(HERE / "systemctl", root / "usr/local/bin/systemctl")
    (root / "usr/local/bin/systemctl").chmod(0o755)
    hosts = root / "etc" / "hosts"
    hosts.write_text("127.0.0.1 localhost clean\n192.0.2.10 sgmp.example.org\n")


if __name__ == "__main__":
    sys.exit(main())
