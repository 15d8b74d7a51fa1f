"""podman and buildah, as the check of the image uses them: build, start, ask, stop."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

ROOT = Path(__file__).parents[3]
NEEDED = ("buildah", "podman", "debootstrap", "runc")
# runc and no systemd: this works inside of a container too, where the check itself may run.
PODMAN = ("podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "--log-level=fatal")
USER = 10001
BUILD_SECONDS = 300.0
START_SECONDS = 60.0
END_SECONDS = 180.0

# What a machine behind a proxy that opens TLS tells its own pip. It is lent to the build and stays out of the image.
_LENT = ("/etc/ssl/certs", "/etc/pip.conf")

_LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}


class CannotCheck(Exception):
    """This machine lacks something that the check needs; the message says what."""


def what_is_missing() -> str | None:
    """Why no image can be built and run here; None when one can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "it needs root, to build and run images without a daemon"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"{', '.join(absent)} not found" if absent else None


def run(*command: str, limit: float = 60.0, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, whatever its status."""
    return subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=limit, cwd=ROOT
    )


def said(*command: str, limit: float = 60.0) -> str:
    """What a command prints. Raises AssertionError with its last words when it fails."""
    done = run(*command, limit=limit)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def present(image: str) -> bool:
    """Whether podman has an image of this name."""
    return run(*PODMAN, "image", "exists", image).returncode == 0


def build(base: str, tag: str, stage: str | None = None, **arguments: str) -> None:
    """Builds the Dockerfile, or it up to a stage. Raises AssertionError with what the build said."""
    command = ["buildah", "bud", "--isolation=chroot", "--network=host", "--format=docker", "--layers", "--tag", tag]
    for name, value in {"BASE": base, **arguments}.items():
        command += ["--build-arg", f"{name}={value}"]
    for path in _LENT:
        if Path(path).exists():
            command += ["--volume", f"{path}:{path}:ro"]
    if stage is not None:
        command += ["--target", stage]
    done = run(*command, str(ROOT), limit=BUILD_SECONDS)
    assert done.returncode == 0, f"the build failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"


def configuration(image: str) -> dict[str, Any]:
    """The image's configuration, as the registry's users see it."""
    (found,) = json.loads(said(*PODMAN, "image", "inspect", image))
    config: dict[str, Any] = {"Healthcheck": found.get("Healthcheck"), **found["Config"]}
    return config


def folder_for_data(path: Path) -> Path:
    """An empty folder that belongs to the image's user alone."""
    path.mkdir(mode=0o700)
    os.chown(path, USER, USER)
    return path


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses just now; let go again, so that a container can have them."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _limits() -> dict[str, int]:
    """Limits that may be set even where podman's own, higher ones may not."""
    hard = {name: resource.getrlimit(kind)[1] for name, kind in _LIMITS.items()}
    return {name: 4096 if most == resource.RLIM_INFINITY else min(most, 4096) for name, most in hard.items()}


class Container:
    """One container on the host's network, its ports on loopback. Removed at the end; the folder for its data is not."""

    # As locked down as it gets: nothing but /data can be written, no privilege, no way to a new one.
    LOCKED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges")

    def __init__(
        self,
        image: str,
        data: Path,
        *,
        flags: Sequence[str] = LOCKED,
        command: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """settings: without their prefix."""
        self.name = f"ophl7-check-{uuid4().hex[:12]}"
        self.pm, self.emr, self.http = free_ports(3)
        chosen = {
            "TIMEZONE": "America/New_York",
            "PM_LISTEN": f"127.0.0.1:{self.pm}",
            "EMR_LISTEN": f"127.0.0.1:{self.emr}",
            "HTTP_LISTEN": f"0.0.0.0:{self.http}",
            "PM_RETRY": "10ms..50ms",
            "EMR_RETRY": "10ms..50ms",
        } | dict(settings or {})
        self._start = [
            *("run", "--detach", "--name", self.name, "--network=host", "--health-interval=disable"),
            *(f"--ulimit={name}={most}:{most}" for name, most in _limits().items()),
            *("--volume", f"{data}:/data", *flags),
            *(word for name, value in chosen.items() if value for word in ("--env", f"OPHL7_{name}={value}")),
            image,
            *command,
        ]

    def __enter__(self) -> Self:
        said(*PODMAN, *self._start)
        return self

    def __exit__(self, *_: object) -> None:
        run(*PODMAN, "rm", "--force", "--time=0", self.name)

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command inside."""
        return run(*PODMAN, "exec", self.name, *command)

    def health(self) -> tuple[int, str]:
        """Exit status and words of the image's HEALTHCHECK: 0 healthy, 1 unhealthy."""
        status = run(*PODMAN, "healthcheck", "run", self.name).returncode
        log = self._inspected()["State"]["Health"]["Log"]
        return status, log[-1]["Output"]

    def becomes(self, status: int, *words: str) -> str:
        """Waits until the HEALTHCHECK ends with `status` and says all of `words`; what it said. Raises AssertionError."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            now = self.health()
            if now[0] == status and all(word in now[1] for word in words):
                return now[1]
            assert time.monotonic() < deadline, f"{now} instead of {status} {words}\n{self.logs}"
            time.sleep(0.2)

    def stop(self, grace: int = 30) -> tuple[int, float]:
        """SIGTERM, and SIGKILL after the grace; exit status and seconds."""
        began = time.monotonic()
        said(*PODMAN, "stop", f"--time={grace}", self.name)
        return self.exit_status, time.monotonic() - began

    def ended(self) -> int:
        """Waits for its end; the exit status."""
        return int(said(*PODMAN, "wait", self.name, limit=END_SECONDS))

    def written(self) -> set[str]:
        """Every path outside of volumes that is not as the image has it."""
        changed = json.loads(said(*PODMAN, "diff", "--format=json", self.name))
        return {path for kind in ("added", "changed", "deleted") for path in changed.get(kind) or ()}

    @property
    def exit_status(self) -> int:
        return int(self._inspected()["State"]["ExitCode"])

    @property
    def logs(self) -> str:
        """Everything that it printed."""
        done = run(*PODMAN, "logs", self.name)
        return done.stdout + done.stderr

    def _inspected(self) -> dict[str, Any]:
        (found,) = json.loads(said(*PODMAN, "container", "inspect", self.name))
        state: dict[str, Any] = found
        return state
