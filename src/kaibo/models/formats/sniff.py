"""What a file really is, from its first bytes: so that an error can say more than "not a safetensors file".

Nothing is unpacked and nothing is unpickled; opcodes of a pickle are only read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from kaibo.errors import FormatError, MissingError, PolicyError, escaped
from kaibo.models.places import Place

START = 4096
"""Bytes from the beginning that are looked at."""

_TAIL = 1 << 16
NO_PICKLES = "load it where that is safe and save the tensors alone as safetensors"
"""What to do about a pickle that is no archive of tensors."""

_FETCH = "fetch the weights themselves"
_CONVERT = "load it with its own library and save the weights as safetensors"
_UNPACK = "unpack it first"
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"GGUF", "a GGUF file", "give it a name that ends in .gguf"),
    (b"\x93NUMPY", "a numpy .npy file", _FETCH),
    (b"%PDF-", "a PDF document", _FETCH),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras or TensorFlow)", _CONVERT),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"PAR1", "a Parquet file", _FETCH),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", _FETCH),
    (b"\xff\xd8\xff", "a JPEG picture", _FETCH),
    (b"\x7fELF", "a program", _FETCH),
    (b"SQLite format 3\x00", "an SQLite database", _FETCH),
    (b"lmgg", "a GGML file of before GGUF", "convert it with llama.cpp, or fetch the GGUF file"),
    (b"tjgg", "a GGJT file of before GGUF", "convert it with llama.cpp, or fetch the GGUF file"),
    (b"fmgg", "a GGMF file of before GGUF", "convert it with llama.cpp, or fetch the GGUF file"),
    (b"algg", "a GGLA adapter of before GGUF", "fetch the adapter as safetensors"),
    (b"ptrt", "an engine of TensorRT", "name the model that it was built from"),
    (b"ftrt", "an engine of TensorRT", "name the model that it was built from"),
    (b"{", "JSON text without the length in front", "it was not written by a safetensors writer"),
)
_LFS = re.compile(rb"\Aversion https://git-lfs|\Aversion https://hawser")
_HTML = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|script|\?xml|!--)", re.IGNORECASE)
_PICKLE_INSIDE = re.compile(rb"\.pkl|\.pickle|pickle\x00|constants\.pkl|/data\.pkl")
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_SSTABLE = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"

_MEMBERS: tuple[tuple[bytes, str, str], ...] = (
    (b".npy", "a numpy .npz archive", "save its arrays as safetensors"),
    (b"model.weights.h5", "a Keras archive", _CONVERT),
    (b"AndroidManifest.xml", "an Android program", _FETCH),
    (b"[Content_Types].xml", "an Office document", _FETCH),
    (b".safetensors", "a ZIP archive of safetensors", _UNPACK),
)
"""How the names of a ZIP archive's members end, and what it is then."""

_FOLDERS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r".*\.(?:h5|hdf5|keras)"), "of Keras or TensorFlow", _CONVERT),
    (re.compile(r".*\.msgpack"), "of Flax", _CONVERT),
    (re.compile(r"manifest\.ocdbt|_METADATA|_CHECKPOINT_METADATA|checkpoint"), "of Orbax", _CONVERT),
    (re.compile(r".*\.ckpt(?:-\d+)?\.(?:index|meta|data-.*)"), "of TensorFlow", _CONVERT),
    (re.compile(r"saved_model\.pb"), "a SavedModel of TensorFlow", _CONVERT),
    (re.compile(r".*\.nemo"), "an archive of NeMo", "unpack it (it is a TAR archive) and name the checkpoint inside"),
    (re.compile(r".*\.npz"), "an archive of numpy", "save its arrays as safetensors"),
    (re.compile(r".*\.(?:engine|plan)"), "an engine of TensorRT", "name the model that it was built from"),
    (re.compile(r".*\.(?:tflite|mlmodel|mlpackage)"), "a model for phones", "name the model that it was made from"),
    (re.compile(r".*\.xml"), "of OpenVINO", "name the model that it was made from"),
)


def refuse(
    place: Place, start: bytes, reason: str, offset: int | None = None, *, wanted: str = "safetensors"
) -> NoReturn:
    """Raises the error for a file that is not of the wanted format, naming what it is where that can be told.

    PolicyError for pickles and archives of pickles, FormatError for everything else.
    """
    if start.startswith(b"PK\x03\x04") or start[257:262] == b"ustar":
        _refuse_archive(place, start, wanted)
    found = _named(start, place)
    if found is not None:
        kind = PolicyError if found[1] == _UNPACK and wanted == "PyTorch" else FormatError
        raise kind(f"is {found[0]}, not a {wanted} file", file=place.name, next=found[1])
    if start.startswith(_LEGACY):
        message = "is a file of torch.save from before PyTorch 1.6 (a series of pickles, not a ZIP archive)"
        next_step = "load it with torch.load(…, weights_only=True) and save it again, best with safetensors"
        raise PolicyError(message, file=place.name, next=next_step)
    if _is_pickle(start):
        raise PolicyError("is a pickle, which runs code when it is opened", file=place.name, next=NO_PICKLES)
    if start and not start.strip(b"\x00"):
        message = f"begins with {len(start)} zero bytes, not a {wanted} header"
        raise FormatError(message, file=place.name, offset=0, next="the download did not finish; fetch it again")
    raise FormatError(
        reason, file=place.name, offset=offset, next=f"the file is cut or was not written by a {wanted} writer"
    )


