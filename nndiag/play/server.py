"""Serves the playground to this machine alone."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from collections.abc import Callable

from nicegui import app, ui
from starlette.middleware.trustedhost import TrustedHostMiddleware

from nndiag.locales import _
from nndiag.play.page import Page
from nndiag.play.session import Session
from nndiag.play.settings import Settings
from nndiag.schema.errors import UsageError

HOST = "127.0.0.1"


def serve(settings: Settings, *, port: int, browse: bool, told: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Every page has a training of its own, in a process that ends with the page. The address holds a
    random token: without it there is nothing to see, and requests under another host name (of a
    page elsewhere that resolves to this machine) are refused.

    Args:
        port: 0 for any that is free.
        browse: open the reader's browser.
        told: given the address once the server answers.

    Raises:
        UsageError: the port is taken.
    """
    port = _free(port)
    token = secrets.token_urlsafe(16)
    address = f"http://{HOST}:{port}/{token}"
    sessions: set[Session] = set()

    @ui.page(f"/{token}", title="nndiag play")
    def page() -> None:
        session = Session()
        sessions.add(session)

        def close() -> None:
            sessions.discard(session)
            session.cancel()

        ui.context.client.on_delete(close)
        Page(session, settings).build()

    def started() -> None:
        told(address)
        if browse:
            webbrowser.open(address)

    def stopped() -> None:
        for session in tuple(sessions):
            session.cancel()

    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.on_startup(started)
    app.on_shutdown(stopped)
    ui.run(host=HOST, port=port, show=False, reload=False, show_welcome_message=False)


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                _("--port: {port} cannot be used: {reason}").format(
                    port=port, reason=error.strerror
                )
            ) from None
        return int(probe.getsockname()[1])
