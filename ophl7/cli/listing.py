"""What all verbs have in common that ask the running broker: options, one JSON value or a table, the way to the next page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ophl7.cli import access
from ophl7.cli.api import Api
from ophl7.cli.tables import Column, table

F = TypeVar("F", bound=Callable[..., object])

PEER = click.Choice(["pm", "emr"])


def asks_the_broker(call: F) -> F:
    """Adds --url, --token-file, --timeout and --json, and hands an Api on as `api`."""
    options = (
        click.option("--url", metavar="URL", help="Where the broker's API is; else OPHL7_HTTP_LISTEN says so."),
        click.option(
            "--token-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Holds the token; else OPHL7_API_TOKEN, else the file that a broker on this machine leaves while it runs.",
        ),
        click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the broker."),
        click.option("--json", "as_json", is_flag=True, help="Print the API's document, one JSON value."),
    )

    def with_api(url: str | None, token_file: Path | None, timeout: float, **more: object) -> object:
        return call(api=Api(access.find(url, token_file), timeout), **more)

    with_api.__doc__ = call.__doc__
    with_api.__name__ = call.__name__
    for option in reversed(options):
        with_api = option(with_api)
    return with_api  # type: ignore[return-value]  # click calls it with what the options say


def lists(call: F) -> F:
    """Adds --limit and --cursor to a verb that lists."""
    limit = click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="How many at most.")
    cursor = click.option("--cursor", metavar="CURSOR", help="Go on where the list before ended.")
    return limit(cursor(call))


def show(
    api: Api,
    path: str,
    columns: Sequence[Column],
    *,
    limit: int,
    cursor: str | None,
    as_json: bool,
    empty: str,
    **filters: str | int | None,
) -> None:
    """One list, newest first. empty: what is said when there is nothing."""
    query: dict[str, str | int] = {name: value for name, value in (filters | {"cursor": cursor}).items() if value is not None}
    found = api.items(path, query, limit)
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo(empty, err=True)
        return
    for line in table(columns, found["items"]):
        click.echo(line)
    if found["next"] is not None:
        click.echo(f"There are more: add --cursor {found['next']}", err=True)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON value on one line, in ASCII: nothing in it can steer a terminal."""
    click.echo(json.dumps(document))
