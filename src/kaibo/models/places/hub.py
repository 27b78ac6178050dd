"""Repositories of the Hugging Face hub, fetched by `huggingface_hub` into its own cache.

Only what kaibo reads is fetched: weights as safetensors, else as files of PyTorch, and the small text files beside
them. Never code. Nothing here sees a token; `huggingface_hub` finds it (HF_TOKEN, or `hf auth login`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kaibo.errors import KaiboError, MissingError, NetworkError, UsageError, missing_extra

TEXTS = ("*.json", "*.jinja", "tokenizer*", "*.txt")
WEIGHTS = ("*.safetensors",)
ELSE = ("pytorch_model*.bin", "consolidated.*.pth")
"""What is fetched from a repository without safetensors; other names may be anything, of any size."""

NEVER = (
    "*.py",
    "training_args.bin",
    "optimizer*",
    "*.ckpt",
    "*.pkl",
    "*.pickle",
    "*.gguf",
    "*.onnx",
    "*.h5",
    "*.msgpack",
    "*/*",
)
"""What is not fetched, whatever else it matches: code, bare pickles, other formats, subfolders with further copies."""


def snapshot(repository: str, revision: str | None = None, *, weights: bool = True) -> str:
    """The local folder of `org/name` at a revision, fetched where it is not in the cache yet.

    Without `weights` only the text files are fetched. Raises NetworkError where the hub is out of reach and the
    cache has no complete copy, MissingError for a repository that is gated, private or absent, or without the
    extra "hub".
    """
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError:
        raise missing_extra("hub", "addresses that begin with hf:") from None

    def fetched(patterns: Sequence[str]) -> str:
        found = snapshot_download(
            repository, revision=revision, allow_patterns=[*TEXTS, *patterns], ignore_patterns=list(NEVER)
        )
        return str(found)

    try:
        folder = fetched(WEIGHTS if weights else ())
        if weights and not any(Path(folder).glob("*.safetensors")):
            folder = fetched(ELSE)
    except errors.HFValidationError as problem:
        raise UsageError("is no name of a repository", file=_address(repository, revision)) from problem
    except Exception as problem:  # noqa: BLE001 - the client, its HTTP library and the disk each have their own family
        _translate(problem, repository, revision)
    return folder


def _address(repository: str, revision: str | None) -> str:
    return f"hf:{repository}" + (f"@{revision}" if revision else "")


def _translate(problem: Exception, repository: str, revision: str | None) -> NoReturn:
    """Raises our error for one of the client's; texts of the client are not repeated, only what they mean."""
    from huggingface_hub import errors

    address = _address(repository, revision)
    page = f"https://huggingface.co/{repository}"
    chain = [problem, *([problem.__cause__] if problem.__cause__ else [])]
    status = next((code for link in chain if (code := _status(link)) is not None), None)
    if any(isinstance(link, errors.GatedRepoError) for link in chain) or status == 403:
        raise MissingError(
            "is gated", file=address, next=f"accept its licence at {page} and set HF_TOKEN to a token that may read it"
        ) from problem
    if any(isinstance(link, errors.RevisionNotFoundError) for link in chain):
        raise MissingError(f"has no revision {revision or 'main'}", file=address, next=f"see {page}") from problem
    if any(isinstance(link, errors.RepositoryNotFoundError) for link in chain) or status in (401, 404):
        # The hub answers 401 for repositories that do not exist as well as for private ones.
        next_step = f"is the name right? If it is private or gated, see {page} and set HF_TOKEN"
        raise MissingError("no such repository, or it is private", file=address, next=next_step) from problem
    if isinstance(problem, OSError) and problem.errno is not None and status is None:
        message = f"could not be kept in the cache: {os.strerror(problem.errno)}"
        raise MissingError(message, file=address, next="HF_HOME names where the cache is") from problem
    raise _out_of_reach(problem, address, repository, status)


def _out_of_reach(problem: Exception, address: str, repository: str, status: int | None) -> KaiboError:
    from huggingface_hub import constants

    offline = bool(constants.HF_HUB_OFFLINE)
    if offline:
        reason = "the hub may not be asked (HF_HUB_OFFLINE is set)"
    elif status is not None:
        reason = f"the hub answered {status}"
    else:
        reason = f"the hub is out of reach ({type(problem.__cause__ or problem).__name__})"
    error = NetworkError(f"{reason} and the cache has no complete copy", file=address, next=_cached(repository))
    error.__cause__ = problem
    return error


def _status(problem: BaseException) -> int | None:
    code = getattr(getattr(problem, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def _cached(repository: str) -> str:
    """What the cache holds, in words."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    names = sorted(path.name for path in folder.glob("models--*")) if folder.is_dir() else []
    models = [name.removeprefix("models--").replace("--", "/", 1) for name in names]
    if repository in models:
        return "a part of it is cached; connect and run again to fetch the rest"
    shown = ", ".join(models[:5]) + (f" and {len(models) - 5} more" if len(models) > 5 else "")
    return f"cached are: {shown}" if models else "nothing is cached"
