"""`ophl7 config`: what is set, to what, and by whom."""

from __future__ import annotations

import json
import os

import click

from ophl7 import settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array with one object for each setting.")
def command(as_json: bool) -> None:
    """Show every setting, its value (secrets masked) and where it came from. Faults are listed as `serve` would."""
    shown = settings.describe(os.environ)
    if as_json:
        click.echo(json.dumps([_document(item) for item in shown], indent=2, ensure_ascii=False))
        return
    name_width = max(len(item.row.name) for item in shown)
    value_width = min(40, max(len(item.value) for item in shown))
    for item in shown:
        note = f"  ({item.row.planned}: not there yet)" if item.row.planned else ""
        click.echo(f"{item.row.name:<{name_width}}  {item.value or '-':<{value_width}}  {item.origin}{note}")
    loaded = settings.load(os.environ)
    for peer in ("pm", "emr"):
        about = loaded.peer(peer).profile.about
        if about.product:
            verified = "verified against the product" if about.verified else "not verified against the product"
            click.echo(f"OPHL7_{peer.upper()}_PROFILE is about {about.product}, {verified}. Source: {about.source or '-'}")


def _document(item: settings.Shown) -> dict[str, str | bool]:
    row = item.row
    return {
        "name": row.name,
        "value": item.value,
        "origin": item.origin,
        "default": row.default,
        "meaning": row.meaning,
        "secret": row.secret,
        "available": not row.planned,
    }
