"""Weights from ImageNet's files, from users' files, from the cache of pre-trainings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from nndiag.datasets import checkpoints, fetch
from nndiag.schema.errors import DataError, UsageError
from nndiag.schema.progress import Silent
from nndiag.training import pretraining, weights
from nndiag.training.weights import Weights
from nndiag.zoo import backbones

CPU = torch.device("cpu")
NAME = "shufflenet_v2_x0_5"  # the smallest of torchvision's with a linear head
FILE = backbones.row(NAME).file


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No file of this machine and no network is in reach."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NNDIAG_CACHE", str(tmp_path / "cache"))

    @contextmanager
    def nobody(url: str, **more: Any) -> Any:
        raise OSError("Name or service not known")
        yield

    monkeypatch.setattr(fetch, "answer", nobody)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pre-training be three batches of eight tiny images."""
    usual = pretraining.recipe

    def short(name: str, image_size: int) -> pretraining.Recipe:
        return replace(usual(name, image_size), batches=3, batch_size=8)

    monkeypatch.setattr(pretraining, "recipe", short)
    monkeypatch.setattr(pretraining, "_HELD_OUT", 40)


def find(asked: str, backbone: str = NAME, size: int = 32) -> Weights:
    return weights.find(asked, backbone, (size, size), CPU, Silent())


def whole() -> nn.Module:
    torch.manual_seed(5)
    return models.get_model(NAME, weights=None)


def features(model: nn.Module, x: Tensor) -> Tensor:
    """Return what torchvision's network feeds into its classifier."""
    seen: list[Tensor] = []
    model.fc.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.eval()(x)
    return seen[0]


def body_output(state: Any, x: Tensor) -> Tensor:
    body = backbones.body(backbones.build(NAME))
    body.load_state_dict(dict(state))
    output: Tensor = body.eval()(x)
    return output


def test_imagenet_weights_are_taken_from_torchs_cache(home: Path) -> None:
    model = whole()
    torch.save(model.state_dict(), home / FILE)
    x = torch.randn(2, 3, 64, 64)
    for asked in ("imagenet", "auto"):
        found = find(asked)
        assert found.kind == "imagenet"
        torch.testing.assert_close(body_output(found.state, x), features(model, x))
        assert FILE in found.origin
        assert "60.552 % on ImageNet" in found.origin
        assert "checksum is not the published one" in found.origin  # it was drawn above


def test_without_cache_and_network_one_sentence_says_what_and_where(home: Path) -> None:
    with pytest.raises(DataError) as error:
        find("imagenet")
    assert str(error.value) == (
        f"--weights imagenet: {FILE} is not in {home} and could not be downloaded "
        "(Name or service not known); put it there, or use --weights source"
    )


def test_auto_falls_back_and_says_why(home: Path, brief: None) -> None:
    found = find("auto", "small_cnn", 8)
    assert found.kind == "source"
    assert "it has no ImageNet weights" in found.origin
    found = find("auto")
    assert found.kind == "source"
    assert f"ImageNet weights are neither in {home} nor within reach" in found.origin


def test_a_damaged_file_is_said_to_be(home: Path) -> None:
    torch.save(whole().state_dict(), home / FILE)
    content = (home / FILE).read_bytes()
    (home / FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=re.escape(f"{FILE} is damaged; delete it and run again")):
        find("imagenet")


@pytest.mark.parametrize("prefix", ["", "module.", "body."])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_users_file(tmp_path: Path, prefix: str, suffix: str) -> None:
    model = models.get_model(NAME, weights=None, num_classes=7)
    state = {prefix + name: value.contiguous() for name, value in model.state_dict().items()}
    path = tmp_path / f"mine.{suffix}"
    if suffix == "pth":
        torch.save({"state_dict": state, "epoch": 3}, path)
    else:
        save_file(state, path)
    found = find(str(path))
    assert (found.kind, found.origin) == ("file", f"weights of {path}")
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(body_output(found.state, x), features(model, x))


