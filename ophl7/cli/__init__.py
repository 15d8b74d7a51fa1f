"""The command `ophl7`: one small module a verb, imported only when that verb is asked for.

A verb is added by one line in VERBS; its module has the click command as `command`. Data goes to standard output, talk to
standard error, and every listing has `--json`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from ophl7 import __version__
from ophl7.cli.exits import Exit
from ophl7.errors import LinkDown, Ophl7Error, RefusedByBroker, SettingsError

# verb -> what it does, in the words of `ophl7 --help`. The module is ophl7.cli.VERB.
VERBS: dict[str, str] = {
    "serve": "Start the broker.",
    "demo": "Start it with a simulated PM and EMR that play a practice's day.",
    "send": "Send messages to a listener and print its answers.",
    "listen": "Receive messages on a test port and answer them.",
    "explain": "Tell what would become of a message; changes nothing.",
    "validate": "Check messages against their HL7 version.",
    "simulate": "Play a PM or an EMR, to try the broker.",
    "patients": "Load the patients that both systems have; show one of them.",
    "messages": "List the messages that came, show one, or have it judged again.",
    "holds": "List what waits for somebody or something; decide about it.",
    "maps": "What codes are called in the other system.",
    "charges": "List charges; the day report, what is current, exports.",
    "merges": "List merged charts and who must do it yet; take one apart.",
    "superbills": "List who still sends claims and superbills.",
    "audit": "List what people did; check that this record is whole.",
    "queue": "List what is on its way to the PM and the EMR.",
    "alarms": "List what somebody must look at; say that you do.",
    "db": "The database: update, copy, check, remove what is old.",
    "config": "Show every setting, its value and where it came from.",
    "selftest": "Kill a broker of its own on this disk and look for loss.",
    "health": "Ask the running broker whether it is ready.",
    "version": "Show the version.",
}


class Verbs(click.Group):
    """A group that knows its verbs' names and summaries without importing them: `ophl7 --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs in the order in which people meet them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The verb's command, imported now; None when there is no such verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"ophl7.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The list of verbs, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="ophl7 %(version)s")
def group() -> None:
    """An HL7 v2 broker between a practice management system (PM) and an EMR.

    Exit status: 0 ok, 1 usage, 2 configuration or start-up, 3 connection, 4 refused by the peer or the broker,
    not ready, or does not conform.
    """


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns the exit status; what went wrong is told on standard error, without a traceback."""
    try:
        outcome = group.main(args=list(arguments), prog_name="ophl7", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except SettingsError as error:
        click.echo(f"ophl7 cannot start, {_count(len(error.faults))}:", err=True)
        for fault in error.faults:
            click.echo(f"  {fault}", err=True)
        return Exit.CONFIGURATION
    except LinkDown as error:
        click.echo(f"{error.code} {error}", err=True)
        return Exit.CONNECTION
    except RefusedByBroker as error:
        click.echo(f"{error.code} {error}", err=True)
        return Exit.REFUSED
    except Ophl7Error as error:
        click.echo(f"{error.code} {error}", err=True)
        return Exit.CONFIGURATION
    except Exception as error:  # noqa: BLE001 - the outermost door: told without the exception's text, which may quote a message
        from ophl7.observe.logs import places

        click.echo(f"ophl7 broke off: {type(error).__name__}. This is a fault of ophl7; please report these places:", err=True)
        for place in places(error):
            click.echo(f"  {place}", err=True)
        return Exit.CONFIGURATION
    return outcome if isinstance(outcome, int) else Exit.OK


def main() -> NoReturn:
    """The entry point of the script `ophl7`."""
    sys.exit(run(sys.argv[1:]))


def _count(faults: int) -> str:
    return "one setting is wrong" if faults == 1 else f"{faults} settings are wrong"
