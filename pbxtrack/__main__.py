"""The ``pbxtrack`` command: whatever happens, the user reads one line and gets an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from pbxtrack.cli.group import Options, pbxtrack
from pbxtrack.cli.text import visible
from pbxtrack.errors import PbxtrackError

FAILURE, USAGE, INTERRUPTED = 1, 2, 130


def main() -> None:
    """Run the command line and exit: 0, 1 for a failure, 2 for bad usage, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")  # a terminal that has no → still gets its answer
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit status of the command line, all output written."""
    options = Options()
    try:
        status = pbxtrack.main(list(arguments), prog_name="pbxtrack", standalone_mode=False, obj=options)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "pbxtrack"
        click.echo(f"{command}: {visible(error.format_message())} (see `{command} --help`)", err=True)
        return USAGE
    except click.ClickException as error:
        return _fail(error.format_message())
    except PbxtrackError as error:
        if options.debug:
            traceback.print_exc()
        return _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        name = type(error).__name__
        text = " ".join(str(error).split())
        return _fail(f"unexpected {name}: {text}; please report this, with the output of `pbxtrack --debug …`")


def _fail(message: str) -> int:
    click.echo(f"pbxtrack: {visible(message)}", err=True)
    return FAILURE


def _reader_gone() -> int:
    # Python would write what is left at its exit, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILURE


if __name__ == "__main__":
    main()
