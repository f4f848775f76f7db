"""Weights downloaded from a real server on the loopback interface."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from nndiag.datasets import checkpoints
from nndiag.schema.errors import DataError

CONTENT = bytes(range(256)) * 4000
FILE = f"tiny-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
HALF = len(CONTENT) // 2


class Recorder:
    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done: list[int] = []

    def stage(self, text: str, total: int, **more: Any) -> None:
        self.stages.append((text, total))

    def update(self, done: int, **more: Any) -> None:
        self.done.append(done)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Serve /good, /cut (half), /other (wrong bytes), /whole (no ranges), /late; 404 else."""
    monkeypatch.setenv("no_proxy", "*")
    closing = threading.Event()
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind = self.path.split("/")[1]
            wanted = self.headers["Range"]
            asked.append((self.command, wanted))
            if kind == "late":
                closing.wait(10)
            if kind not in ("good", "cut", "other", "whole", "late"):
                self.send_error(404, "Not Found")
                return
            start = int(wanted[6:-1]) if wanted and kind != "whole" else 0
            if start >= len(CONTENT):
                self.send_error(416, "Requested Range Not Satisfiable")
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            body = bytes(len(CONTENT)) if kind == "other" else CONTENT
            if self.command == "GET":
                self.wfile.write(body[start : HALF if kind == "cut" else None])

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.asked = asked  # type: ignore[attr-defined]
        serving.url = f"http://127.0.0.1:{serving.server_port}"  # type: ignore[attr-defined]
        thread = threading.Thread(target=serving.serve_forever, args=[0.01])
        thread.start()
        yield serving
        closing.set()
        serving.shutdown()
        thread.join()


def refusal(url: str, home: Path) -> str:
    with pytest.raises(DataError) as caught:
        checkpoints.obtain(url, "--weights imagenet")
    return str(caught.value).replace(str(home), "FOLDER")


def unavailable(reason: str) -> str:
    return (
        f"--weights imagenet: {FILE} is not in FOLDER and could not be downloaded ({reason}); "
        "put it there"
    )


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TORCH_HOME": "/somewhere"},
        {"TORCH_HOME": "~/torch"},
        {"XDG_CACHE_HOME": "/caches"},
        {"XDG_CACHE_HOME": "~/caches", "TORCH_HOME": "/somewhere"},
    ],
)
def test_the_folder_is_torchs_own(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert checkpoints.folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_a_file_arrives_whole_and_progress_is_told(home: Path, server: Any) -> None:
    watch = Recorder()
    path = checkpoints.obtain(f"{server.url}/good/{FILE}", "--weights imagenet", watch)
    assert path == home / FILE
    assert path.read_bytes() == CONTENT
    assert os.listdir(home) == [FILE]
    assert watch.stages == [(f"downloading {FILE}", len(CONTENT))]
    assert watch.done == sorted(watch.done)
    assert watch.done[-1] == len(CONTENT)


def test_what_is_there_is_not_asked_for_again(home: Path) -> None:
    home.mkdir(parents=True)
    (home / FILE).write_bytes(CONTENT)
    path = checkpoints.obtain(f"http://never.invalid/{FILE}", "--weights imagenet")
    assert path == home / FILE
    assert not checkpoints.damaged(path)
    path.write_bytes(CONTENT[:-1])
    assert checkpoints.damaged(path)


def test_a_name_without_digits_promises_nothing(tmp_path: Path) -> None:
    own = tmp_path / "my-model.pth"
    own.write_bytes(b"anything")
    assert not checkpoints.damaged(own)


def test_a_broken_download_goes_on_from_where_it_was(home: Path, server: Any) -> None:
    message = refusal(f"{server.url}/cut/{FILE}", home)
    assert message == unavailable("it broke off; the next try goes on from there")
    assert os.listdir(home) == [f"{FILE}.part"]
    watch = Recorder()
    path = checkpoints.obtain(f"{server.url}/good/{FILE}", "--weights imagenet", watch)
    assert server.asked == [("GET", None), ("GET", f"bytes={HALF}-")]
    assert path.read_bytes() == CONTENT
    assert watch.stages == [(f"downloading {FILE}", len(CONTENT))]
    assert watch.done[0] > HALF
    assert os.listdir(home) == [FILE]


@pytest.mark.parametrize(
    ("kind", "left"),
    [("whole", HALF), ("good", len(CONTENT) + 1)],
    ids=["no ranges", "more than there is"],
)
def test_what_was_left_is_dropped_where_it_does_not_help(
    home: Path, server: Any, kind: str, left: int
) -> None:
    home.mkdir(parents=True)
    (home / f"{FILE}.part").write_bytes(bytes(left))
    path = checkpoints.obtain(f"{server.url}/{kind}/{FILE}", "--weights imagenet")
    assert path.read_bytes() == CONTENT
    assert os.listdir(home) == [FILE]


def test_a_download_that_was_complete_needs_no_server(home: Path) -> None:
    home.mkdir(parents=True)
    (home / f"{FILE}.part").write_bytes(CONTENT)
    path = checkpoints.obtain(f"http://never.invalid/{FILE}", "--weights imagenet")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kind", "reason"), [("other", "the download is damaged"), ("gone", "Not Found")]
)
def test_a_refusal_names_file_and_folder(home: Path, server: Any, kind: str, reason: str) -> None:
    assert refusal(f"{server.url}/{kind}/{FILE}", home) == unavailable(reason)
    assert os.listdir(home) == []


def test_no_network_is_one_sentence(home: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{FILE}"
        assert refusal(url, home) == unavailable("Connection refused")
        assert not checkpoints.reachable(url)


def test_reach_is_found_out_without_a_download(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkpoints.reachable(f"{server.url}/good/{FILE}")
    assert server.asked == [("HEAD", None)]
    assert not checkpoints.reachable(f"{server.url}/gone/{FILE}")
    monkeypatch.setattr(checkpoints, "REACH_SECONDS", 0.1)
    started = time.monotonic()
    assert not checkpoints.reachable(f"{server.url}/late/{FILE}")
    assert time.monotonic() - started < 5
