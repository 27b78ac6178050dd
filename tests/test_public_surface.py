"""What `import kaibo` gives, and what it, the quick commands and the core do not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kaibo
from kaibo.testing import tiny_model
from kaibo.vocabulary import Finding

HEAVY = ("numba", "pyarrow", "duckdb", "scipy", "altair", "vl_convert", "pandas", "huggingface_hub", "torch", "jinja2")


def _loaded(code: str, cwd: Path) -> set[str]:
    """The top-level modules in a fresh interpreter after it ran the code."""
    report = "\nimport sys\nprint('\\n' + ' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    command = [sys.executable, "-c", code + report]
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split())


def test_every_public_name_loads_and_is_listed() -> None:
    assert set(dir(kaibo)) == set(kaibo.__all__)
    for name in kaibo.__all__:
        assert getattr(kaibo, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = kaibo.nothing


def test_importing_kaibo_loads_next_to_nothing(tmp_path: Path) -> None:
    assert not _loaded("import kaibo", tmp_path) & {*HEAVY, "numpy", "typer", "rich"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["inspect", "m"], ["inspect", "m", "--json"], ["inspect", "m/config.json"]]
)
def test_the_quick_commands_load_no_kernels_no_store_no_figures(tmp_path: Path, arguments: list[str]) -> None:
    tiny_model(tmp_path / "m")
    loaded = _loaded(f"from kaibo.cli import main_loop\nassert main_loop({arguments!r}) == 0", tmp_path)
    assert not loaded & set(HEAVY)


def test_census_and_digits_run_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m")
    code = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise RuntimeError(f"{name} was imported")

sys.meta_path.insert(0, Refuse())
from kaibo.cli import main_loop
assert main_loop(["census", "m"]) == 0
assert main_loop(["digits", "m", "--by", "role"]) == 0
assert main_loop(["dissect", "m"]) == 0
"""
    assert "torch" not in _loaded(code, tmp_path)


def test_a_finding_shows_itself_gives_a_frame_and_json(tmp_path: Path) -> None:
    folder = tmp_path / "<b>&"
    tiny_model(folder)
    found: Finding[object] = kaibo.digits(folder, "role", settings=kaibo.Settings(store=tmp_path / "s"))
    shown = found._repr_html_()
    assert "<table>" in shown
    assert "<b>" not in shown
    assert "&lt;b&gt;&amp;" in shown
    document = json.loads(found.to_json())
    assert document["kind"] == "digits"
    assert document["provenance"]["kaibo"] == kaibo.__version__
    assert len(document["results"]) == len(found) == len(list(found))
    pytest.importorskip("pandas", reason="the extra frames is not installed")
    frame = found.frame()
    assert frame["n"].sum() == sum(row["n"] for row in document["results"])
    assert list(frame["key"]) == [row["key"] for row in document["results"]]


def test_every_verb_takes_a_path_or_several(tmp_path: Path) -> None:
    settings = kaibo.Settings(store=tmp_path / "s")
    paths = [tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b", seed=1)]
    assert len(kaibo.census(paths, settings=settings)) == 2
    assert len(kaibo.census(str(paths[0]), settings=settings)) == 1
    assert len(kaibo.stats(paths, settings=settings)) == 2
    assert len(kaibo.inspect([*paths, paths[0]])) == 2
    found = kaibo.dissect(paths[0], output=kaibo.options.Output(folder=tmp_path / "out"), settings=settings)
    assert Path(found.page).is_file()
    assert Path(found.page).name in found._repr_html_()
    assert type(kaibo.figure(kaibo.digits(paths[0], settings=settings))).__module__.startswith("altair")
    with pytest.raises(kaibo.KaiboError) as refused:
        kaibo.digits(tmp_path / "absent", settings=settings)
    assert refused.value.exit == 4
