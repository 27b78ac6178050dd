"""Which legacy encoding a table is in: what decodes to Japanese that somebody would write, against Western text.

Shift_JIS is decoded as Windows-31J (cp932), which is what Japanese Windows writes under that name: with half-width
kana, circled digits and the kanji that only the vendors have. Bytes of Western text mostly decode as well, into
lone kanji or kana in the middle of Latin words; those count against Japanese.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

JAPANESE = ("cp932", "euc_jp", "euc_jis_2004")
"""Tried in this order; the last only where its vendor characters are needed."""

MOST_RUNS = 20_000
"""Runs that are looked at: the language of a table shows long before."""

_SHIFT_JIS = (
    "shift_jis",
    "shiftjis",
    "sjis",
    "s_jis",
    "windows_31j",
    "ms932",
    "ms_kanji",
    "mskanji",
    "x_sjis",
    "cp932",
)
_RUNS = re.compile(r"[^\x00-\x7f]+")
_LONE_KANA_MARKS = "ﾞﾟｰｧｨｩｪｫｬｭｮｯ"
_VOICED = frozenset("ｳｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾊﾋﾌﾍﾎ")


def codec_of(name: str) -> str:
    """The codec for an encoding as people name it: everything that is called Shift_JIS is read as Windows-31J.

    >>> codec_of("Shift-JIS"), codec_of("windows-31j"), codec_of("utf-8")
    ('cp932', 'cp932', 'utf-8')
    """
    return "cp932" if name.strip().lower().replace("-", "_").replace(" ", "_") in _SHIFT_JIS else name


def japanese_encoding(data: bytes) -> str | None:
    """The Japanese encoding in which bytes are most plausible, or None where they are no Japanese."""
    scores: dict[str, int] = {}
    for name in JAPANESE:
        if name == "euc_jis_2004" and "euc_jp" in scores:
            continue
        try:
            scores[name] = _plausible(data, name)
        except UnicodeDecodeError:
            continue
    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and (scores[best] > 0 or not _western(data)) else None


def _western(data: bytes) -> bool:
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True)
class _Run:
    """Neighbouring characters beyond ASCII, the characters around them, and the bytes of the first two."""

    text: str
    before: str
    after: str
    written: bytes

    @property
    def in_latin(self) -> bool:
        return self.before.isalpha() or self.after.isalpha()


def _plausible(data: bytes, encoding: str) -> int:
    """Points for runs that look written on purpose less points for those that look like Western bytes."""
    counted = Counter(islice(_runs(data, encoding), MOST_RUNS))
    return sum(count * _run_points(run, encoding) for run, count in counted.items())


def _runs(data: bytes, encoding: str) -> Iterator[_Run]:
    text = data.decode(encoding)
    place = end = 0  # place is that of the byte at which the character at `end` begins
    for found in _RUNS.finditer(text):
        place += found.start() - end
        begin, end = found.span()
        yield _Run(found[0][:200], text[max(begin - 1, 0) : begin], text[end : end + 1], data[place : place + 2])
        place += sum(map(_width, found[0]))


def _width(character: str) -> int:
    return 1 if _half_width(character) or character in "\x80\xa0\uf8f0\uf8f1\uf8f2\uf8f3" else 2


def _run_points(run: _Run, encoding: str) -> int:
    if any("\x80" <= character <= "\xa0" or "\ue000" <= character <= "\uf8ff" for character in run.text):
        return -5 * len(run.text)  # where accented letters and € land, and nobody writes anything
    if all(map(_half_width, run.text)) and encoding == "cp932":
        return _kana_points(run.text, run.in_latin)
    if len(run.text) == 1 and run.in_latin and (encoding != "cp932" or _looks_western(run.written)):
        return -2
    return sum(_character_points(character) for character in run.text)


def _kana_points(run: str, in_latin: bool) -> int:
    if len(run) == 1 or in_latin:  # Ä, ÇÃ inside a Latin word
        return -2
    return len(run) if _spelled(run) else -2 * len(run)


def _spelled(run: str) -> bool:
    """Whether half-width kana stand as they are written: marks of voice and length only behind a kana."""
    if run[0] in _LONE_KANA_MARKS:
        return False
    pairs = pairwise(run)
    return all(second not in "ﾞﾟ" or first in _VOICED for first, second in pairs) and not set(run) <= set("｡｢｣､･")


def _looks_western(written: bytes) -> bool:
    """Whether two bytes are an accented letter or an opening quote and the Latin letter after it."""
    first, second = written[:1].decode("cp1252", "replace"), chr(written[1])
    if not second.isascii():
        return False
    return second.islower() if first.isalpha() else second.isalpha() and first in "‘’‚“„"


def _character_points(character: str) -> int:
    if _half_width(character):
        return 1
    if "\u3041" <= character <= "\u30ff":
        return 3
    return 2 if _everyday(character) else -1


def _half_width(character: str) -> bool:
    return "\uff61" <= character <= "\uff9f"


def _everyday(character: str) -> bool:
    """Kanji of JIS level 1 (rows 16 to 47), signs and full-width letters (rows 1 to 8), and the vendors' own signs.

    Wrong guesses between Shift_JIS and EUC-JP land in level 2 (rows 48 and up).
    """
    try:
        character.encode("shift_jis")
        code = character.encode("euc_jp")
    except UnicodeEncodeError:
        return True  # Windows-31J only: ①, ㈱, 髙
    return len(code) == 2 and code[0] - 0xA0 < 48
