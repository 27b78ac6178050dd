"""The figures of the table side, each beside a peer; peers that would take hours are timed on a part and scaled."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Figure, in_turn

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference" / "obs_scaling"
ROWS = 1_000_000


def figures(folder: Path) -> Iterator[Figure]:
    """The four figures; the first three need the reference data beside the project and are left out without it."""
    if REFERENCE.is_dir():
        yield selection()
        yield bootstraps()
        yield law()
    yield reading(folder)


def _seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _table() -> Any:
    from kaibo.chapters.table.ask import TableOptions, read

    return read([REFERENCE / "base_llm_benchmark_eval.csv"], TableOptions(models=REFERENCE / "models_77.txt")).table


def selection() -> Figure:
    import pandas as pd

    from kaibo.chapters.pca.axes import fit_axes
    from kaibo.chapters.pca.components import ComponentSettings
    from kaibo.chapters.pca.imputation import fit_imputation
    from kaibo.chapters.select.selection import SelectSettings, _choose, candidates

    table = _table()
    how = SelectSettings(include=("Llama-2",), largest=7e9)
    found, _ = candidates(table, how)
    others = [name for name in found.names if name != "Llama-2"]
    count = sum(1 for k in range(1, 10) for _ in itertools.combinations(others, k))
    budget = float(found.costs.sum())
    _choose(found, budget, how)
    ours = min(_seconds(lambda: _choose(found, budget, how)) for _ in range(7))

    scores = fit_axes(fit_imputation(table.values, ComponentSettings().imputation(table)).filled, 3).scores
    filled = fit_imputation(table.values, ComponentSettings().imputation(table)).filled
    frame = pd.DataFrame(scores(filled), columns=["a", "b", "c"]).assign(
        family=table.families, size=table.fact("parameters")
    )
    small = frame[frame["size"] <= 7e9]
    whole = frame[["a", "b", "c"]].to_numpy()
    subsets = list(itertools.islice(itertools.combinations(others, 6), 1000))

    def peer() -> None:
        for subset in subsets:
            chosen = small[small["family"].isin(["Llama-2", *subset])][["a", "b", "c"]].to_numpy()
            -np.trace(whole.T @ whole @ np.linalg.inv(chosen.T @ chosen))

    theirs = _seconds(peer) * count / len(subsets)
    ratio = theirs / ours
    seen = f"{1e3 * ours:.1f} ms against {theirs:.0f} s for {count:,} subsets, timed on {len(subsets):,}"
    name = "exact selection over the families of at most 7B"
    return Figure(
        name, "a pandas frame filtered and inverted per subset", ratio, "times faster", ">= 2000", ratio >= 2000, seen
    )


def bootstraps() -> Figure:
    from sklearn.decomposition import PCA

    from kaibo.chapters.pca.kernels import bootstrap_components
    from kaibo.uncertainty.resampling import family_weights

    table = _table()
    weights = family_weights(table.families, 2000, np.random.default_rng(0))
    work = lambda: bootstrap_components(table.values, weights, (np.zeros(8), np.ones(8)), 5)  # noqa: E731
    work()
    ours = min(_seconds(work) for _ in range(3))
    drawn = [np.repeat(np.arange(len(weights[0])), w.astype(int)) for w in weights[:20]]

    def impute(values: np.ndarray) -> np.ndarray:
        missing = np.isnan(values)
        mean, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        z = np.where(missing, 0.0, (values - mean) / scale)
        for _ in range(1000):
            pca = PCA(n_components=1)
            near = pca.inverse_transform(pca.fit_transform(z))
            z = np.where(missing, np.clip(near, -mean / scale, (1 - mean) / scale), z)
        return z * scale + mean

    def peer() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for rows in drawn:
                PCA(n_components=5).fit(impute(table.values[rows]))

    theirs = _seconds(peer) * 100
    ratio = theirs / ours
    seen = f"{ours:.2f} s against {theirs:.0f} s, timed on 20"
    name = "2,000 family bootstraps of PCA with imputation, 77 x 8"
    return Figure(name, "scikit-learn PCA in a loop", ratio, "times faster", ">= 300", ratio >= 300, seen)


def law() -> Figure:
    from scipy.optimize import OptimizeWarning, curve_fit

    from kaibo.chapters.law.fitting import Loss, fit_batch
    from kaibo.chapters.law.forms import sigmoid
    from kaibo.chapters.law.laws import LawSettings, prepare
    from kaibo.chapters.law.splits import Split
    from kaibo.chapters.table.ask import TableOptions, read

    files = [REFERENCE / "base_llm_benchmark_eval.csv", REFERENCE / "base_llm_post_training_eval.csv"]
    joined = read(files, TableOptions(models=REFERENCE / "models_77.txt")).table
    columns = tuple(name for name in _table().benchmarks if name != "GSM8K")
    prepared = prepare(
        joined, "gsm8k_5_exact_match,flexible-extract", LawSettings(columns, 3, split=Split("flops", 84e21))
    )
    x, y = prepared.predictors["PC3"][prepared.train], prepared.target[prepared.train]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    form = sigmoid(3)
    starts = form.starts(np.random.default_rng(0), x, y, 50)

    def curve(points: np.ndarray, *theta: float) -> np.ndarray:
        with np.errstate(over="ignore"):
            s = 1 / (1 + np.exp(-(points @ np.array(theta[:3]) + theta[3])))
        return (1 - theta[4]) * s + theta[4]

    def peer() -> None:
        for start in np.clip(starts, form.low + 1e-9, form.high - 1e-9):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", OptimizeWarning)
                    curve_fit(curve, x, y, p0=start, bounds=(form.low, form.high), max_nfev=5000)
            except RuntimeError:
                pass

    ours, theirs = in_turn(lambda: fit_batch(form, x, y, starts, loss=Loss(1.0)), peer, 3)
    ratio = theirs / ours
    seen = f"{1e3 * ours:.0f} ms against {1e3 * theirs:.0f} ms"
    name = "one law fitted from 50 starts"
    return Figure(
        name,
        "scipy.optimize.curve_fit, numerical derivatives, same starts",
        ratio,
        "times faster",
        ">= 5",
        ratio >= 5,
        seen,
    )


def reading(folder: Path) -> Figure:
    import pandas as pd

    from kaibo.tables.files.sheets import Hints
    from kaibo.tables.files.text import read_bytes
    from kaibo.tables.read import read_sheet

    path = folder / "leaderboard.csv"
    rng = np.random.default_rng(0)
    scores = np.round(rng.uniform(0, 100, (ROWS, 8)), 2)
    with path.open("w") as out:
        out.write("model,precision,params_b," + ",".join(f"benchmark {k}" for k in range(8)) + "\n")
        for row, values in enumerate(scores):
            out.write(f"org{row % 997}/model-{row},bf16,{row % 70},{','.join(map(str, values))}\n")
    ours, theirs = in_turn(lambda: read_sheet(read_bytes(path), path, Hints()), lambda: pd.read_csv(path), 3)
    ratio = ours / theirs
    seen = f"{ours:.2f} s against {theirs:.2f} s"
    name = "reading a 1,000,000-row leaderboard CSV"
    return Figure(name, "pandas.read_csv", ratio, "of its time", "<= 1.5", ratio <= 1.5, seen)
