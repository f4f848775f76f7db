"""The words of the page itself."""

from __future__ import annotations

from nndiag.locales import _, language


def words() -> dict[str, str]:
    """Return the words of the template, in the language in use."""
    return {
        "skip": _("Skip to the content"),
        "contents": _("Contents"),
        "theme": _("Light or dark"),
        "made_by": _("made by nndiag {version}"),
        "reproduce": _("To reproduce"),
        "copy": _("Copy"),
        "copied": _("Copied"),
        "environment": _("Environment"),
        "settings": _("Settings"),
        "findings": _("Findings"),
        "nothing": _("Nothing was found that keeps this run from learning."),
        "evidence": _("Evidence"),
        "fixes": _("What to do"),
        "reference": _("Source"),
        "lesson": _("The lesson behind it"),
        "said": _("What the numbers say"),
        "try": _("Try"),
        "figures": _("Figures"),
        "compared": _("Runs compared"),
        "tables": _("Tables"),
        "raw": _("Raw JSON"),
        "download": _("Download"),
        "cut": _("The beginning is shown; the download has all of it."),
        "left_out": _("{count} more rows are in the JSON."),
        "data": _("The numbers of this figure"),
        "no_script": _("The figure needs JavaScript; its description stands below."),
        "curves": _("Curves"),
        "step": _("step"),
        "play": _("Play"),
        "pause": _("Pause"),
        "scrolls": _("{title}, scrolls sideways"),
    }


def spoken() -> dict[str, object]:
    """Return the words that the page's script writes, those of plotly's buttons among them."""
    return {
        "of": _("step {step} of {last}"),
        "too_old": _("This browser cannot unpack the figures; their descriptions stand below."),
        "separators": ",\u202f" if language() == "fr" else ".,",
        "plotly": {
            "Download plot as a PNG": _("Download plot as a PNG"),
            "Zoom": _("Zoom"),
            "Pan": _("Pan"),
            "Zoom in": _("Zoom in"),
            "Zoom out": _("Zoom out"),
            "Autoscale": _("Autoscale"),
            "Reset axes": _("Reset axes"),
        },
    }
