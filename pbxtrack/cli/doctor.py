"""`pbxtrack doctor`."""

from __future__ import annotations

import asyncio
from typing import Any

import click
from rich.console import Console

from pbxtrack import config, logs
from pbxtrack.cli.options import json_option, print_json
from pbxtrack.cli.text import count
from pbxtrack.doctor import examine
from pbxtrack.health import Finding


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check database, service, Asterisk and its wiring; say how to mend what is wrong. Exit 1 if something is."""
    logs.configure("critical")  # what is wrong is told below, once
    findings = asyncio.run(_all(config.load(), None if as_json else Console(highlight=False)))
    if as_json:
        print_json([_document(finding) for finding in findings])
    failed = sum(not finding.ok for finding in findings)
    if not as_json:
        click.echo(f"{failed} of {count(len(findings), 'check')} failed" if failed else "all is well")
    if failed:
        raise click.exceptions.Exit(1)


async def _all(settings: config.Settings, console: Console | None) -> list[Finding]:
    findings = []
    async for finding in examine(settings):
        findings.append(finding)
        if console:
            _print(console, finding)
    return findings


def _document(finding: Finding) -> dict[str, Any]:
    return {"name": str(finding.name), "ok": finding.ok, "found": str(finding.found), "mend": str(finding.mend)}


def _print(console: Console, finding: Finding) -> None:
    mark, style = ("✓", "green") if finding.ok else ("✗", "red")
    console.print(mark, style=style, end=" ")
    console.print(f"{finding.name}: {finding.found}", markup=False, soft_wrap=True)
    if not finding.ok:
        console.print(f"    → {finding.mend}", markup=False, soft_wrap=True)
