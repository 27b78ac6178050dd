from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.errors import UsageError
from kaibo.llama import Causal, open_causal
from kaibo.scoring.exams import generating
from kaibo.scoring.exams.generating import way_of, write_answers
from kaibo.scoring.exams.prompts import Answer, Prompted
from made import quiet
from scoring_models import save_causal

KINDS = ("llama", "gpt_neox", "gpt2")
LENGTHS = (9, 3, 5, 9, 4, 12, 3, 1, 7, 5, 6, 20)
COUNT = 9


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("writing")
    return {kind: save_causal(folder / kind, kind, context=64) for kind in KINDS}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, Causal]:
    return {kind: open_causal(folder, dtype="float32") for kind, folder in folders.items()}


def made(seed: int = 0, shared: int = 4) -> list[Prompted]:
    """Prompts of many lengths that begin alike."""
    random = np.random.default_rng(seed)
    begin = random.integers(2, 400, shared)
    return [
        Prompted(item, np.concatenate([begin, random.integers(2, 400, length)])) for item, length in enumerate(LENGTHS)
    ]


def written(model: Causal, prompts: list[Prompted], stop: tuple[str, ...] = (), **given: Any) -> dict[int, Answer]:
    several = write_answers(model, prompts, COUNT, stop, **given)
    return {one.prompted.item: one for answers in several for one in answers}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [0, 4])
def test_together_prompts_are_answered_as_each_is_alone(models: dict[str, Causal], kind: str, shared: int) -> None:
    prompts = made(shared=shared)
    together = written(models[kind], prompts)
    assert way_of(models[kind], 64) == "filled"
    for prompt in prompts:
        alone = written(models[kind], [prompt])[prompt.item]
        assert together[prompt.item].ids.tolist() == alone.ids.tolist()
        assert together[prompt.item].nats == pytest.approx(alone.nats, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_alone_a_prompt_is_answered_as_transformers_answers_it(
    folders: dict[str, Path], models: dict[str, Causal], kind: str
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    with quiet():
        theirs = AutoModelForCausalLM.from_pretrained(folders[kind]).eval()
    for item, answer in written(models[kind], made()).items():
        ids = torch.from_numpy(made()[item].ids)[None]
        with torch.no_grad(), quiet():
            whole = theirs.generate(ids, max_new_tokens=COUNT, do_sample=False, eos_token_id=1, pad_token_id=1)
        assert whole[0, ids.shape[1] :].tolist() == answer.ids.tolist()


@pytest.mark.parametrize("way", ["alike", "alone"])
def test_a_model_that_takes_no_filling_or_no_company_writes_the_same(
    models: dict[str, Causal], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = written(models["llama"], made())
    monkeypatch.setattr(generating, "way_of", lambda *given: way)
    found = written(models["llama"], made())
    assert {item: one.ids.tolist() for item, one in found.items()} == {
        item: one.ids.tolist() for item, one in expected.items()
    }


class Deaf:
    """A model's engine that hears nothing of masks, or whose cache holds one text only."""

    def __init__(self, runs: Any, without: str) -> None:
        self.runs, self.without, self.model = runs, without, runs.model

    def states(self, ids: Any, **given: Any) -> Any:
        return self.runs.states(ids, **{name: value for name, value in given.items() if name != self.without})

    def logits(self, states: Any) -> Any:
        return self.runs.logits(states)

    def new_cache(self, batch: int = 1, capacity: int = 256) -> Any:
        if self.without == "rows" and batch == 1:
            return object()
        return self.runs.new_cache(batch, capacity)


def test_how_a_model_takes_several_prompts_is_found_out_by_trying(models: dict[str, Causal]) -> None:
    model = models["llama"]
    assert way_of(replace(model, runs=Deaf(model.runs, "mask")), 64) == "alike"
    assert way_of(replace(model, runs=Deaf(model.runs, "positions")), 64) == "alike"
    assert way_of(replace(model, runs=Deaf(model.runs, "rows")), 64) == "alone"
    assert way_of(replace(model, config={**model.config, "sliding_window": 32}), 33) == "alike"


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_an_answer_ends_at_its_stop_text_and_lets_the_others_go_on(models: dict[str, Causal], kind: str) -> None:
    model = models[kind]
    whole = written(model, made())
    assert model.tokenizer is not None
    stop = model.tokenizer.decode(whole[0].ids.tolist()[2:4])
    found = written(model, made(), (stop,))
    lengths = {item: len(one.ids) for item, one in found.items()}
    assert lengths[0] <= 4
    assert max(lengths.values()) == COUNT
    for item, one in found.items():
        assert one.ids.tolist() == whole[item].ids.tolist()[: len(one.ids)]
        assert (stop in model.tokenizer.decode(one.ids.tolist())) == (len(one.ids) < COUNT or item == 0)


def test_known_answers_change_neither_those_that_are_written_nor_their_last_bit(models: dict[str, Causal]) -> None:
    whole = written(models["llama"], made(), batch=4)
    known = frozenset((0, 5, 6))
    again = written(models["llama"], made(), batch=4, known=known)
    assert set(again) == set(whole) - known
    assert all(one.nats.tobytes() == whole[item].nats.tobytes() for item, one in again.items())
    assert written(models["llama"], made(), known=frozenset(range(len(LENGTHS)))) == {}


def test_ids_without_a_row_are_refused_before_anything_is_read(models: dict[str, Causal]) -> None:
    with pytest.raises(UsageError, match="token id 400 is outside the vocabulary of 400"):
        written(models["llama"], [*made(), Prompted(99, np.array([5, 400]))])
