"""Domain shifts against independent computations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from nndiag.datasets.domains import SHIFTS, Domain, parse, shifted
from nndiag.schema.errors import UsageError


def _images(seed: int = 0, side: int = 12) -> Tensor:
    return torch.rand(5, 3, side, side, generator=torch.Generator().manual_seed(seed))


@given(name=st.sampled_from(sorted(SHIFTS)), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_every_shift_is_pure_and_repeatable(name: str, share: float, seed: int) -> None:
    shift = SHIFTS[name]
    domain = Domain(name=name, strength=shift.least + share * (shift.most - shift.least))
    x = _images(seed)
    before = x.clone()
    state = torch.get_rng_state()
    result = shifted(x, domain, seed=seed)
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())
    assert result.shape == x.shape
    assert result.dtype == x.dtype
    assert result.min() >= 0
    assert result.max() <= 1
    assert torch.equal(result, shifted(x, domain, seed=seed))


@pytest.mark.parametrize("text", ["inverted:0", "noisy:0", "rotated:0", "blurred:0", "contrast:1"])
def test_strength_that_changes_nothing(text: str) -> None:
    x = _images()
    assert torch.allclose(shifted(x, parse(text)), x, atol=1e-6)


@pytest.mark.parametrize("name", sorted(SHIFTS))
def test_usual_strength_changes_images(name: str) -> None:
    x = _images()
    assert (shifted(x, parse(name)) - x).abs().mean() > 0.01


def test_inverted_is_its_own_inverse() -> None:
    x = _images()
    once = shifted(x, parse("inverted"))
    assert torch.allclose(once, 1 - x)
    assert torch.allclose(shifted(once, parse("inverted")), x, atol=1e-6)


def test_noise() -> None:
    x = torch.full((200, 3, 16, 16), 0.5)
    noise = shifted(x, parse("noisy:0.05"), seed=1) - x
    assert noise.mean().abs() < 1e-3
    assert noise.std().item() == pytest.approx(0.05, rel=0.02)
    assert not torch.equal(noise, shifted(x, parse("noisy:0.05"), seed=2) - x)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, -1)])
def test_rotation_to_the_left(degrees: int, turns: int) -> None:
    x = _images()
    turned = shifted(x, parse(f"rotated:{degrees}"))
    assert torch.allclose(turned, torch.rot90(x, turns, (2, 3)), atol=1e-5)


def test_blur_is_gaussian() -> None:
    x = _images(side=32)
    blurred = shifted(x, parse("blurred:5"))
    theirs = ndimage.gaussian_filter(
        x.numpy(), sigma=0.05 * 32, axes=(2, 3), radius=5, mode="nearest"
    )
    assert torch.allclose(blurred, torch.from_numpy(theirs), atol=1e-5)


def test_contrast_keeps_the_mean() -> None:
    x = _images()
    flat = shifted(x, parse("contrast:0.5"))
    assert torch.allclose(flat.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6)
    assert torch.allclose(flat.std((1, 2, 3)), 0.5 * x.std((1, 2, 3)), atol=1e-6)


def test_parse() -> None:
    assert parse("noisy:0.125") == Domain(name="noisy", strength=0.125)
    assert parse("inverted") == Domain(name="inverted", strength=1.0)
    assert str(parse("rotated")) == "rotated:30"
    assert parse(str(parse("blurred"))) == parse("blurred")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inverse", "--domains: unknown name 'inverse'; did you mean inverted? (or folder:PATH)"),
        (
            "sepia",
            "--domains: unknown name 'sepia'; accepted: inverted, noisy, rotated, blurred, "
            "contrast, digits, mnist, fashionmnist, kmnist, cifar10, cifar100 (or folder:PATH)",
        ),
        ("noisy:much", "--domains: got 'noisy:much'; accepted: noisy:0 to noisy:10"),
        ("noisy:", "--domains: got 'noisy:'; accepted: noisy:0 to noisy:10"),
        ("noisy:nan", "--domains: got 'noisy:nan'; accepted: noisy:0 to noisy:10"),
        ("rotated:200", "--domains: got 'rotated:200'; accepted: rotated:-180 to rotated:180"),
        ("inverted:-1", "--domains: got 'inverted:-1'; accepted: inverted:0 to inverted:1"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert str(raised.value) == message


def test_table_needs_no_torch(python) -> None:  # type: ignore[no-untyped-def]
    code = "import sys; from nndiag.datasets import domains; domains.parse('noisy'); "
    assert python(code + "sys.exit('torch' in sys.modules)").returncode == 0
