"""The main command; its commands are loaded when they are called, so that ``pbxtrack --help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

import click

from pbxtrack import __version__

COMMANDS = {
    "serve": "Run the services.",
    "apply": "Make sites, pools, channels and numbers be as a file says.",
    "export-config": "Print the site file of what is there.",
    "calls": "The call log; one call explained.",
    "report": "Reports: what channels and campaigns brought, who answered, when people call.",
    "cost": "What advertising cost: imported from CSV, listed.",
    "pool": "How many numbers a pool needs.",
    "replay": "What attribution would have said of recorded traffic.",
    "import-cdr": "Add calls that were missed, from Asterisk's own files.",
    "rebuild": "Work out calls and attributions anew from what was recorded.",
    "doctor": "Check that everything is wired and reachable.",
    "asterisk-conf": "Write the dialplan and manager snippets.",
    "config": "Check the settings.",
    "db": "Upgrade or check the database's schema.",
    "user": "People who log in to the dashboard.",
    "token": "API tokens of programs.",
    "lab": "A real Asterisk with SIP phones and callers, to try pbxtrack on.",
    "demo": "The whole of it on this machine, with calls.",
    "demo-data": "A year of invented calls, in a database of its own.",
}
"""Each command with its line of help. ``some-name`` is the object ``some_name`` of ``pbxtrack.cli.some_name``."""


@dataclass
class Options:
    """Options of the main command."""

    debug: bool = False


class LazyGroup(click.Group):
    """Imports a command's module when the command is called; one that is not there is not offered."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if find_spec(_module(name))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS or not find_spec(_module(cmd_name)):
            return None
        command = getattr(import_module(_module(cmd_name)), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            similar = get_close_matches(args[0], self.list_commands(ctx))
            if not error.message.startswith("No such command") or not similar:
                raise
            hint = f"Did you mean {' or '.join(map(repr, similar))}?"
            raise click.UsageError(f"{error.message} {hint}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


def _module(name: str) -> str:
    return f"pbxtrack.cli.{name.replace('-', '_')}"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pbxtrack", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
@click.pass_obj
def pbxtrack(options: Options, debug: bool) -> None:
    """Call tracking on your own Asterisk: which advertising brought each call."""
    options.debug = debug
