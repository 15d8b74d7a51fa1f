"""The options `--tls-ca`, `--tls-cert` and `--tls-key` of both test tools, read by the same room as the broker's settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ophl7.errors import SettingsError
from ophl7.mllp.tls import Files, Material, Names, Tls, read

NAMES = Names("--tls-cert", "--tls-key", "--tls-ca", "--tls-ca")

F = TypeVar("F", bound=Callable[..., Any])


def options(ca: str, cert: str) -> Callable[[F], F]:
    """Adds the three options; the texts say what the tool does with the authorities and with its own certificate."""

    def add(command: F) -> F:
        path = click.Path(path_type=Path)
        for name, text in (("key", "The key of that certificate, without a password."), ("cert", cert), ("ca", ca)):
            command = click.option(f"--tls-{name}", metavar="FILE", type=path, help=text)(command)
        return command

    return add


def sending(files: Files) -> Tls:
    """For a client. Raises click.UsageError with all that is wrong with the files."""
    return _made(files, lambda material: material.for_sending())


def listening(files: Files) -> Tls:
    """For a server; with authorities it lets nobody in without a certificate that they have signed. Raises click.UsageError."""
    return _made(files, lambda material: material.for_listening("must" if files.ca is not None else "none"))


def _made(files: Files, make: Callable[[Material], Tls]) -> Tls:
    if (files.cert is None) != (files.key is None):
        raise click.UsageError("--tls-cert and --tls-key come together; the same file may hold both")
    try:
        return make(read(files, NAMES))
    except SettingsError as error:
        raise click.UsageError("\n".join(error.faults)) from error
