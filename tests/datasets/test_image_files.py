"""Image files of every kind, against torchvision's own preprocessing and known levels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nndiag.datasets import image_files
from nndiag.schema.progress import Silent


def _photograph(wide: int, high: int, seed: int = 0) -> Image.Image:
    """Return something smooth, in which a shift by a pixel or a turn is seen."""
    small = np.random.default_rng(seed).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((wide, high), Image.Resampling.BICUBIC)


def _read(*paths: Path, size: int = 8, resize: int = 8) -> image_files.Squares:
    return image_files.read(paths, image_size=size, resize=resize)


def _one(path: Path, size: int = 8) -> np.ndarray:
    squares = _read(path, size=size, resize=size)
    assert squares.problems == ()
    return squares.x[0]


@settings(max_examples=40)
@given(
    wide=st.integers(1, 130),
    high=st.integers(1, 130),
    size=st.integers(8, 40),
    more=st.integers(0, 12),
)
def test_as_torchvision(
    tmp_path_factory: pytest.TempPathFactory, wide: int, high: int, size: int, more: int
) -> None:
    from torchvision.transforms import v2

    path = tmp_path_factory.mktemp("one") / "a.png"
    _photograph(wide, high).save(path)
    theirs = v2.Compose([v2.Resize(size + more), v2.CenterCrop(size)])(Image.open(path))
    ours = _read(path, size=size, resize=size + more).x[0].transpose(1, 2, 0)
    assert np.abs(ours.astype(int) - np.asarray(theirs, dtype=int)).max() <= 1


def test_large_jpeg_is_close_to_torchvision(tmp_path: Path) -> None:
    """It is decoded at a fraction of its size; the difference is below a level on average."""
    from torchvision.transforms import v2

    _photograph(1600, 1200).save(tmp_path / "a.jpg", quality=90)
    theirs = v2.Compose([v2.Resize(64), v2.CenterCrop(56)])(Image.open(tmp_path / "a.jpg"))
    ours = _read(tmp_path / "a.jpg", size=56, resize=64).x[0].transpose(1, 2, 0)
    assert np.abs(ours.astype(float) - np.asarray(theirs, dtype=float)).mean() < 1


@pytest.mark.parametrize(
    "name", ["a.png", "a.bmp", "a.tif", "a.webp", "a.gif", "a.ppm", "a.jpg", "a.JPEG", "noending"]
)
def test_formats(tmp_path: Path, name: str) -> None:
    kind = "PNG" if "." not in name else None
    Image.new("RGB", (20, 12), (0, 200, 100)).save(tmp_path / name, kind)
    assert image_files.below(tmp_path) == [tmp_path / name]
    square = _one(tmp_path / name)
    assert square.shape == (3, 8, 8)
    assert np.abs(square.astype(int) - np.array([0, 200, 100])[:, None, None]).max() <= 4


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 255), (77, 77, 77)),
        ("LA", (77, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 2048, (128, 128, 128)),
        ("I;16", 32768, (128, 128, 128)),
    ],
)
def test_modes(
    tmp_path: Path, mode: str, colour: tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    Image.new(mode, (9, 9), colour).save(tmp_path / "a.png")
    assert _one(tmp_path / "a.png")[:, 4, 4].tolist() == list(expected)


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([9, 9, 9, 200, 100, 50])
    image.paste(0, (0, 0, 4, 8))
    image.save(tmp_path / "a.png", transparency=0)
    square = _one(tmp_path / "a.png")
    assert square[:, 0, 0].tolist() == [255, 255, 255]
    assert square[:, 0, 7].tolist() == [200, 100, 50]


def test_printers_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (9, 9), (0, 0, 0, 0)).save(tmp_path / "a.jpg")
    assert _one(tmp_path / "a.jpg").min() >= 253


def test_sixteen_bits_keep_their_steps(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert np.array_equal(_one(tmp_path / "a.png")[0], np.rint(ramp / 257).astype(np.uint8))


def test_fractions(tmp_path: Path) -> None:
    levels = np.linspace(-3, 5, 64).astype(np.float32).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "a.tif")
    Image.fromarray(levels.clip(0, 0.5)).save(tmp_path / "b.tif")
    stretched = _one(tmp_path / "a.tif")[1]
    assert (stretched.min(), stretched.max()) == (0, 255)
    assert _one(tmp_path / "b.tif").max() == 128
    Image.fromarray(levels * np.nan).save(tmp_path / "c.tif")
    assert _read(tmp_path / "c.tif").problems == (
        f"{tmp_path / 'c.tif'}: levels that are no numbers",
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright(tmp_path: Path, orientation: int) -> None:
    """Stored pixels turned by what EXIF says are the picture again."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = _photograph(24, 16)
    upright.save(tmp_path / "upright.png")
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "stored.png", exif=exif)
    assert np.array_equal(_one(tmp_path / "stored.png"), _one(tmp_path / "upright.png"))


def test_broken_files_are_listed_and_the_others_read(tmp_path: Path) -> None:
    good = _photograph(40, 30)
    good.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c.png").write_text("not an image")
    (tmp_path / "d.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "e.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "e.eps").rename(tmp_path / "e.png")
    paths = [*image_files.below(tmp_path), tmp_path / "gone.png"]
    squares = image_files.read(paths, image_size=8, resize=8, root=tmp_path)
    assert squares.read == (0,)
    assert squares.x.shape == (1, 3, 8, 8)
    assert [problem.split(": ")[0] for problem in squares.problems] == [
        "b.png",
        "c.png",
        "d.png",
        "e.png",
        "gone.png",
    ]
    assert squares.problems[0] == "b.png: empty file"
    assert squares.problems[1] == "c.png: not an image that Pillow reads"
    assert squares.problems[3] == "e.png: not an image that Pillow reads"


def test_hidden_and_other_files_do_not_count(tmp_path: Path) -> None:
    for name in (".DS_Store", "._a.png", "notes.txt", "Thumbs.db", "paper.pdf", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "b.png").write_bytes(b"x")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "a.PNG").write_bytes(b"x")
    found = image_files.below(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b.png", "deeper/a.PNG"]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (8, 8), 10).save(path)
    assert _one(path).max() == 10
    Image.new("L", (8, 8), 20).save(path)
    os.utime(path, ns=(0, 10**15))  # clocks of file systems are coarse
    assert _one(path).max() == 20


def test_an_extreme_shape_needs_no_memory(tmp_path: Path) -> None:
    """Resized as a whole it would be 128 megapixels."""
    Image.new("RGB", (1, 2000), "red").save(tmp_path / "a.png")
    assert _one(tmp_path / "a.png", size=256)[:, 0, 0].tolist() == [255, 0, 0]


def test_progress(tmp_path: Path) -> None:
    stages: list[tuple[str, int]] = []
    dones: list[int] = []

    class Seen(Silent):
        def stage(self, text, total, *, layers=None):  # type: ignore[no-untyped-def]
            stages.append((text, total))

        def update(self, done, *, numbers=None, norms=None):  # type: ignore[no-untyped-def]
            dones.append(done)

    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    image_files.read([tmp_path / "a.png"] * 3, image_size=8, resize=8, watch=Seen())
    assert stages == [("reading images", 3)]
    assert dones == [1, 2, 3]


def test_nothing_to_read() -> None:
    squares = _read()
    assert squares.x.shape == (0, 3, 8, 8)
    assert squares.problems == ()
