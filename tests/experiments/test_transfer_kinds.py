"""Unsupervised and transductive transfer, and a saved network, from the command line."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nndiag.datasets import domains, embedded, images
from nndiag.experiments import transfer_kinds
from nndiag.schema.errors import DataError
from nndiag.schema.progress import Silent
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_transfer import ImageDataSpec, TransferSpec
from nndiag.training import adapting, saving, transferring
from nndiag.training.transfer_bench import TransferBench

Run = Callable[..., Any]
QUICK = ["--weights", "none", "--image-size", "16", "--epochs", "4", "--seeds", "2"]
LARGE_ENOUGH = 5_000


def _spec(**more: Any) -> TransferSpec:
    return TransferSpec(
        weights="none", data=ImageDataSpec(image_size=16), epochs=4, seeds=2, **more
    )


# -- unsupervised ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grouped() -> Result:
    return transfer_kinds.unsupervised(_spec(kind="unsupervised"))


def test_pixels_are_grouped_as_by_scikit_learn_alone(grouped: Result) -> None:
    """The row of plain pixels, computed from the digits themselves."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    bench = TransferBench.of(_spec(), Silent())
    target = bench.target(20, 0)
    parts = (target.train, target.validation, target.test)
    x = torch.cat([part.x for part in parts]).flatten(1).numpy()
    y = torch.cat([part.y for part in parts]).numpy()
    nmi, ari = [], []
    for seed in range(2):
        half = np.random.default_rng(seed).permutation(len(y))[: (len(y) + 1) // 2]
        found = KMeans(5, n_init=4, random_state=seed).fit_predict(x[half])
        nmi.append(normalized_mutual_info_score(y[half], found))
        ari.append(adjusted_rand_score(y[half], found))
    row = next(row for row in grouped.result["rows"] if row["label"] == "pixels")
    assert row["features"] == 3 * 16 * 16
    assert row["nmi"].mean == pytest.approx(np.mean(nmi), abs=1e-6)
    assert row["ari"] == interval(ari)
    assert [run["nmi"] for run in row["runs"]] == pytest.approx(nmi)


def test_groups_and_projections_hold_every_image(grouped: Result) -> None:
    found = grouped.result
    assert [row["label"] for row in found["rows"]] == ["untrained", "random backbone", "pixels"]
    assert found["images"] == (int((embedded.read()[1] >= 5).sum()) + 1) // 2
    table = np.array(found["groups"])
    assert table.sum() == found["images"]
    assert table.shape == (5, 5)
    for one in found["projections"]:
        assert [part["class"] for part in one["classes"]] == ["5", "6", "7", "8", "9"]
        assert sum(len(part["x"]) for part in one["classes"]) == found["images"]
        assert 0 < one["variance"] <= 1


def test_unsupervised_output(run_cli: Run, tmp_path: Path) -> None:
    figure = tmp_path / "a.svg"
    arguments = ["transfer", "--kind", "unsupervised", *QUICK]
    done = run_cli(*arguments, "--plot", str(figure))
    assert done.code == 0, done.err
    for words in ("NMI %", "ARI %", "random backbone", "pixels", "Images of each class in each"):
        assert words in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert figure.stat().st_size > LARGE_ENOUGH


def test_without_scikit_learn(run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sklearn" else find(name)
    )
    done = run_cli("transfer", "--kind", "unsupervised")
    assert (done.code, done.err) == (
        2,
        "nndiag: --kind unsupervised: needs scikit-learn; pip install 'nndiag[learn]'\n",
    )


# -- transductive ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapted() -> Result:
    return transfer_kinds.transductive(
        _spec(kind="transductive", domains=("contrast:0.3", "noisy:0"))
    )


def test_before_and_after_by_hand(adapted: Result) -> None:
    """Trained, shifted and adapted again, step by step."""
    bench = TransferBench.of(_spec(), Silent())
    before, after = [], []
    for seed in range(2):
        learner, _run, _test = bench.train(
            transferring.strategy("finetune", bench.block_count), 20, seed
        )
        target = bench.target(20, seed)
        model = nn.Sequential(learner.body, learner.head).eval()
        domain = domains.parse("contrast:0.3")
        unlabelled, x = (
            images.normalised(domains.shifted(images.pixels(part.x), domain, seed=seed))
            for part in (target.validation, target.test)
        )
        with torch.no_grad():
            before.append(float((model(x).argmax(1) == target.test.y).double().mean()))
            adabn = adapting.adabn(model, unlabelled)
            after.append(float((adabn(x).argmax(1) == target.test.y).double().mean()))
    row = next(r for r in adapted.result["rows"] if r["label"] == "contrast:0.3, AdaBN")
    assert row["before"] == interval(before)
    assert row["test_accuracy"] == interval(after)
    assert row["gain"] == interval([b - a for a, b in zip(before, after, strict=True)])


def test_adaptation_helps_where_statistics_have_moved(adapted: Result) -> None:
    gain = {row["label"]: row["gain"].mean for row in adapted.result["rows"]}
    assert gain["contrast:0.3, AdaBN"] > 0.2
    assert gain["contrast:0.3, CORAL"] > 0.2
    assert abs(gain["unchanged, AdaBN"]) < 0.1


def test_a_shift_of_no_strength_is_no_other_domain(adapted: Result) -> None:
    rows = {row["label"]: row for row in adapted.result["rows"]}
    for method in ("AdaBN", "CORAL"):
        same, none = rows[f"unchanged, {method}"], rows[f"noisy:0, {method}"]
        assert none["before"].mean == pytest.approx(same["before"].mean, abs=0.01)
        assert none["test_accuracy"].mean == pytest.approx(same["test_accuracy"].mean, abs=0.01)


def test_transductive_output(run_cli: Run, tmp_path: Path) -> None:
    figure = tmp_path / "a.html"
    arguments = ["transfer", "--kind", "transductive", "--domains", "inverted,blurred:4", *QUICK]
    done = run_cli(*arguments, "--plot", str(figure))
    assert done.code == 0, done.err
    for words in ("as trained %", "AdaBN", "CORAL", "inverted", "blurred:4", "unchanged"):
        assert words in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert figure.stat().st_size > LARGE_ENOUGH


def test_without_batch_normalisation_there_is_no_adabn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "norms", lambda model: [])
    result = transfer_kinds.transductive(_spec(kind="transductive", domains=("inverted",)))
    assert {row["method"] for row in result.result["rows"]} == {"CORAL"}


