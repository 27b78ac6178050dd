"""The names of PyTorch that a pickle may use, and what each stands for: a storage, a type, a tensor over a storage.

Source: torch/_utils.py (`_rebuild_tensor_v2` and its relatives) and torch/serialization.py (`persistent_load`). No
tensor is made: a tensor is its storage's key, an offset, a shape and strides, all of them checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kaibo.errors import escaped
from kaibo.models.formats.pickles import Known, Ordered, RefusedError, records
from kaibo.models.formats.pieces import Shape, span
from kaibo.vocabulary import DTYPES, DType

STORAGES: Mapping[str, str] = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "ComplexFloatStorage": "C64",
    "ComplexDoubleStorage": "C128",
    "QInt8Storage": "I8",
    "QUInt8Storage": "U8",
    "QInt32Storage": "I32",
    "UntypedStorage": "",
}
TYPES: Mapping[str, str] = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
    "float4_e2m1fn_x2": "U8",  # two codes a byte, which torch counts as one value
    "complex64": "C64",
    "complex128": "C128",
    "int64": "I64",
    "uint64": "U64",
    "int32": "I32",
    "uint32": "U32",
    "int16": "I16",
    "uint16": "U16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_C128 = DType("C128", 128, "complex")
MOST_AXES = 64
_LARGEST = 1 << 63

INERT = (
    *("argparse.Namespace", "pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath"),
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "numpy.ndarray"),
    *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "_codecs.encode"),
    *("datetime.datetime", "datetime.timedelta", "torch.device", "torch.Generator"),
    *("builtins.set", "builtins.frozenset", "__builtin__.set", "__builtin__.frozenset"),
)
"""Names of settings and counters that trainers save beside the weights: seen as records, nothing of them is used."""


@dataclass(frozen=True)
class Storage:
    """A storage as a pickle names it: the key of its bytes and how many values of which type (bytes where unsaid)."""

    key: str
    dtype: DType | None
    size: int

    @property
    def nbytes(self) -> int:
        """Bytes of all its values."""
        return self.size * (self.dtype.itemsize if self.dtype else 1)


@dataclass(frozen=True, eq=False)
class Ref:
    """A tensor as a pickle describes it: values of a storage from `offset` on, in these strides."""

    storage: Storage
    dtype: DType
    offset: int
    shape: Shape
    strides: Shape


def _type(name: str) -> DType:
    return _C128 if name == "C128" else DTYPES[name]


def _whole(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise RefusedError(f"{what} is {escaped(value, 40)}, not a whole number from 0 on")
    return value


def sizes(value: Any, what: str) -> Shape:
    """A tuple of whole numbers. Raises RefusedError for anything else."""
    if type(value) is not tuple or len(value) > MOST_AXES:
        raise RefusedError(f"the {what} is not a tuple of at most {MOST_AXES} numbers")
    return tuple(_whole(one, f"a number of the {what}") for one in value)


def _tensor(args: tuple[Any, ...], dtype: DType | None = None) -> Ref:
    """A tensor from (storage, offset, shape, strides, …), inside its storage."""
    if len(args) < 4 or not isinstance(args[0], Storage):
        raise RefusedError("expected a storage, an offset, a shape and strides")
    storage, found = args[0], dtype or args[0].dtype
    if found is None:
        raise RefusedError("a storage without a type")
    offset, shape, strides = _whole(args[1], "the offset"), sizes(args[2], "shape"), sizes(args[3], "strides")
    if len(shape) != len(strides):
        raise RefusedError(f"{len(shape)} dimensions and {len(strides)} strides")
    needed, held = span(shape, strides), storage.nbytes // found.itemsize
    if needed and offset + needed > held:
        raise RefusedError(f"values up to {offset + needed} are needed, its storage holds {held}")
    return Ref(storage, found, offset, shape, strides)


def _v2(args: tuple[Any, ...]) -> Ref:
    if len(args) > 6 and args[6]:
        raise RefusedError("the values are stored negated or conjugated")
    return _tensor(args)


def _v3(args: tuple[Any, ...]) -> Ref:
    dtype = args[6] if len(args) > 6 else None
    name = TYPES.get(dtype.name.removeprefix("torch.")) if isinstance(dtype, Known) else None
    if name is None or (len(args) > 7 and args[7]):
        raise RefusedError("expected a type as its seventh argument, and no eighth one")
    return _tensor(args, _type(name))


def _quantised(args: tuple[Any, ...]) -> Ref:
    found = _tensor(args)
    codes = DType(found.dtype.name, found.dtype.bits, "packed") if found.dtype.kind == "integer" else found.dtype
    return replace(found, dtype=codes)


def _parameter(args: tuple[Any, ...]) -> Any:
    if not args or not isinstance(args[0], Ref):
        raise RefusedError("expected a tensor")
    return args[0]


def _typed(args: tuple[Any, ...]) -> Any:
    """A tensor of a subclass or with attributes: the function that makes the plain one, and its arguments."""
    if len(args) < 3 or not isinstance(args[0], Known) or args[0].make is None or type(args[2]) is not tuple:
        raise RefusedError("expected a function, a type and arguments")
    if not isinstance(args[1], Known) or args[1].name not in _PLAIN:
        raise RefusedError("a type of tensor that is not known")
    if args[0].name not in _MAKERS or args[0].make is _typed:
        raise RefusedError(f'"{args[0].name}" makes no plain tensor')
    return args[0].make(args[2])


def _ordered(args: tuple[Any, ...]) -> Ordered:
    """An OrderedDict, empty or (as Python 2 wrote them) from a list of pairs."""
    found = Ordered()
    for pair in args[0] if args and type(args[0]) is list else ():
        if type(pair) not in (list, tuple) or len(pair) != 2 or type(pair[0]) is not str or pair[0] in found:
            raise RefusedError("expected a list of pairs of a text and a value, no text twice")
        found[pair[0]] = pair[1]
    return found


def _size(args: tuple[Any, ...]) -> Shape:
    return sizes(tuple(args[0]) if args and type(args[0]) in (list, tuple) else (), "size")


_PLAIN = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")
_MAKERS: Mapping[str, Callable[[tuple[Any, ...]], Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _v2,
    "torch._utils._rebuild_tensor_v3": _v3,
    "torch._utils._rebuild_qtensor": _quantised,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _typed,
    "torch._tensor._rebuild_from_type": _typed,
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": lambda args: Ordered(),
    "collections.Counter": lambda args: Ordered(),
    "torch.Size": _size,
}
_VALUES = (
    *_PLAIN,
    *(f"torch.{name}" for name in (*STORAGES, *TYPES)),
    *(f"torch.cuda.{name}" for name in STORAGES),
    *("torch.storage.UntypedStorage", "torch.storage.TypedStorage"),
    *("torch.per_tensor_affine", "torch.per_channel_affine", "torch.strided", "torch.contiguous_format"),
    *("builtins.dict", "builtins.list", "builtins.int", "builtins.float", "builtins.bool", "builtins.str"),
    *("__builtin__.dict", "__builtin__.list", "__builtin__.int", "__builtin__.float", "__builtin__.object"),
)

KNOWN: Mapping[str, Known] = {
    **{name: Known(name) for name in _VALUES},
    **records(*INERT),
    **{name: Known(name, make) for name, make in _MAKERS.items()},
}
"""Every name that a pickle of tensors may use."""


def storage(said: Any) -> Storage:
    """What a persistent id stands for: ("storage", type, key, where it was, number of values)."""
    if type(said) is not tuple or len(said) < 5 or said[0] != "storage" or not isinstance(said[1], Known):
        raise RefusedError("a persistent id that is not a storage")
    name = STORAGES.get(said[1].name.rpartition(".")[2])
    if name is None or type(said[2]) is not str:
        raise RefusedError(f'a storage of type "{said[1].name}"')
    return Storage(said[2], _type(name) if name else None, _whole(said[4], "the size of a storage"))
