"""`ophl7 health`: for HEALTHCHECK lines and people."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any

import click

from ophl7 import settings
from ophl7.cli.access import near
from ophl7.cli.exits import Exit
from ophl7.errors import LinkDown
from ophl7.units import Address


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the JSON document of /readyz.")
@click.option("--timeout", default=5.0, show_default=True, help="Seconds to wait for the answer.")
def command(as_json: bool, timeout: float) -> int:
    """Ask the broker at OPHL7_HTTP_LISTEN whether it takes messages. Exit status 0 ready, 3 not reachable, 4 not ready."""
    status, document = _ask(near(settings.load(os.environ).http_listen), timeout)
    if as_json:
        click.echo(json.dumps(document))
    elif status == http.HTTPStatus.OK:
        click.echo("ready")
    else:
        click.echo("not ready")
        for name, check in document.get("checks", {}).items():
            if not check.get("ok"):
                click.echo(f"  {name}: {check.get('reason')}")
    return Exit.OK if status == http.HTTPStatus.OK else Exit.REFUSED


def _ask(address: Address, timeout: float) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except TimeoutError as error:
        raise LinkDown("timeout", f"nothing answers at http://{address} within {timeout:g} s") from error
    except OSError as error:
        raise LinkDown("unreachable", f"no broker at http://{address} ({error.strerror or error}); is it running?") from error
    except (http.client.HTTPException, ValueError) as error:
        raise LinkDown("garbage", f"what answers at http://{address} is no ophl7") from error
    finally:
        connection.close()
    if not isinstance(document, dict):
        raise LinkDown("garbage", f"what answers at http://{address} is no ophl7")
    return answer.status, document