def test_other_images_of_the_same_classes(tmp_path: Path) -> None:
    """Digits of a folder as the target: twice as large and thick, as MNIST's are."""
    grey, labels = embedded.read()
    for digit in "5678":
        (tmp_path / digit).mkdir()
        for number, image in enumerate(grey[labels == int(digit)][:20]):
            pixels = (image.astype(float) * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / digit / f"{number}.png")
    name = f"folder:{tmp_path}"
    spec = TransferSpec(
        kind="transductive",
        domains=(name,),
        weights="none",
        data=ImageDataSpec(image_size=16, classes=("5", "6", "7", "8")),
        epochs=4,
        seeds=1,
    )
    rows = transfer_kinds.transductive(spec).result["rows"]
    row = next(row for row in rows if row["label"] == f"{name}, AdaBN")
    same = next(row for row in rows if row["label"] == "unchanged, AdaBN")
    assert row["before"].mean == pytest.approx(same["before"].mean, abs=0.15)


def test_mnist_to_digits(run_cli: Run, tmp_path: Path, no_network: None) -> None:
    _write_mnist(tmp_path / "MNIST" / "raw")
    done = run_cli(
        "transfer", "--kind", "transductive", "--data", "mnist", "--data-root", str(tmp_path),
        "--classes", "5,6,7", "--labels-per-class", "10", *QUICK, "--json", "-",
    )  # fmt: skip
    assert done.code == 0, done.err
    result = json.loads(done.out)["result"]
    shown = {row["domain"] for row in result["rows"]}
    assert shown == {"unchanged", *domains.SHIFTS, "digits"}
    row = next(row for row in result["rows"] if row["label"] == "digits, AdaBN")
    assert row["test_accuracy"]["mean"] > 0.5  # the files hold the digits themselves, enlarged


