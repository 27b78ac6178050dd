from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.llama import Causal, open_causal
from kaibo.scoring.exams import answering
from kaibo.scoring.exams.answering import answers, takes_trees
from kaibo.scoring.exams.prompting import Paper, papers
from kaibo.scoring.exams.requests import Request, encode_pairs, requests_of
from kaibo.scoring.exams.task_files import read_task
from kaibo.scoring.exams.trees import packs, shared_prefix
from kaibo.scoring.texts.tokens import Tokenizer, load_tokenizer
from made import quiet
from scoring_models import save_causal
from task_data import ROWS, write_rows

TASKS = ("boolq", "piqa", "hellaswag", "winogrande", "arc", "mmlu", "lambada", "jcommonsenseqa", "jnli")
KINDS = ("llama", "gpt_neox")
THEIR_BATCHES = (1, 8, 32)
OUR_BATCHES = (1, 100, 4096)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("harness")
    return {kind: save_causal(folder / kind, kind, context=1024) for kind in (*KINDS, "gpt2")}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Paper]:
    """A paper of each task, with a worked example where there are rows enough."""
    folder = tmp_path_factory.mktemp("rows")
    made = {}
    for name in TASKS:
        data = write_rows(folder / f"{name}.jsonl", ROWS[name])
        (made[name],) = papers(read_task(name), str(data), shots=int(len(ROWS[name]) > 2))
    return made


Told = dict[str, list[tuple[float, bool]]]
"""By task: log-likelihood and "would have been written" of every request."""


@pytest.fixture(scope="module")
def theirs(folders: dict[str, Path], asked: dict[str, Paper]) -> dict[tuple[str, int], Told]:
    """What the harness's own `hf` model says of every request, by architecture and batch size."""
    pytest.importorskip("lm_eval")
    with quiet():
        from lm_eval.models.huggingface import HFLM

        found: dict[tuple[str, int], Told] = {}
        for kind in KINDS:
            for batch in THEIR_BATCHES:
                model = HFLM(pretrained=str(folders[kind]), device="cpu", dtype="float32", batch_size=batch)
                found[kind, batch] = {name: model.loglikelihood(instances(one), True) for name, one in asked.items()}
    return found


@pytest.fixture(scope="module")
def told(folders: dict[str, Path], asked: dict[str, Paper]) -> dict[tuple[str, int], Told]:
    """What kaibo says of the same, by architecture and by the number of tokens that are read at a time."""
    found: dict[tuple[str, int], Told] = {}
    for kind in KINDS:
        model, tokenizer = open_causal(folders[kind], dtype="float32"), load_tokenizer(str(folders[kind]))
        for batch in OUR_BATCHES:
            found[kind, batch] = {name: ours(model, tokenizer, one, batch) for name, one in asked.items()}
    return found


def instances(paper: Paper) -> list[Any]:
    from lm_eval.api.instance import Instance

    pairs = [pair for one in paper.questions for pair in zip(one.contexts, one.endings, strict=True)]
    return [Instance("loglikelihood", {}, pair, 0, ("task", 0, 1)) for pair in pairs]


def ours(model: Causal, tokenizer: Tokenizer, paper: Paper, batch: int) -> list[tuple[float, bool]]:
    requests, refused = requests_of(tokenizer, paper.questions, model.context)
    assert not refused
    found = {(one.request.item, one.request.branch): one for part in answers(model, requests, batch) for one in part}
    scored = [found[one.item, one.branch] for one in requests]
    return [
        (-float(one.nats.astype(np.float64).sum()), bool((one.best == one.request.ids[one.request.first :]).all()))
        for one in scored
    ]


def right(paper: Paper, told: list[tuple[float, bool]]) -> list[int]:
    """The places of the best options, as the harness takes them."""
    given = iter(told)
    return [int(np.argmax([next(given)[0] for _ in one.endings])) for one in paper.questions]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("their_batch", THEIR_BATCHES)
@pytest.mark.parametrize("batch", OUR_BATCHES)
def test_log_likelihoods_and_answers_are_those_of_the_harness_whatever_either_reads_at_a_time(
    asked: dict[str, Paper], theirs: Any, told: Any, kind: str, their_batch: int, batch: int
) -> None:
    for name, paper in asked.items():
        found, expected = told[kind, batch][name], theirs[kind, their_batch][name]
        assert [one for one, _ in found] == pytest.approx([one for one, _ in expected], abs=1e-4), name
        assert [one for _, one in found] == [one for _, one in expected], name
        assert right(paper, found) == right(paper, expected), name


