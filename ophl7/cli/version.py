"""`ophl7 version`."""

from __future__ import annotations

import json
import platform

import click

from ophl7 import __version__


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Show the version of ophl7 and of Python."""
    if as_json:
        click.echo(json.dumps({"ophl7": __version__, "python": platform.python_version()}))
    else:
        click.echo(f"ophl7 {__version__} (Python {platform.python_version()})")
