"""The command line: parse, call `bittrue.pipeline`, print, exit. Imported by nothing."""

from bittrue.cli.app import main

__all__ = ["main"]
