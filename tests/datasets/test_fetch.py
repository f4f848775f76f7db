"""Downloads from a real server on the loopback interface."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from nndiag.datasets import fetch
from nndiag.schema.errors import DataError

CONTENT = bytes(range(256)) * 1000
ARCHIVE = gzip.compress(CONTENT, mtime=0)


class Recorder:
    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done: list[int] = []

    def stage(self, text, total):
        self.stages.append((text, total))

    def update(self, done, *, numbers=None, norms=None):
        self.done.append(done)


@pytest.fixture
def server(monkeypatch):
    """Serve /good/*, /cut/* (half), /other/* (wrong bytes), /late/* (after a while), 404 else."""
    monkeypatch.setenv("no_proxy", "*")
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            kind = self.path.split("/")[1]
            if kind == "late":
                closing.wait(10)
            if kind not in ("good", "cut", "other", "late"):
                self.send_error(404, "Not Found")
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(ARCHIVE)))
            self.end_headers()
            body = {"cut": ARCHIVE[: len(ARCHIVE) // 2], "other": bytes(len(ARCHIVE))}
            self.wfile.write(body.get(kind, ARCHIVE))

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        closing.set()
        serving.shutdown()
        thread.join()


def a_set(*mirrors: str) -> SimpleNamespace:
    """Return the tables of a torchvision class like MNIST, with one file."""
    return SimpleNamespace(
        __name__="TINY",
        mirrors=list(mirrors),
        resources=[("train.gz", hashlib.md5(ARCHIVE).hexdigest())],
        training_file="training.pt",
        test_file="test.pt",
    )


def refusal(tmp_path, *mirrors: str) -> str:
    with pytest.raises(DataError) as caught:
        fetch.complete(a_set(*mirrors), tmp_path, "tiny")
    return str(caught.value).replace(str(tmp_path), "ROOT")


def unavailable(reason: str) -> str:
    return (
        "--data tiny: its files are not all in ROOT/TINY/raw and could not be downloaded "
        f"({reason}); put train.gz there, or name another folder with --data-root"
    )


def test_a_file_arrives_whole_is_unpacked_and_progress_is_told(tmp_path, server):
    watch = Recorder()
    fetch.complete(a_set(f"{server}/good/"), tmp_path, "tiny", watch)
    folder = tmp_path / "TINY" / "raw"
    assert (folder / "train").read_bytes() == CONTENT
    assert sorted(path.name for path in folder.iterdir()) == ["train", "train.gz"]
    assert watch.stages == [("downloading train.gz", len(ARCHIVE))]
    assert watch.done == sorted(watch.done)
    assert watch.done[-1] == len(ARCHIVE)


def test_what_is_there_is_not_asked_for_again(tmp_path, server):
    fetch.complete(a_set(f"{server}/good/"), tmp_path, "tiny")
    fetch.complete(a_set("http://never.invalid/"), tmp_path, "tiny")
    (tmp_path / "TINY" / "raw" / "train").unlink()
    fetch.complete(a_set("http://never.invalid/"), tmp_path, "tiny")
    assert (tmp_path / "TINY" / "raw" / "train").read_bytes() == CONTENT


def test_the_second_mirror_serves_when_the_first_does_not(tmp_path, server):
    fetch.complete(a_set(f"{server}/gone/", f"{server}/good/"), tmp_path, "tiny")
    assert (tmp_path / "TINY" / "raw" / "train").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("cut", "the download is damaged"),
        ("other", "the download is damaged"),
        ("gone", "Not Found"),
    ],
)
def test_a_failed_download_leaves_nothing_behind(tmp_path, server, kind, reason):
    assert refusal(tmp_path, f"{server}/{kind}/") == unavailable(reason)
    assert list((tmp_path / "TINY").rglob("*.*")) == []


def test_a_closed_port_is_named(tmp_path, server, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert refusal(tmp_path, "http://127.0.0.1:9/") == unavailable("Connection refused")


def test_silence_is_given_up_within_seconds(tmp_path, server, monkeypatch):
    monkeypatch.setattr(fetch, "ANSWER_SECONDS", 0.2)
    started = time.monotonic()
    assert refusal(tmp_path, f"{server}/late/") == unavailable("no answer in 0.2 seconds")
    assert time.monotonic() - started < 2


def test_a_root_that_is_a_file_is_an_error_of_the_user(tmp_path, server):
    (tmp_path / "TINY").touch()
    assert refusal(tmp_path, f"{server}/good/") == unavailable("Not a directory")
