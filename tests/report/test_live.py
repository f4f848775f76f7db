from __future__ import annotations

import io

from rich.console import Console

from nndiag.report.live import TrainingDisplay


def drawn(display: TrainingDisplay, width: int = 60, height: int = 30) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(display)
    return capture.get().splitlines()


def test_nothing_but_a_line_now_and_then_without_a_terminal() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80)
    with TrainingDisplay(100, ["fc1"], console=console) as quiet:
        quiet.update(1, loss=2.3)
    assert file.getvalue() == ""
    with TrainingDisplay(100, ["fc1"], console=console, line_every=0.0) as talking:
        talking.update(50, loss=2.3, accuracy=0.125)
        talking.update(51)
    first, second = file.getvalue().splitlines()
    assert first.startswith("step 50/100, ")
    assert "steps/s" in first
    assert " left" in first
    # What an update does not give keeps its last value.
    assert first.endswith("loss 2.30, accuracy 12 %")
    assert second.endswith("loss 2.30, accuracy 12 %")


def test_a_terminal_gets_progress_numbers_and_a_bar_a_layer() -> None:
    console = Console(file=io.StringIO(), width=60, height=30, force_terminal=True)
    with TrainingDisplay(100, ["fc1", "fc2"], console=console) as display:
        display.update(50, loss=0.25, accuracy=0.5, norms=[1e-4, 1.0])
        text = drawn(display)
    assert "50/100" in text[0]
    assert text[1] == "loss 0.250, accuracy 50 %"
    assert text[2].split() == ["1e-4", "1e0"]
    assert text[3].startswith("fc1  1.0e-04  ")
    assert text[4].count("█") == 60 - 3 - 12
    assert all(len(line) <= 60 for line in text)


def test_the_picture_fits_a_low_terminal() -> None:
    names = [f"fc{i}" for i in range(1, 101)]
    display = TrainingDisplay(10, names, console=Console(file=io.StringIO()))
    display.update(1, norms=[0.5**i for i in range(100)])
    text = drawn(display, height=12)
    assert len(text) <= 12
    assert text[3].startswith("fc1 ")
    assert text[-1].startswith("fc100")


def test_non_finite_norms_are_drawn() -> None:
    display = TrainingDisplay(10, ["a", "b"], console=Console(file=io.StringIO()))
    display.update(1, loss=float("nan"), norms=[float("nan"), 1.0])
    text = drawn(display)
    assert text[1] == "loss NaN"
    assert text[3].split() == ["a", "NaN", "NaN"]


def test_the_screen_is_released_after_an_error() -> None:
    file = io.StringIO()
    console = Console(file=file, width=60, height=30, force_terminal=True)
    try:
        with TrainingDisplay(10, ["fc1"], console=console):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert file.getvalue().count("\x1b[?25h") == file.getvalue().count("\x1b[?25l") == 1
