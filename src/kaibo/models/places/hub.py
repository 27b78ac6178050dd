"""The Hugging Face hub through `huggingface_hub`: addresses, tokens, lists and hashes, its cache, and what it refuses.

Weights are read by range (`repository`). Who runs a model needs its files here: these are fetched into the client's own
cache, safetensors, else files of PyTorch, and the small text files beside them; never code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from kaibo.errors import KaiboError, MissingError, NetworkError, UsageError, missing_extra

T = TypeVar("T")

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


@dataclass(frozen=True)
class Published:
    """What the hub says of a file: bytes, and the SHA-256 of one that is kept in LFS or Xet, else git's own hash."""

    size: int
    sha256: str | None
    blob: str

    @property
    def hash(self) -> str:
        """Equal hashes mean equal files."""
        return self.sha256 or self.blob


def is_commit(text: str) -> bool:
    """Whether a revision is a commit, which never changes."""
    return re.fullmatch(r"[0-9a-f]{40}", text) is not None


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 in hex."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def address_of(repository: str, revision: str | None) -> str:
    """The address that names a repository."""
    return f"hf:{repository}" + (f"@{revision}" if revision else "")


def _client() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise missing_extra("hub", "addresses that begin with hf:") from None
    return huggingface_hub


def endpoint() -> str:
    """The hub's URL: HF_ENDPOINT, else huggingface.co."""
    return str(_client().constants.ENDPOINT)


def offline() -> bool:
    """Whether the hub may not be asked (HF_HUB_OFFLINE)."""
    return bool(_client().constants.HF_HUB_OFFLINE)


def private_headers() -> dict[str, str]:
    """The token that the client finds (HF_TOKEN, or `hf auth login`), for the hub itself and nobody else."""
    client = _client()
    token = None if client.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else client.get_token()
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def check(repository: str, revision: str | None) -> None:
    """Raises UsageError for what is no name of a repository, MissingError without the extra "hub"."""
    client = _client()
    try:
        client.utils.validate_repo_id(repository)
    except client.errors.HFValidationError as problem:
        raise UsageError("is no name of a repository", file=address_of(repository, revision)) from problem


def url_of(repository: str, path: str, revision: str | None) -> str:
    """The URL that leads to a file's bytes."""
    return str(_client().hf_hub_url(repository, path, revision=revision, endpoint=endpoint()))


def files_of(repository: str, revision: str | None) -> dict[str, Published]:
    """The files at the top of a repository: one request, more where there are thousands. Raises as `snapshot` does."""

    def listed() -> dict[str, Published]:
        found = _client().HfApi(endpoint=endpoint()).list_repo_tree(repository, revision=revision)
        return {
            one.path: Published(one.size, one.lfs.sha256 if one.lfs else None, one.blob_id)
            for one in found
            if hasattr(one, "blob_id")
        }

    return _asked(listed, repository, revision)


def revisions_of(repository: str) -> dict[str, str]:
    """Commits by the names of a repository's branches and tags: one request. Raises as `snapshot` does."""

    def named() -> dict[str, str]:
        found = _client().HfApi(endpoint=endpoint()).list_repo_refs(repository)
        return {one.name: one.target_commit for one in (*found.branches, *found.tags)}

    check(repository, None)
    return _asked(named, repository, None)


def cached_commit(repository: str, revision: str | None) -> str | None:
    """The commit that the cache holds of a revision; None where it holds none."""
    folder = _cache(repository)
    known = revision or "main"
    if not is_commit(known):
        try:
            known = (folder / "refs" / known).read_text("ascii").strip()
        except (OSError, ValueError):
            return None
    return known if is_commit(known) and (folder / "snapshots" / known).is_dir() else None


def cached_file(repository: str, commit: str, path: str) -> str | None:
    """A file of the cache, None where that does not hold it."""
    found = _cache(repository) / "snapshots" / commit / path
    return str(found) if found.is_file() else None


