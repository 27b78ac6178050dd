"""The identities of the architecture, and the distance a base reaches, recomputed with numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

import kaibo  # noqa: E402
from kaibo.cli import main_loop  # noqa: E402
from kaibo.llama import Rope, walk  # noqa: E402
from kaibo.llama.config.config import LlamaConfig  # noqa: E402
from kaibo.llama.norm import RMSNorm  # noqa: E402
from kaibo.llama.rotary import Rotary, rotate  # noqa: E402

STOPS = ["norm", "rotation", "distance", "lengths", "positions", "linear", "groups", "gate", "base"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_identity_holds_to_rounding(seed: int) -> None:
    rows = walk(seed)
    assert [row.stop for row in rows] == STOPS
    assert all(row.holds for row in rows if row.stop != "base")
    assert all(row.difference < 1e-12 for row in rows if row.difference is not None)
    positions = next(row for row in rows if row.stop == "positions")
    assert positions.numbers["absolute"] > 0.1  # the contrast: absolute positions do not see distances only


def test_the_longest_usable_distance_is_where_the_sum_of_cosines_turns_negative() -> None:
    numbers = walk()[-1].numbers
    for base, name in ((1e4, "far_1e4"), (5e5, "far_5e5"), (1e6, "far_1e6")):
        angles = base ** (-np.arange(0, 128, 2) / 128)
        distance = int(numbers[name])
        around = np.arange(distance - 500, distance + 2)
        sums = np.cos(np.outer(around, angles)).sum(1)
        assert (sums[:-1] >= 0).all()
        assert sums[-1] < 0


@pytest.mark.parametrize("kind", ["none", "linear", "yarn", "llama3"])
def test_scores_depend_on_the_distance_only_under_every_fixed_scaling(kind: str) -> None:
    config = LlamaConfig(8, 16, 16, 1, 2, 1, 8, 64, rope=Rope(kind, factor=4.0))  # type: ignore[arg-type]
    random = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 1, 8, generator=random) for _ in range(2))
    rotary = Rotary(config)

    def score(m: int, n: int) -> float:
        turned = [rotate(x, rotary.tables(torch.tensor([[at]]), 0, 1, x)) for x, at in ((query, m), (key, n))]
        return float((turned[0] * turned[1]).sum())

    assert score(9, 4) == pytest.approx(score(209, 204), abs=1e-4)
    assert abs(score(9, 4) - score(9, 5)) > 1e-3


def test_rmsnorm_forgets_the_scale_and_keeps_the_direction() -> None:
    norm, x = RMSNorm(16, 0.0), torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(norm(x), norm(x * 1000), atol=1e-6)
        assert torch.allclose(norm(x).square().mean(1), torch.ones(3), atol=1e-5)
        assert torch.allclose(norm(x) * x.square().mean(1, keepdim=True).sqrt(), x, atol=1e-6)


def test_the_tour_is_printed_in_both_languages_and_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert main_loop(["tour", "llama"]) == 0
    shown = capfd.readouterr().out
    assert "RMSNorm: only the direction counts" in shown
    assert shown.count("✓") == 8
    assert "{" not in shown.replace("e^{i", "").replace("_{", "").replace("^{", "")
    assert main_loop(["tour", "--lang", "ja"]) == 0
    assert "回転は長さを変えない" in capfd.readouterr().out
    assert main_loop(["tour", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert [row["stop"] for row in document["results"]] == STOPS
    assert main_loop(["tour", "bert"]) == 2


def test_the_drawings_of_the_tour_render() -> None:
    found = kaibo.tour()
    for name in ("positions", "base"):
        assert kaibo.figure(found, name=name, language="ja").to_dict()
