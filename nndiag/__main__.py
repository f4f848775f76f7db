"""`python -m nndiag`."""

from __future__ import annotations

from nndiag.cli.app import command

command()
