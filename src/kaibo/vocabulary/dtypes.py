"""What the bits of a weight mean: element types, their values, and the first decimal digit of each pattern.

Every stored value is handled as an unsigned pattern of its width, so nothing here depends on what numpy happens
to call a type. Values of up to 32 bits are exact in float64, which is where all arithmetic is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Patterns = NDArray[np.unsignedinteger]
Floats = NDArray[np.float64]
Kind = Literal["float", "scale", "integer", "boolean", "complex", "packed"]


@dataclass(frozen=True, slots=True)
class DType:
    """One element type of a weight file, named as safetensors names it.

    `bits` is its width. Only `kind == "float"` is weights that can be measured; integers, booleans, complex
    numbers, bare scales and packed 4- and 6-bit codes are listed and never measured as if they were weights.
    """

    name: str
    bits: int
    kind: Kind

    @property
    def measurable(self) -> bool:
        """Whether values of this type are weights that the census counts."""
        return self.kind == "float"

    @property
    def itemsize(self) -> int:
        """Bytes of one value; 0 where values share bytes."""
        return self.bits // 8

    @property
    def patterns(self) -> np.dtype[np.unsignedinteger]:
        """The little-endian unsigned integer type that holds one pattern.

        >>> DTYPES["BF16"].patterns
        dtype('uint16')
        """
        return np.dtype(f"<u{self.itemsize}")


_ALL: tuple[tuple[str, int, Kind], ...] = (
    ("F64", 64, "float"),
    ("F32", 32, "float"),
    ("F16", 16, "float"),
    ("BF16", 16, "float"),
    ("F8_E4M3", 8, "float"),
    ("F8_E5M2", 8, "float"),
    ("F8_E4M3FNUZ", 8, "float"),
    ("F8_E5M2FNUZ", 8, "float"),
    ("F8_E8M0", 8, "scale"),
    ("C64", 64, "complex"),
    ("I64", 64, "integer"),
    ("U64", 64, "integer"),
    ("I32", 32, "integer"),
    ("U32", 32, "integer"),
    ("I16", 16, "integer"),
    ("U16", 16, "integer"),
    ("I8", 8, "integer"),
    ("U8", 8, "integer"),
    ("BOOL", 8, "boolean"),
    ("F6_E2M3", 6, "packed"),
    ("F6_E3M2", 6, "packed"),
    ("F4", 4, "packed"),
)
DTYPES: Mapping[str, DType] = MappingProxyType({name: DType(name, bits, kind) for name, bits, kind in _ALL})
"""Every element type of the safetensors format, by its name there."""


@dataclass(frozen=True, slots=True)
class _Minifloat:
    """An 8-bit float: exponent bits, mantissa bits, bias, and where NaN and infinity live."""

    exponent: int
    mantissa: int
    bias: int
    infinities: bool
    nan: tuple[int, ...]


# The FN and FNUZ forms give the infinities' patterns to numbers; FNUZ has one NaN, where −0 would be.
# OCP 8-bit floating point specification; Noune et al. 2022 (arXiv 2206.02915).
_MINIFLOATS = {
    "F8_E4M3": _Minifloat(4, 3, 7, infinities=False, nan=(0x7F, 0xFF)),
    "F8_E5M2": _Minifloat(5, 2, 15, infinities=True, nan=(0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF)),
    "F8_E4M3FNUZ": _Minifloat(4, 3, 8, infinities=False, nan=(0x80,)),
    "F8_E5M2FNUZ": _Minifloat(5, 2, 16, infinities=False, nan=(0x80,)),
}


def _minifloat_values(form: _Minifloat) -> Floats:
    patterns = np.arange(256)
    fraction = patterns & ((1 << form.mantissa) - 1)
    exponent = (patterns >> form.mantissa) & ((1 << form.exponent) - 1)
    normal = exponent > 0
    significand = fraction + np.where(normal, 1 << form.mantissa, 0)
    values: Floats = np.ldexp(significand.astype(np.float64), np.maximum(exponent, 1) - form.bias - form.mantissa)
    if form.infinities:
        values[(exponent == (1 << form.exponent) - 1) & (fraction == 0)] = np.inf
    values = np.where(patterns & 0x80, -values, values)
    values[list(form.nan)] = np.nan
    return values


@cache
def values_of(name: str) -> Floats:
    """The value of every pattern of an 8- or 16-bit type, as float64 of shape (256,) or (65536,); read-only.

    >>> float(values_of("BF16")[0x3F80]), float(values_of("F8_E4M3")[0x7E])
    (1.0, 448.0)
    """
    if name in _MINIFLOATS:
        values = _minifloat_values(_MINIFLOATS[name])
    else:
        values = widen(name, np.arange(1 << DTYPES[name].bits, dtype=DTYPES[name].patterns))
    values.setflags(write=False)
    return values


def widen(name: str, patterns: Patterns) -> Floats:
    """The float64 values of patterns of a measurable type, exactly (a signalling NaN becomes a quiet one)."""
    if name in _MINIFLOATS:
        looked_up: Floats = values_of(name)[patterns]
        return looked_up
    with np.errstate(invalid="ignore"):
        if name == "BF16":  # bfloat16 is the upper half of a float32
            widened: NDArray[np.uint32] = patterns.astype(np.uint32) << np.uint32(16)
            return widened.view(np.float32).astype(np.float64)
        values: Floats = patterns.view(np.dtype(f"f{DTYPES[name].itemsize}")).astype(np.float64)
        return values


def widen32(name: str, patterns: Patterns) -> NDArray[np.float32] | Floats:
    """The values of patterns in the type in which differences are formed: float32, or float64 for 64-bit floats.

    Every value is exact. The array may share its memory with the patterns.

    >>> widen32("BF16", np.array([0x3F80], np.uint16)).tolist()
    [1.0]
    """
    if name == "BF16":
        widened: NDArray[np.uint32] = patterns.astype(np.uint32)
        np.left_shift(widened, np.uint32(16), out=widened)
        return widened.view(np.float32)
    if name in _MINIFLOATS:
        looked_up: NDArray[np.float32] = _values32(name)[patterns]
        return looked_up
    stored: NDArray[np.floating] = patterns.view(np.dtype(f"f{DTYPES[name].itemsize}"))
    with np.errstate(invalid="ignore"):
        return stored.astype(np.float32) if name == "F16" else stored


@cache
def _values32(name: str) -> NDArray[np.float32]:
    return values_of(name).astype(np.float32)


def first_digits(values: Floats) -> NDArray[np.uint8]:
    """The first decimal digit of each |value|, by exact decimal value; 0 for zero and for what is not finite.

    No logarithm is taken: a value is compared with the smallest float64 that is not below d·10^k.

    >>> first_digits(np.array([0.0, 0.1, 0.3, -9.99e-5, 1e22, np.nan])).tolist()
    [0, 1, 2, 9, 1, 0]
    """
    magnitude = np.abs(np.asarray(values, dtype=np.float64))
    place = np.searchsorted(boundaries64(), magnitude, side="right")
    digits = ((place - 1 + _FIRST_DIGIT_OFFSET) % 9 + 1).astype(np.uint8)
    digits[~np.isfinite(magnitude) | (magnitude == 0)] = 0
    return digits


# 4.94e-324, the smallest positive float64, begins with a 4, so the table begins at the boundary 4e-324.
_LOWEST_DECADE, _HIGHEST_DECADE, _FIRST_DIGIT_OFFSET = -324, 308, 3


def round_up64(exact: Fraction) -> float:
    """The smallest float64 that is not below an exact positive rational.

    >>> round_up64(Fraction(3, 10)) > 0.3 - 1e-16, Fraction(round_up64(Fraction(3, 10))) >= Fraction(3, 10)
    (True, True)
    """
    try:
        nearest = float(exact)  # int / int rounds correctly, subnormals included
    except OverflowError:
        return float("inf")
    return nearest if Fraction(nearest) >= exact else float(np.nextafter(nearest, np.inf))


@cache
def boundaries64() -> Floats:
    """The smallest float64 not below d·10^k, ascending; shape (5694,), inf past the greatest float64.

    The first is 4e-324: the least positive float64, 4.94e-324, begins with a 4.
    """
    boundaries = [
        round_up64(Fraction(digit) * Fraction(10) ** decade)
        for decade in range(_LOWEST_DECADE, _HIGHEST_DECADE + 1)
        for digit in range(1, 10)
        if decade > _LOWEST_DECADE or digit > _FIRST_DIGIT_OFFSET
    ]
    return np.array(boundaries)
