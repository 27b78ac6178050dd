"""The one Vega bundle of a page: Vega, Vega-Lite, Vega-Embed and the interpreter that needs no `eval`."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache

from kaibo.figures.export import vega_lite_version

START = """
"use strict";
(async () => {
  const specifications = JSON.parse(document.getElementById("kaibo-figures").textContent);
  const words = JSON.parse(document.getElementById("kaibo-words").textContent);
  for (const [place, specification] of Object.entries(specifications)) {
    const element = document.getElementById(place);
    try {
      await vegaEmbed(element, specification, {
        ast: true,
        renderer: "svg",
        mode: "vega-lite",
        actions: {export: true, source: false, compiled: false, editor: false},
        downloadFileName: place,
        i18n: words,
      });
    } catch (error) {
      element.textContent = String(error);
    }
    await new Promise((done) => setTimeout(done));
  }
  document.documentElement.dataset.drawn = "yes";
})();
"""
"""Draws every figure in its place, one after the other, so that the first is seen before the last is ready."""


@cache
def vega_bundle() -> str:
    """The script that defines `vegaEmbed`; made once a process (about a second), the same text every time."""
    import vl_convert

    text = vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;", vl_version=vega_lite_version())
    return inline_safe(str(text))


def inline_safe(script: str) -> str:
    """A script that no HTML parser ends early or reads otherwise than it stands, so that its hash holds.

    >>> inline_safe("a='</script>'; b='<!--'")
    "a='<\\\\/script>'; b='<\\\\!--'"
    """
    script = re.sub(r"</(?=script)", r"<\\/", script, flags=re.IGNORECASE)
    script = script.replace("<!--", "<\\!--").replace("\r\n", "\n").replace("\r", "\n")
    return script.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def source_hash(script: str) -> str:
    """The script as a content policy names it: `'sha256-…'`."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
