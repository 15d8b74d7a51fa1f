"""The base image of the check, made where no registry can be asked: a minimal Debian out of the machine's own package source.

    python -m tests.packaging.image.base

makes it once (about a minute) and keeps it in the image store of podman, outside of the checkout. `podman rmi` with the name
that it prints removes it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.packaging.image.engine import NEEDED, PODMAN, CannotCheck, present, what_is_missing

NAME = "localhost/ophl7-check-base"
# python3 with its venv module and pip: what the Dockerfile asks of a base. No compiler.
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
# Oldest first; the first one that the machine's sources have is taken, so that the oldest Python that we support is tried.
SUITES = ("bookworm", "trixie")


def suite_and_mirror() -> tuple[str, str]:
    """Which Debian, from where: as apt on this machine is configured. Raises CannotCheck."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        origin, codename, component, address = line.split("|", 3)
        if origin == "Debian" and component == "main":
            found.setdefault(codename, address)
    for suite in SUITES:
        if suite in found:
            return suite, found[suite]
    raise CannotCheck(f"apt knows no source of Debian {' or '.join(SUITES)}; run apt-get update once")


def made_already() -> str | None:
    """The name of the base image, if there is one."""
    return next((name for name in (f"{NAME}:{suite}" for suite in SUITES) if present(name)), None)


def make() -> str:
    """Makes the base image; its name. Raises CannotCheck, CalledProcessError."""
    suite, mirror = suite_and_mirror()
    name = f"{NAME}:{suite}"
    folder = Path(tempfile.mkdtemp(prefix="ophl7-base-"))
    try:
        root = folder / "root"
        bootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(root), mirror]
        done = subprocess.run(bootstrap, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotCheck(f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
        archive = folder / "root.tar"
        subprocess.run(["tar", "--create", "--file", archive, "--directory", root, "."], check=True)
        subprocess.run([*PODMAN, "import", "--quiet", str(archive), name], check=True, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return name


def main() -> int:
    """Exit status 0: the base image is there. 2: it cannot be made here."""
    missing = what_is_missing()
    if missing is not None:
        print(f"The image cannot be checked here: {missing}.", file=sys.stderr)
        print(f"Needed: root on Linux, and apt-get install --no-install-recommends {' '.join(NEEDED)}", file=sys.stderr)
        return 2
    name = made_already()
    if name is None:
        print("Making a base image for the check; it takes about a minute, once ...", file=sys.stderr)
        try:
            name = make()
        except CannotCheck as error:
            print(f"The image cannot be checked here: {error}", file=sys.stderr)
            return 2
    print(f"The base is {name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
