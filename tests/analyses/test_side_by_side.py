"""Architectures side by side, against the configs of real ones and the formulas written out."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import kaibo

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "vocab_size": 100,
    "max_position_embeddings": 2048,
}


def config(folder: Path, **more: object) -> str:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA | more))
    return str(folder)


def test_grouped_queries_divide_the_cache_by_the_queries_that_share_a_head(tmp_path: Path) -> None:
    plain, grouped = config(tmp_path / "a"), config(tmp_path / "b", num_key_value_heads=2)
    first, second = kaibo.questions.side_by_side([plain, grouped]).cache.rows
    assert (first.saved, second.saved) == (1.0, 4.0)
    assert first.kv_bytes_per_token == first.ungrouped == second.ungrouped == 2 * 4 * 64 * 2
    assert second.kv_bytes_per_token * 4 == second.ungrouped
    assert second.full == second.kv_bytes_per_token * 2048
    assert second.ungrouped_full == 4 * second.full


def test_a_window_bounds_the_cache_at_full_context_and_past_it(tmp_path: Path) -> None:
    windowed = {"model_type": "mistral", "sliding_window": 256, "num_key_value_heads": 8}
    views = kaibo.questions.side_by_side([config(tmp_path / "a", **windowed)], extended=8192)
    (cache,), (reach,) = views.cache.rows, views.reach.rows
    assert cache.full == cache.kv_bytes_per_token * 255 == reach.extended_cache
    assert (reach.window, reach.windowed_layers, reach.stretch) == (256, 4, 4.0)


def test_roles_add_up_to_the_model_and_memory_is_judged_by_the_card(tmp_path: Path) -> None:
    address = config(tmp_path / "a")
    (model,) = kaibo.inspect(address).rows
    assert model.parameters is not None
    views = kaibo.questions.side_by_side(kaibo.inspect(address), card=model.parameters)
    assert sum(row.count for row in views.roles) == model.parameters
    assert math.fsum(row.share for row in views.roles) == pytest.approx(1.0)
    fits = {row.bits: (row.weights, row.fits) for row in views.memory}
    assert fits[8] == (model.parameters, True)
    assert fits[16] == (2 * model.parameters, False)
    assert [row.fits_with_cache for row in views.memory if row.bits == 8] == [False]


def test_the_slowest_pair_turns_once_in_the_tokens_that_the_tour_says(tmp_path: Path) -> None:
    half = config(tmp_path / "a", rope_theta=500000.0, hidden_size=1024)
    (reach,) = kaibo.questions.side_by_side([half]).reach.rows
    angle = 500000.0 ** (-2 * (64 - 1) / 128)  # θ of the last of the 64 pairs of a head of 128
    assert reach.slowest == pytest.approx(2 * math.pi / angle)


def test_a_config_that_says_nothing_is_left_out_of_the_views_it_cannot_fill(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    views = kaibo.questions.side_by_side([str(folder)])
    assert len(views.table) == 1
    assert not views.cache.rows
    assert not views.reach.rows
    assert not views.roles.rows
