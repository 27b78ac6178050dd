"""Charts to SVG, PNG and PDF without a browser and without the network."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaibo.errors import StorageError, UsageError, missing_extra
from kaibo.figures.fonts import JAPANESE, required_font

if TYPE_CHECKING:
    import altair as alt

FORMATS = ("svg", "png", "pdf")
PNG_SCALE = 2


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """The chart as a Vega-Lite specification with its data inside."""
    return chart.to_dict(context={"pre_transform": False})


def vega_lite_version() -> str:
    """The Vega-Lite release that Altair writes for, as vl-convert names it (`6.4`)."""
    import altair

    return ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def render(chart: alt.TopLevelMixin, format: str) -> bytes:  # noqa: A002 - the word people use
    """The chart as the bytes of an SVG, PNG (twice the size) or PDF file; the same bytes every time.

    Raises UsageError for another format, MissingError for Japanese text where no font has its characters.
    """
    if format not in FORMATS:
        raise UsageError(f"a figure cannot be written as {format!r}", next=f"formats: {', '.join(FORMATS)}")
    try:
        import vl_convert
    except ImportError as error:  # pragma: no cover - a core dependency
        raise missing_extra("plot", "static figures") from error
    drawn = specification(chart)
    drawn["config"] = {**drawn.get("config", {}), "font": _font(drawn)}
    options: dict[str, Any] = {"vl_version": vega_lite_version(), "allowed_base_urls": []}
    if format == "svg":
        return str(vl_convert.vegalite_to_svg(drawn, **options)).encode("utf-8")
    if format == "png":
        return bytes(vl_convert.vegalite_to_png(drawn, scale=PNG_SCALE, **options))
    return bytes(vl_convert.vegalite_to_pdf(drawn, **options))


def _font(drawn: dict[str, Any]) -> str:
    """Fonts by name: what the first lacks is taken from any font at all, so Japanese text puts a Japanese one first."""
    latin = "Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
    text = json.dumps({key: value for key, value in drawn.items() if key != "config"}, ensure_ascii=False)
    if not JAPANESE.search(text):
        return latin
    return f"'{required_font()}', {latin}"


def save(chart: alt.TopLevelMixin, path: str | os.PathLike[str]) -> None:
    """Writes the chart to `path`, in the format its ending names; the file is complete or absent.

    Raises UsageError for another ending, StorageError where it cannot be written.
    """
    target = Path(path)
    data = render(chart, target.suffix.lower().removeprefix("."))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, data)
    except OSError as error:
        raise StorageError(f"cannot be written ({error.strerror or error})", file=target) from error


def _replace(target: Path, data: bytes, move: Callable[[str, Path], None] = os.replace) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".kaibo-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        move(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
