"""`nndiag predict`, against the same file in plain torch behind torchvision's own preprocessing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from nndiag.experiments import predict
from nndiag.schema.errors import DataError
from nndiag.schema.spec_transfer import TransferSpec
from nndiag.training import saving
from nndiag.training.transferring import Learner
from nndiag.zoo import backbones

Run = Callable[..., Any]
CLASSES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a network that tells colours apart, and images."""
    root = tmp_path_factory.mktemp("predict")
    torch.manual_seed(0)
    body = backbones.body(backbones.build("small_cnn"))
    head = nn.Linear(128, 3)
    learner = Learner(body, backbones.blocks(body), head)
    saving.save(learner, CLASSES, TransferSpec(), str(root / "net.safetensors"), image_size=32)
    random = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (root / "images" / name).mkdir(parents=True)
        for k, kind in enumerate(("png", "bmp", "tif")):
            pixels = random.integers(0, 256, (40 + 5 * number, 48, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / "images" / name / f"{k}.{kind}")
    (root / "images" / "bee" / "broken.png").write_bytes(b"broken")
    (root / "images" / "other").mkdir()
    Image.new("L", (9, 9), 40).save(root / "images" / "other" / "grey.png")
    return root


def _run(place: Path, what: str = "images") -> dict[str, Any]:
    return predict.run(str(place / "net.safetensors"), str(place / what)).result


def _plainly(place: Path, files: list[str]) -> torch.Tensor:
    """Return the probabilities by torchvision's transforms and the lines that load the network."""
    prepare = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(32, antialias=True),
            v2.CenterCrop(32),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    space: dict[str, Any] = {}
    exec("\n".join(saving.load(str(place / "net.safetensors")).code), space)
    x = torch.stack([prepare(Image.open(file).convert("RGB")) for file in files])
    with torch.no_grad():
        return space["net"](x).softmax(1)


def test_as_plain_torch(place: Path) -> None:
    result = _run(place)
    files = [row["file"] for row in result["rows"]]
    assert [Path(file).name for file in files] == ["0.png", "1.bmp", "2.tif"] * 3 + ["grey.png"]
    theirs = _plainly(place, files)
    ours = torch.tensor([list(row["probabilities"].values()) for row in result["rows"]])
    assert torch.allclose(ours, theirs, atol=2e-3)  # a level of 256 by rounding
    for row, each in zip(result["rows"], ours, strict=True):
        assert row["class"] == CLASSES[int(each.argmax())]
        assert row["probability"] == pytest.approx(float(each.max()))
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_folders_named_like_classes_tell_what_is_right(place: Path) -> None:
    result = _run(place)
    known = [row for row in result["rows"] if Path(row["file"]).parent.name in CLASSES]
    assert result["known"] == len(known) == 9
    assert result["right"] == sum(row["class"] == Path(row["file"]).parent.name for row in known)
    assert result["rows"][-1]["folder"] is None


def test_in_parts_as_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _run(place)
    monkeypatch.setattr(predict, "_AT_ONCE", 3)
    parts = _run(place)
    assert parts["problems"] == whole["problems"]
    for one, other in zip(parts["rows"], whole["rows"], strict=True):
        assert one["file"] == other["file"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_broken_files_are_listed(place: Path) -> None:
    broken = place / "images" / "bee" / "broken.png"
    assert _run(place)["problems"] == [f"{broken}: not an image that Pillow reads"]


def test_one_image(place: Path) -> None:
    (row,) = _run(place, "images/ant/0.png")["rows"]
    assert row["file"].endswith("0.png")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("images/bee/broken.png", "{path}: not an image that Pillow reads"),
        ("empty", "there are no images in '{path}'"),
        (
            "all-broken",
            "no image in '{path}' can be read; the first: {path}/a.png: empty file",
        ),
    ],
)
def test_nothing_to_read(place: Path, what: str, message: str) -> None:
    for name in ("empty", "all-broken"):
        (place / name).mkdir(exist_ok=True)
    (place / "all-broken" / "a.png").touch()
    with pytest.raises(DataError) as raised:
        _run(place, what)
    assert str(raised.value) == message.format(path=place / what)


def test_ctrl_c_keeps_what_is_complete(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = predict.image_files.read
    calls: list[int] = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(*arguments, **options)

    monkeypatch.setattr(predict, "_AT_ONCE", 2)
    monkeypatch.setattr(predict.image_files, "read", interrupted)
    result = _run(place)
    assert result["interrupted"]
    assert len(result["rows"]) == 4


def test_output(run_cli: Run, place: Path, tmp_path: Path) -> None:
    figure = tmp_path / "a.svg"
    arguments = ["predict", str(place / "net.safetensors"), str(place / "images")]
    done = run_cli(*arguments, "--plot", str(figure))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["class", "sure", "%", "file"]
    assert [line.split()[2] for line in lines[1:11]] == [row["file"] for row in _run(place)["rows"]]
    assert "10 images: " in done.out
    assert "of 9 agree with the name of their folder" in done.out
    assert "Not read: " in done.out
    assert figure.stat().st_size > 10_000
    envelope = json.loads(run_cli(*arguments, "--json", "-").out)
    assert envelope["command"] == "predict"
    assert len(envelope["result"]["rows"]) == 10


def test_wrong_paths(run_cli: Run, place: Path) -> None:
    net, images = str(place / "net.safetensors"), str(place / "images")
    done = run_cli("predict", "no.safetensors", images)
    assert (done.code, done.err) == (2, "nndiag: MODEL: there is no 'no.safetensors'\n")
    done = run_cli("predict", net, "nowhere")
    assert (done.code, done.err) == (2, "nndiag: FOLDER: there is no 'nowhere'\n")
    done = run_cli("predict", str(place / "images" / "ant" / "0.png"), images)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "cannot be read" in done.err