def _refuse_archive(place: Place, start: bytes, wanted: str) -> NoReturn:
    tail = place.read(max(0, place.size - _TAIL), min(place.size, _TAIL))
    kind = "ZIP" if start.startswith(b"PK") else "TAR"
    if kind == "TAR" and (b"model_config.yaml" in start or b"model_weights" in start):
        next_step = "unpack it and name the checkpoint inside"
        raise FormatError("is an archive of NeMo (TAR)", file=place.name, next=next_step)
    if _PICKLE_INSIDE.search(start) or _PICKLE_INSIDE.search(tail):
        message = f"is a {kind} archive of pickles, which run code when they are opened"
        raise PolicyError(message, file=place.name, next=NO_PICKLES)
    if kind == "ZIP":
        refuse_zip(place, start + tail, wanted)
    error = PolicyError if wanted == "PyTorch" else FormatError
    raise error(f"is a TAR archive, not a {wanted} file", file=place.name, next=_UNPACK)


def refuse_zip(place: Place, names: bytes, wanted: str = "PyTorch") -> NoReturn:
    """Raises FormatError for a ZIP archive without the pickle of torch.save, naming what it is by its members."""
    found = ((kind, what) for ending, kind, what in _MEMBERS if ending in names)
    kind, what = next(found, ("a ZIP archive without tensors", _UNPACK))
    raise FormatError(f"is {kind}, not a {wanted} file", file=place.name, next=what)


def refuse_folder(names: Sequence[str], address: str) -> None:
    """Raises the error for a folder that holds weights in a format that is not read; returns where there are none."""
    pickles = [name for name in names if name.lower().endswith((".pkl", ".pickle"))]
    if pickles:
        message = f"holds only pickles ({escaped(pickles[0])}), which run code when they are opened"
        raise PolicyError(message, file=address, next=NO_PICKLES)
    for pattern, kind, what in _FOLDERS:
        held = [name for name in names if pattern.fullmatch(name)]
        if held:
            raise MissingError(f"no weights that are read: {escaped(held[0])} is {kind}", file=address, next=what)


def _named(start: bytes, place: Place) -> tuple[str, str] | None:
    if _LFS.match(start):
        return "a git-LFS pointer", 'run "git lfs pull"'
    if _HTML.match(start):
        return "an HTML page", "the download was answered with a web page; fetch it again, logged in if need be"
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite file", "name the model that it was made from"
    if place.size >= 48 and place.read(place.size - 8, 8) == _SSTABLE:
        return "the index of a TensorFlow checkpoint", _CONVERT
    if _is_msgpack(start):
        return "a msgpack file (Flax)", _CONVERT
    return next(((kind, what) for magic, kind, what in _MAGIC if start.startswith(magic)), None)


def _is_msgpack(start: bytes) -> bool:
    """A map whose first key is a text of printable letters: what flax.serialization writes."""
    at = {0xDE: 3, 0xDF: 5}.get(start[0], 1) if start else 0
    if not start or not (0x81 <= start[0] <= 0x8F or at > 1) or len(start) < at + 2:
        return False
    length, text = (start[at] & 31, at + 1) if 0xA1 <= start[at] <= 0xBF else (start[at + 1], at + 2)
    return (
        (0xA1 <= start[at] <= 0xBF or start[at] == 0xD9)
        and start[text : text + length].isascii()
        and (start[text : text + length].decode("ascii").isprintable() and text + length < len(start))
    )


def _is_pickle(start: bytes) -> bool:
    """Known by its opcodes, which are read and never executed: a protocol and another one, or one that loads or calls.

    A header's length may look like a protocol (1,152 is 0x80 0x04), but then its JSON follows.
    """
    import pickletools

    if start[7:9] == b"\0{":
        return False
    telling = {"GLOBAL", "INST", "STACK_GLOBAL", "REDUCE", "BUILD", "OBJ", "NEWOBJ", "STOP", "EXT1", "EXT2", "EXT4"}
    begins_with_protocol = start[:1] == b"\x80"
    try:
        for count, (opcode, _, _) in enumerate(pickletools.genops(start)):
            if count and (begins_with_protocol or opcode.name in telling):
                return True
            if opcode.name in telling and opcode.name != "STOP":
                return True
    except (ValueError, OverflowError, IndexError):
        return False
    return False