def test_mnist_out_of_reach(run_cli: Run, tmp_path: Path, no_network: None) -> None:
    done = run_cli("transfer", "--data", "mnist", "--data-root", str(tmp_path), *QUICK)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "MNIST" in done.err
    assert str(tmp_path) in done.err


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise OSError("the test has no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def _write_mnist(folder: Path) -> None:
    """Write the digits, enlarged to 28 pixels, in the files that torchvision reads."""
    folder.mkdir(parents=True)
    grey, labels = embedded.read()
    large = [
        np.asarray(Image.fromarray((one * 15).astype(np.uint8)).resize((28, 28)))
        for one in grey[:700]
    ]
    for name, rows in (("train", slice(0, 500)), ("t10k", slice(500, 700))):
        for kind, array in (
            ("images-idx3", np.stack(large)[rows]),
            ("labels-idx1", labels[:700][rows].astype(np.uint8)),
        ):
            header = bytes([0, 0, 8, array.ndim])
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(header + sizes + array.tobytes())


# -- folders and saved networks ----------------------------------------------------------------


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two kinds of pictures in several formats, one file broken."""
    root = tmp_path_factory.mktemp("shapes")
    random = np.random.default_rng(0)
    for name, axis in (("rows", 0), ("columns", 1)):
        (root / name).mkdir()
        for number in range(24):
            wave = 127 + 90 * np.sin(np.arange(24) * random.uniform(0.8, 1.6))
            picture = np.repeat(np.expand_dims(wave, 1 - axis), 24, 1 - axis)
            noisy = (picture + random.normal(0, 20, (24, 24))).clip(0, 255).astype(np.uint8)
            kind = ("png", "jpg", "bmp", "webp", "tif", "gif")[number % 6]
            Image.fromarray(noisy).save(root / name / f"{number:02}.{kind}")
    (root / "rows" / "broken.png").write_bytes(b"broken")
    return root


def test_a_folder_from_training_to_predictions(run_cli: Run, shapes: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.safetensors"
    few = ["--labels-per-class", "6", "--data", f"folder:{shapes}", *QUICK]
    done = run_cli("transfer", *few, "--strategies", "finetune", "--save", str(net))
    assert done.code == 0, done.err
    assert f"{shapes}: 2 classes, 49 images" in " ".join(done.out.split())
    assert "Not read: rows/broken.png: not an image that Pillow reads" in done.out
    code = done.out[done.out.index("import safetensors.torch") :].splitlines()[:3]
    space: dict[str, Any] = {}
    exec("\n".join(code), space)

    done = run_cli("transfer", *few, "--load", str(net), "--json", "-")
    result = json.loads(done.out)["result"]
    spec = ImageDataSpec(name=f"folder:{shapes}")
    target = images.load(spec, labels_per_class=6, image_size=16, seed=0)
    with torch.no_grad():
        seen = space["net"](images.normalised(target.test.x)).argmax(1)
    right = float((seen == target.test.y).double().mean())
    assert result["test_accuracy"]["mean"] == pytest.approx(right)
    assert [row["label"] for row in result["rows"]] == ["columns", "rows"]
    assert result["problems"] == ["rows/broken.png: not an image that Pillow reads"]
    done = run_cli("transfer", *few, "--load", str(net))
    assert "right %" in done.out
    assert "It was trained" not in done.out

    done = run_cli("predict", str(net), str(shapes), "--json", "-")
    predicted = json.loads(done.out)["result"]
    assert len(predicted["rows"]) == predicted["known"] == 48


def test_a_class_with_too_few_images(run_cli: Run, shapes: Path) -> None:
    done = run_cli("transfer", "--data", f"folder:{shapes}", "--labels-per-class", "30", *QUICK)
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "nndiag: --labels-per-class: class 'columns' has 24 images; 30 for training and at least "
        "4 to measure with are needed"
    )


@pytest.mark.parametrize("data", ["folder", "digits", "mnist"])
def test_wrong_data_is_found_before_a_pre_training(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None, data: str
) -> None:
    from nndiag.training import transfer_bench

    def never(*_arguments: Any) -> None:
        pytest.fail("weights were looked for first")

    monkeypatch.setattr(transfer_bench.weights, "find", never)
    spec = ImageDataSpec(name=f"folder:{shapes}" if data == "folder" else data, root=str(tmp_path))
    with pytest.raises(DataError, match=r"500 for training|files are not all in"):
        TransferBench.of(TransferSpec(data=spec, labels_per_class=(5, 500)), Silent())


def test_other_classes_than_the_networks(run_cli: Run, shapes: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.safetensors"
    bench = TransferBench.of(_spec(), Silent())
    learner, _run, _test = bench.train(transferring.strategy("frozen", bench.block_count), 5, 0)
    saving.save(learner, tuple("56789"), _spec(), str(net), image_size=16)
    arguments = ["transfer", "--load", str(net), "--labels-per-class", "5"]
    done = run_cli(*arguments)
    assert done.code == 0
    assert "It was trained with --labels-per-class 20 --seed 0" in done.out
    done = run_cli(*arguments, "--classes", "1,2")
    assert (done.code, done.err) == (
        2,
        f"nndiag: --load: {net} knows the classes 5, 6, 7, 8, 9; the data has 1, 2\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "inductiv"], "--kind: unknown name 'inductiv'; did you mean inductive?"),
        (["--domains", "noisy"], "--domains: only with --kind transductive"),
        (
            ["--kind", "transductive", "--domains", "noisey"],
            "--domains: unknown name 'noisey'; did you mean noisy? (or folder:PATH)",
        ),
        (
            ["--kind", "transductive", "--domains", "noisy:99"],
            "--domains: got 'noisy:99'; accepted: noisy:0 to noisy:10",
        ),
        (
            ["--kind", "unsupervised", "--save", "a.safetensors"],
            "--save: not with --kind unsupervised",
        ),
        (["--load", "nothing.safetensors"], "--load: there is no file 'nothing.safetensors'"),
        (["--data", "folder:nowhere"], "--data: there is no folder 'nowhere'"),
    ],
)
def test_wrong_input(run_cli: Run, arguments: list[str], message: str) -> None:
    done = run_cli("transfer", *arguments)
    assert (done.code, done.out, done.err) == (2, "", f"nndiag: {message}\n")


def test_ctrl_c_keeps_the_seeds_that_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(features: Any, count: int, seed: int) -> Any:
        if seed == 1:
            raise KeyboardInterrupt
        return np.zeros(len(features), dtype=np.int64)

    monkeypatch.setattr(transfer_kinds.clustering, "clustered", interrupt)
    result = transfer_kinds.unsupervised(_spec(kind="unsupervised")).result
    assert result["interrupted"]
    assert all(len(row["runs"]) == 1 for row in result["rows"])
    assert result["reading"][-1].startswith("One seed shows no spread")
