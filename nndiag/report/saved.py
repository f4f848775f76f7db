"""Results that were saved with --json, read back; no torch."""

from __future__ import annotations

import json
from pathlib import Path

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.result import SCHEMA, Result


def read(path: Path, option: str = "RUN") -> Result:
    """Return a saved result.

    Raises:
        UsageError: the file cannot be read, holds no result of nndiag, or a newer one wrote it.
    """
    try:
        text = path.read_text(encoding="utf-8")
        written = json.loads(text).get("schema")
        if isinstance(written, int) and written > SCHEMA:
            raise UsageError(
                _("{option}: {path} was written by a newer nndiag; update to read it").format(
                    option=option, path=path
                )
            )
        return Result.from_json(text)
    except OSError as error:
        raise UsageError(
            _("{option}: {path} cannot be read: {reason}").format(
                option=option, path=path, reason=error.strerror
            )
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UsageError(
            _("{option}: {path} is no result that a command saved with --json").format(
                option=option, path=path
            )
        ) from None