def cached_names(repository: str, commit: str) -> list[str]:
    """The files that the cache holds of a commit."""
    folder = _cache(repository) / "snapshots" / commit
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _cache(repository: str) -> Path:
    return Path(_client().constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def snapshot(repository: str, revision: str | None = None, *, weights: bool = True, file: str | None = None) -> str:
    """The local folder of `org/name` at a revision, fetched where it is not in the cache yet.

    Without `weights` only the text files are fetched; with `file` that one is, too. Raises NetworkError where the hub
    is out of reach and the cache has no complete copy, MissingError for a repository that is gated, private or absent,
    or without the extra "hub".
    """
    check(repository, revision)
    never = [pattern for pattern in NEVER if file is None]

    def fetched(patterns: Sequence[str]) -> str:
        found = _client().snapshot_download(
            repository, revision=revision, allow_patterns=[*TEXTS, *patterns], ignore_patterns=never
        )
        return str(found)

    folder = _asked(lambda: fetched([file] if file else WEIGHTS if weights else ()), repository, revision)
    if weights and file is None and not any(Path(folder).glob("*.safetensors")):
        folder = _asked(lambda: fetched(ELSE), repository, revision)
    return folder


def _asked(ask: Callable[[], T], repository: str, revision: str | None) -> T:
    try:
        return ask()
    except KaiboError:
        raise
    except Exception as problem:  # noqa: BLE001 - the client, its HTTP library and the disk each have their own family
        _translate(problem, repository, revision)


def refusal(repository: str, revision: str | None, code: str) -> MissingError | None:
    """The error for what the hub calls its refusal (X-Error-Code), None for others."""
    address, page = address_of(repository, revision), f"{endpoint()}/{repository}"
    if code == "GatedRepo":
        next_step = f"accept its licence at {page} and set HF_TOKEN to a token that may read it"
        return MissingError("is gated", file=address, next=next_step)
    if code == "RevisionNotFound":
        return MissingError(f"has no revision {revision or 'main'}", file=address, next=f"see {page}")
    if code == "RepoNotFound":  # the hub says so of private ones, too
        next_step = f"is the name right? If it is private or gated, see {page} and set HF_TOKEN"
        return MissingError("no such repository, or it is private", file=address, next=next_step)
    return None


def not_cached(repository: str, revision: str | None) -> NetworkError:
    """The error for what the cache does not hold, where nobody else may be asked."""
    reason = "may not be asked (HF_HUB_OFFLINE is set)" if offline() else "is out of reach"
    message = f"the hub {reason} and the cache has no complete copy"
    return NetworkError(message, file=address_of(repository, revision), next=_cached(repository))


def _translate(problem: Exception, repository: str, revision: str | None) -> NoReturn:
    """Raises our error for one of the client's; texts of the client are not repeated, only what they mean."""
    errors = _client().errors
    chain = [problem, *([problem.__cause__] if problem.__cause__ else [])]
    status = next((code for link in chain if (code := _status(link)) is not None), None)
    kinds = (
        ("GatedRepo", errors.GatedRepoError, (403,)),
        ("RevisionNotFound", errors.RevisionNotFoundError, ()),
        ("RepoNotFound", errors.RepositoryNotFoundError, (401, 404)),  # 401 is said of absent ones, too
    )
    for name, kind, statuses in kinds:
        if any(isinstance(link, kind) for link in chain) or status in statuses:
            raise refusal(repository, revision, name) or MissingError(name) from problem
    address = address_of(repository, revision)
    if isinstance(problem, OSError) and problem.errno is not None and status is None:
        message = f"could not be kept in the cache: {os.strerror(problem.errno)}"
        raise MissingError(message, file=address, next="HF_HOME names where the cache is") from problem
    if offline():
        raise not_cached(repository, revision) from problem
    reason = f"the hub answered {status}" if status is not None else "the hub is out of reach"
    reason += "" if status is not None else f" ({type(problem.__cause__ or problem).__name__})"
    message = f"{reason} and the cache has no complete copy"
    raise NetworkError(message, file=address, next=_cached(repository)) from problem


def _status(problem: BaseException) -> int | None:
    code = getattr(getattr(problem, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def _cached(repository: str) -> str:
    """What the cache holds, in words."""
    folder = Path(_client().constants.HF_HUB_CACHE)
    names = sorted(path.name for path in folder.glob("models--*")) if folder.is_dir() else []
    models = [name.removeprefix("models--").replace("--", "/", 1) for name in names]
    if repository in models:
        return "a part of it is cached; connect and run again to fetch the rest"
    shown = ", ".join(models[:5]) + (f" and {len(models) - 5} more" if len(models) > 5 else "")
    return f"cached are: {shown}" if models else "nothing is cached"
