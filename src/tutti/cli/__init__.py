"""The command line: parse, wire, print. Nothing heavier than Typer is imported before a command runs."""

from tutti.cli._main import main as main