def test_a_file_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(DataError, match=re.escape(f"--weights: {path} does not fit the backbone")):
        find(str(path))
    path.write_text("no weights")
    with pytest.raises(DataError, match="cannot be read"):
        find(str(path))
    with pytest.raises(UsageError, match="'nowhere' is neither a file nor one of auto, imagenet"):
        find("nowhere")
    with pytest.raises(UsageError, match="--weights imagenet: small_cnn has none"):
        find("imagenet", "small_cnn")


def test_files_of_old_densenets_and_other_sizes_of_vit() -> None:
    old = "features.denseblock1.denselayer2.norm.1.weight"
    assert weights._today(old) == "features.denseblock1.denselayer2.norm1.weight"
    new = "features.denseblock1.denselayer2.norm1.weight"
    assert weights._today(new) == new
    model = models.VisionTransformer(64, 16, 1, 2, 8, 16)
    small = models.VisionTransformer(32, 16, 1, 2, 8, 16)
    backbone = f"{__name__}:small_vit"
    globals()["small_vit"] = lambda: small
    found = weights._body_state(model.state_dict(), backbone, 32, Path("vit.pth"))
    assert found["body.encoder.pos_embedding"].shape == (1, 1 + 2 * 2, 8)
    torch.testing.assert_close(found["body.class_token"], model.class_token.detach())


def test_none_is_random() -> None:
    assert find("none").state is None


def cached(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "weights").iterdir())


def same(one: Weights, other: Weights) -> bool:
    assert one.state is not None
    assert other.state is not None
    return one.state.keys() == other.state.keys() and all(
        torch.equal(one.state[name], other.state[name]) for name in one.state
    )


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "changed": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "empty": lambda content: b"",
    "text": lambda content: b"no weights",
}


def test_the_source_is_pretrained_once(
    tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find("source", "small_cnn", 8)
    assert "right on new ones (as asked)" in first.origin
    (path,) = cached(tmp_path)
    monkeypatch.setattr(pretraining, "pretrain", None)  # a second one would fail
    again = find("source", "small_cnn", 8)
    assert same(first, again)
    assert again.accuracy == first.accuracy
    assert re.fullmatch(r"small_cnn-8-[0-9a-f]{12}\.safetensors", path.name)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_made_anew(tmp_path: Path, brief: None, damage: str) -> None:
    first = find("source", "small_cnn", 8)
    (path,) = cached(tmp_path)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert weights._cached(path) is None
    assert same(first, find("source", "small_cnn", 8))
    assert weights._cached(path) is not None
    assert cached(tmp_path) == [path]


def test_the_cache_knows_recipe_and_version(
    tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    find("source", "small_cnn", 8)
    find("source", "small_cnn", 16)
    monkeypatch.setattr(weights, "__version__", "another")
    find("source", "small_cnn", 8)
    assert len(cached(tmp_path)) == 3


def test_an_estimate_is_given_before(brief: None) -> None:
    told: list[tuple[str, int, float | None]] = []

    class Recorder(Silent):
        def stage(
            self,
            text: str,
            total: int,
            *,
            layers: Sequence[str] | None = None,
            seconds: float | None = None,
        ) -> None:
            told.append((text, total, seconds))

    weights.find("source", "small_cnn", (8, 8), CPU, Recorder())
    assert told[0] == ("measuring the speed of small_cnn", 6, None)
    text, total, seconds = told[1]
    assert (text, total) == ("pre-training small_cnn on letters, kept for next time", 3)
    assert seconds is not None
    assert 0 < seconds < 60


def test_checkpoints_live_where_torch_keeps_them(home: Path) -> None:
    assert checkpoints.path(FILE) == home / FILE


def test_a_cache_that_cannot_be_written_is_said(
    tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    found = find("source", "small_cnn", 8)
    assert found.state is not None
    assert f"(as asked; not kept in {tmp_path / 'cache' / 'weights'}: " in found.origin
