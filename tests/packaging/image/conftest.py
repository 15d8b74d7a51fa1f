"""An image of this checkout, built once; where none can be built that is said, never passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from ophl7 import __version__
from tests.packaging.image import base
from tests.packaging.image.engine import PODMAN, ROOT, build, folder_for_data, run, what_is_missing


def _skipped_because() -> str | None:
    missing = what_is_missing()
    if missing is None and base.made_already() is None:
        missing = "no base image is here yet; `make image-check` makes one, once"
    return missing


@pytest.fixture(scope="session")
def base_image() -> str:
    """The base that `make image-check` has made."""
    reason = _skipped_because()
    if reason is not None:
        if os.environ.get("IMAGE_CHECK") == "full":
            pytest.fail(f"the image cannot be checked: {reason}")
        pytest.skip(f"THE CONTAINER IMAGE WAS NOT CHECKED: {reason}")
    made = base.made_already()
    assert made is not None
    return made


@pytest.fixture(scope="session")
def image(base_image: str) -> Iterator[str]:
    """This checkout's image. The packages in it are kept for the next time, while lock and Dockerfile stay as they are."""
    digest = sha256(b"".join((ROOT / name).read_bytes() for name in ("constraints.txt", "Dockerfile"))).hexdigest()
    build(base_image, f"localhost/ophl7-check-packages:{digest[:16]}", "packages")
    once = uuid4().hex[:12]
    tags = [f"localhost/ophl7-check-build:{once}", f"localhost/ophl7-check:{once}"]
    try:
        build(base_image, tags[0], "build")
        build(base_image, tags[1], VERSION=__version__, REVISION="of-a-check")
        yield tags[1]
    finally:
        for tag in reversed(tags):
            run(*PODMAN, "rmi", "--force", tag)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder for /data, as one makes it for a bind mount."""
    return folder_for_data(tmp_path / "data")
