"""A saved network: the lines shown load it with plain torch, and it predicts the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nndiag.datasets.images import normalised
from nndiag.schema.errors import DataError, RunError
from nndiag.schema.spec_transfer import TransferSpec, head_units
from nndiag.training import saving
from nndiag.training.transferring import Learner
from nndiag.zoo import backbones

CLASSES = ("ant", "bee", "cat")
OWN = '''
import torch
from torch import nn

class HeadFirst(nn.Module):
    """Its last layer is the first that it lists, of the same size as another one."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(3, 3)
        self.conv = nn.Conv2d(3, 3, 1)
        self.mix = nn.Linear(3, 3)
        self.mix.weight = nn.Parameter(torch.eye(3))
        self.fc = self.out
        del self.out
        self.last = nn.Identity()

    def forward(self, x):
        return self.last(self.fc(self.mix(self.conv(x).mean((2, 3)))))

READY = nn.Sequential(nn.Flatten(), nn.Linear(3072, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh())
'''
QUICK = [
    ("small_cnn", "linear"),
    ("small_cnn", "mlp:6"),
    ("small_cnn", "flatten-mlp:5"),
    ("resnet18", "linear"),
    ("resnet18", "flatten-mlp:5"),
    ("squeezenet1_1", "linear"),
    ("mobilenet_v3_small", "mlp:6"),
    ("shufflenet_v2_x0_5", "linear"),
    ("mnasnet0_5", "linear"),
    ("their_saved_nets:HeadFirst", "mlp:6"),
    ("their_saved_nets:READY", "linear"),
]
LARGE = (
    "vgg11 densenet121 googlenet inception_v3 efficientnet_b0 convnext_tiny swin_t vit_b_32 "
    "maxvit_t regnet_y_400mf"
)


def _learner(spec: TransferSpec, size: int) -> Learner:
    """Return a network with random values everywhere, BatchNorm's statistics too."""
    torch.manual_seed(0)
    model = backbones.build(spec.backbone, image_size=size)
    body = backbones.body(model, pooled=not spec.head.startswith("flatten"))
    with torch.no_grad():
        width = body.eval()(torch.zeros(1, 3, size, size)).shape[1]
    units = head_units(spec.head)
    hidden = [nn.Linear(width, units), nn.ReLU()] if units else []
    head = nn.Sequential(*hidden, nn.Dropout(0.3), nn.Linear(units or width, len(CLASSES)))
    learner = Learner(body, backbones.blocks(body), head)
    for name, value in [*learner.body.state_dict().items(), *learner.head.state_dict().items()]:
        if name.endswith(("running_mean", "running_var")):
            value.copy_(torch.rand(value.shape) + 0.5)
    return learner


def _saved(name: str, head: str, path: Path) -> tuple[Learner, dict[str, Any], Tensor]:
    """Save a network; return it, what the user is told, and some pictures."""
    size = max(32, backbones.row(name).least)
    spec = TransferSpec(backbone=name, head=head, dropout=0.3)
    learner = _learner(spec, size)
    told = saving.save(learner, CLASSES, spec, str(path), image_size=size)
    x = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(2))
    return learner, told, x


@pytest.fixture(scope="module")
def own_nets(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("own")
    (folder / "their_saved_nets.py").write_text(OWN)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("their_saved_nets", None)


def _compare(cases: list[tuple[str, str]], folder: Path, own: Path) -> None:
    """Run exactly the lines shown, in a Python that never loads nndiag."""
    script = ["import sys"]
    expected = []
    for place, (name, head) in enumerate(cases):
        path = folder / f"{place}.safetensors"
        learner, told, x = _saved(name, head, path)
        assert len(told["code"]) == 3
        loaded = saving.load(str(path))
        with torch.no_grad():
            expected.append(nn.Sequential(learner.body, learner.head).eval()(normalised(x)))
        assert torch.allclose(loaded.predict(x), expected[-1].softmax(1), atol=1e-5)
        assert loaded.classes == CLASSES
        save_file({"x": normalised(x)}, folder / f"x{place}.safetensors")
        script += told["code"]
        script += [
            f"x = safetensors.torch.load_file({str(folder / f'x{place}.safetensors')!r})['x']",
            "with torch.no_grad(): out = net(x)",
            f"safetensors.torch.save_file({{'y': out}}, {str(folder / f'y{place}.safetensors')!r})",
        ]
    script.append("assert not any(name.split('.')[0] == 'nndiag' for name in sys.modules)")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(script)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(own), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for place, scores in enumerate(expected):
        theirs = load_file(folder / f"y{place}.safetensors")["y"]
        assert torch.allclose(theirs, scores, rtol=1e-4, atol=1e-5), cases[place]


def test_three_lines_of_plain_torch(tmp_path: Path, own_nets: Path) -> None:
    _compare(QUICK, tmp_path, own_nets)


@pytest.mark.slow
def test_three_lines_of_plain_torch_for_large_networks(tmp_path: Path, own_nets: Path) -> None:
    cases = [(name, head) for name in LARGE.split(" ") for head in ("linear", "flatten-mlp:5")]
    _compare(cases, tmp_path, own_nets)


def test_the_file_keeps_every_value(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    learner, _told, _x = _saved("small_cnn", "linear", path)
    kept = list(load_file(path).values())
    ours = [*learner.body.state_dict().values(), *learner.head.state_dict().values()]
    assert sorted(map(_print, kept)) == sorted(map(_print, ours))


def _print(value: Tensor) -> tuple[tuple[int, ...], bytes]:
    return tuple(value.shape), value.numpy().tobytes()


def test_photographs_are_resized_as_in_training(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    spec = TransferSpec(backbone="squeezenet1_1")
    learner = _learner(spec, 224)
    saving.save(learner, CLASSES, spec, str(path), image_size=224)
    loaded = saving.load(str(path))
    assert (loaded.image_size, loaded.resize) == (224, 256)


def _message(path: Path) -> str:
    with pytest.raises(DataError) as raised:
        saving.load(str(path))
    return str(raised.value)


def test_files_that_are_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    assert _message(path) == f"there is no file '{path}'"
    path.write_bytes(b"nonsense")
    assert _message(path).startswith(f"'{path}' cannot be read: ")
    save_file({"x": torch.zeros(2)}, path)
    assert _message(path) == f"'{path}' was not written by nndiag transfer --save"
    _saved("small_cnn", "linear", path)
    path.write_bytes(path.read_bytes()[:-100])
    assert _message(path).startswith(f"'{path}' cannot be read: ")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"backbone": "resnet999"}, "--backbone: unknown name 'resnet999'"),
        ({"backbone": "os:abort"}, "os:abort is no network"),
        ({"backbone": "resnet18"}, "Error(s) in loading state_dict for ResNet:"),
        ({"head": [["Lambda", 1]]}, "unknown layer Lambda"),
        ({"head": [["Linear", 128, "__import__('os').abort()"]]}, "invalid literal for int()"),
        ({"image_size": "many"}, "invalid literal for int()"),
    ],
)
def test_altered_files_run_nothing(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = tmp_path / "net.safetensors"
    _saved("small_cnn", "linear", path)
    facts = {
        "backbone": "small_cnn", "image_size": 32, "resize": 32, "pooled": True,
        "head": [["Dropout", 0.3], ["Linear", 128, 3]], "classes": list(CLASSES),
        "trained": {},
    }  # fmt: skip
    metadata = {"format": "nndiag-transfer-1", "nndiag": json.dumps({**facts, **change})}
    save_file(load_file(path), path, metadata=metadata)
    assert reason in _message(path)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"--save: .* cannot be written"):
        _saved("small_cnn", "linear", tmp_path / "no" / "net.safetensors")
