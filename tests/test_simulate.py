"""What the simulation of docs/scale.md must do where the answer is known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

PLACE = Path(__file__).parents[1] / "benchmarks" / "simulate.py"


@pytest.fixture(scope="module")
def simulate() -> Any:
    spec = importlib.util.spec_from_file_location("simulate", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulate"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("workers", "cores", "seconds"), [(1, 2, 12.0), (2, 2, 6.0), (4, 2, 6.0), (3, 8, 4.0)])
def test_equal_tasks_take_what_the_cores_allow(simulate: Any, workers: int, cores: int, seconds: float) -> None:
    run = simulate.replay([simulate.Task(0, 1.0)] * 12, simulate.Machines(workers, cores))
    assert run.seconds == pytest.approx(seconds)


def test_readers_share_the_network_and_none_takes_more_than_its_own(simulate: Any) -> None:
    tasks = [simulate.Task(10.0, 0.0)] * 4
    shared = simulate.replay(tasks, simulate.Machines(4, 4, network=8.0, each=4.0))
    assert shared.seconds == pytest.approx(5.0)
    assert (shared.network, shared.first) == (pytest.approx(1.0), "network")
    alone = simulate.replay(tasks[:1], simulate.Machines(4, 4, network=8.0, each=4.0))
    assert alone.seconds == pytest.approx(2.5)


def test_work_is_dealt_out_as_commands_deal_it(simulate: Any) -> None:
    from kaibo.collect.shards import Shard

    sizes = {f"w{place}": 1 + place * 7919 % 1000 for place in range(300)}
    loads = [sum(sizes[name] for name in Shard(index, 9).takes("work", sizes)) for index in range(9)]
    told = [0] * 9
    for name, shard in simulate.dealt(sizes, 9).items():
        told[shard] += sizes[name]
    assert sorted(told) == pytest.approx(sorted(loads), rel=0.01)