@pytest.mark.parametrize("kind", [*KINDS, "gpt2"])
def test_the_plain_path_gives_the_same_as_the_tree(
    folders: dict[str, Path], asked: dict[str, Paper], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = open_causal(folders[kind], dtype="float32"), load_tokenizer(str(folders[kind]))
    assert takes_trees(model, 1024)
    trees = [ours(model, tokenizer, asked[name], 256) for name in ("piqa", "jcommonsenseqa")]
    monkeypatch.setattr(answering, "takes_trees", lambda *given: False)
    plain = [ours(model, tokenizer, asked[name], 256) for name in ("piqa", "jcommonsenseqa")]
    for one, other in zip(trees, plain, strict=True):
        assert [value for value, _ in one] == pytest.approx([value for value, _ in other], abs=2e-5)


class Deaf:
    """A model's engine that hears nothing of masks, or of positions."""

    def __init__(self, runs: Any, without: str) -> None:
        self.runs, self.without = runs, without

    def states(self, ids: Any, **given: Any) -> Any:
        return self.runs.states(ids, **{name: value for name, value in given.items() if name != self.without})

    def logits(self, states: Any) -> Any:
        return self.runs.logits(states)

    def new_cache(self, batch: int = 1, capacity: int = 256) -> Any:
        return self.runs.new_cache(batch, capacity)


@pytest.mark.parametrize("without", ["mask", "positions", "cache"])
def test_a_model_that_takes_no_trees_is_found_out_by_trying(folders: dict[str, Path], without: str) -> None:
    from dataclasses import replace

    model = open_causal(folders["llama"], dtype="float32")
    assert not takes_trees(replace(model, runs=Deaf(model.runs, without)), 64)


def test_positions_that_depend_on_the_length_and_short_windows_take_no_trees(folders: dict[str, Path]) -> None:
    from dataclasses import replace

    model = open_causal(folders["llama"], dtype="float32")
    assert not takes_trees(replace(model, config={**model.config, "rope_scaling": {"type": "dynamic"}}), 64)
    windowed = replace(model, config={**model.config, "sliding_window": 32})
    assert (takes_trees(windowed, 31), takes_trees(windowed, 33)) == (True, False)


def made_requests(seed: int) -> Iterator[Request]:
    """Random trees over three tokens: much is shared, also whole options."""
    random = np.random.default_rng(seed)
    none = np.zeros((0, 2), np.int64)
    for item in range(12):
        context = [0, 1, *random.integers(0, 3, random.integers(1, 5))]
        for branch in range(3):
            ending = random.integers(0, 3, random.integers(1, 4))
            yield Request(item, branch, np.array([*context, *ending], np.int64), len(ending), none, none)


@pytest.mark.parametrize("seed", range(6))
def test_every_path_of_a_pack_is_its_request_and_sees_nothing_else(seed: int) -> None:
    requests = list(made_requests(seed))
    shared = shared_prefix(requests)
    assert shared >= 2
    seen = []
    for pack in packs(requests, shared, 16):
        mask = pack.mask(shared)[:, shared:]
        for request, places in zip(pack.requests, pack.places, strict=True):
            seen.append(request)
            assert len(places) == request.scored
            for step, place in enumerate(places):
                ancestors = np.flatnonzero(mask[place])
                assert pack.ids[ancestors].tolist() == request.ids[shared : request.first + step].tolist()
                assert pack.depths[ancestors].tolist() == list(range(len(ancestors)))
    assert seen == requests


@pytest.mark.parametrize(
    ("context", "ending"),
    [("the quick", " brown"), ("the quick ", "brown"), ("", "the"), ("qu", "ick fox"), ("猫", "が")],
)
def test_boundaries_are_cut_as_the_harness_cuts_them(folders: dict[str, Path], context: str, ending: str) -> None:
    pytest.importorskip("lm_eval")
    with quiet():
        from lm_eval.models.huggingface import HFLM

        model = HFLM(pretrained=str(folders["llama"]), device="cpu", dtype="float32")
    tokenizer = load_tokenizer(str(folders["llama"]))
    (found,) = encode_pairs(tokenizer, [(context, ending)])
    if context:
        before, after = model._encode_pair(context, ending)
    else:
        before, after = [model.prefix_token_id], model.tok_encode(ending, add_special_tokens=False)
    assert found[0].tolist() == [*before, *after]
    assert found[1] == len(after)
    spans = (context + ending).encode()
    assert b"".join(spans[begin:end] for begin, end in found[3]).decode() in (ending, " " + ending)


def test_as_a_model_of_the_harness_kaibo_answers_every_kind_of_request_as_its_own_does(
    folders: dict[str, Path],
) -> None:
    pytest.importorskip("lm_eval")
    with quiet():
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        from kaibo.scoring.harness import KaiboLM

        own = HFLM(pretrained=str(folders["gpt_neox"]), device="cpu", dtype="float32", batch_size=1, max_length=40)
        model = KaiboLM(str(folders["gpt_neox"]), max_length=40)

        def made(kind: str, *arguments: Any) -> list[Any]:
            return [Instance(kind, {}, one, 0, ("t", place, 1)) for place, one in enumerate(arguments)]

        long = "the quick brown fox " * 20
        pairs = made("loglikelihood", ("the quick", " fox"), ("", "the dog"), (long, "over"), ("<s>over", " dog"))
        with pytest.warns(UserWarning, match="1 prompts are longer than the context of 40"):
            told = model.loglikelihood(pairs)
        expected = own.loglikelihood(pairs, disable_tqdm=True)
        assert [one for one, _ in told] == pytest.approx([one for one, _ in expected], abs=1e-4)
        assert [one for _, one in told] == [one for _, one in expected]
        texts = made("loglikelihood_rolling", (long,), ("the dog 解剖",))
        assert model.loglikelihood_rolling(texts) == pytest.approx(own.loglikelihood_rolling(texts, True), abs=1e-3)
        asked = {"until": ["q"], "max_gen_toks": 6, "do_sample": False}
        prompts = made("generate_until", ("the quick", dict(asked)), ("over the", dict(asked)))
        again = made("generate_until", ("the quick", dict(asked)), ("over the", dict(asked)))
        assert model.generate_until(prompts) == own.generate_until(again, disable_tqdm=True)
