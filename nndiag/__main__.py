"""`python -m nndiag`."""

from __future__ import annotations

import sys

from nndiag.cli.app import main

sys.exit(main())
