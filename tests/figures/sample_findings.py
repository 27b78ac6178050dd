"""Small findings made by hand, for the tests of figures and reports."""

import dataclasses
import math
import random

from kaibo.chapters import kinds
from kaibo.chapters.census.rows import Quantile
from kaibo.chapters.diff.pair_rows import DistanceCell
from kaibo.chapters.diff.rows import CurveRow, DifferenceCell
from kaibo.chapters.digits.rows import DigitsRow
from kaibo.chapters.merge.rows import ConflictRow
from kaibo.chapters.stats.rows import MagnitudeRow, ProfileRow, StatsRow
from kaibo.vocabulary import Finding
from kaibo.vocabulary.architecture import Activation, Architecture, Norm, PositionEncoding

LAW = [math.log10(1 + 1 / digit) for digit in range(1, 10)]
ROLES = ("attention.q", "attention.k", "attention.v", "attention.o", "mlp.gate", "mlp.up", "mlp.down", "norm")
HOSTILE = '</script><img src=x onerror="window.hacked=1"><b>\u2028\u202e"\'javascript:alert(1)\x1b[31m{{7*7}}'


def digits_row(model="hf:org/model", by="model", key=None, seed=0):
    chance = random.Random(seed)
    weights = [share * (1 + 0.2 * chance.uniform(-1, 1)) for share in LAW]
    shares = tuple(weight / sum(weights) for weight in weights)
    counts = tuple(round(1e9 * share) for share in shares)
    return DigitsRow(
        model=model, by=by, key=key, n=sum(counts), zeros=3, nonfinite=0, counts=counts, shares=shares,
        mae=0.0181234, mae_low=0.017, mae_high=0.019, conformity="nonconformity", kl=0.002, cramers_v=0.03,
        gaussian_mae=0.019, mixture_mae=0.016, from_gaussian=0.01, from_mixture=0.02,
        gaussian_shares=tuple(LAW), mixture_shares=tuple(LAW), tensors=291,
    )  # fmt: skip


def digits(models=1, **changes):
    return Finding(
        kinds()["digits"], tuple(digits_row(f"hf:org/model-{place}", seed=place, **changes) for place in range(models))
    )


def digits_by_tensor(count, name="layers.{}.attention.q"):
    return Finding(
        kinds()["digits"], tuple(digits_row(by="tensor", key=name.format(place), seed=place) for place in range(count))
    )


def profile(layers=4, roles=8, models=1):
    chance = random.Random(1)
    names = [*ROLES, *(f"expert.{place}" for place in range(30))][:roles]
    rows = [
        ProfileRow(f"./model-{model}", layer, role, 4096, 0.02 * chance.uniform(1, 3), chance.uniform(-1.2, 80), 0.01)
        for model in range(models)
        for layer in range(layers)
        for role in names
    ]
    return Finding(kinds()["profile"], tuple(rows))


def magnitudes():
    rows = [MagnitudeRow("hf:org/model", k, 2 ** (k + 20), 2.0**k, 2.0**k * 0.9, 0.0) for k in range(-20, 0)]
    return Finding(kinds()["magnitudes"], tuple(rows))


def stats(count=1, by="tensor", name="layers.{}.attention.q"):
    quantiles = (Quantile(0.5, -0.001, 0.001), Quantile(0.99, 0.1, 0.1))
    row = StatsRow(
        model="hf:org/model", by=by, key=None, tensors=1, n=4096, mean=-0.1, std=1 / 3, skew=0.0, kurtosis=math.nan,
        l1=1e5, l2=1e3, max=1.5, minimum=-1.5, maximum=1.0, zeros=3, negative=0.5, subnormals=0, nonfinite=0,
        quantiles=quantiles, beyond3=0.003, beyond3_high=0.003,
        gaussian3=0.0027, beyond6=1e-4, beyond6_high=1e-4, gaussian6=2e-9,
        entropy=10.5, exponent_entropy=2.5, skew_bound=0.0, kurtosis_bound=0.0, grid=None, dtypes=("BF16",),
        why={"kurtosis": "all values are equal"},
    )  # fmt: skip
    rows = [dataclasses.replace(row, key=None if by == "model" else name.format(place)) for place in range(count)]
    return Finding(kinds()["stats"], tuple(rows))


def architecture(model="hf:org/model"):
    return Architecture(
        model=model, family="llama", parameters=6_738_415_616, layers=32, hidden=4096, heads=32, kv_heads=32,
        head_size=128, attention="MHA", context=4096, vocabulary=32000, kv_bytes_per_token=524288, tied=False,
        kv_bytes_full={"16": 2**31}, weights_bytes={"32": 26953662464, "16": 13476831232, "4": 3369207808},
        parameters_by_role={"attention.q": 536870912, "mlp.up": 1442840576, "norm": 266240, "embedding": 131072000},
        norm=Norm("RMSNorm", "pre"), activation=Activation("SwiGLU", "silu", True),
        positions=PositionEncoding("RoPE", 10000.0), remarks=("at 16 bit it needs 12.6 GiB",),
    )  # fmt: skip


def inspected(models=1):
    return Finding(kinds()["inspect"], tuple(architecture(f"hf:org/model-{place}") for place in range(models)))


def renamed(finding, model):
    return dataclasses.replace(finding, rows=tuple(dataclasses.replace(row, model=model) for row in finding.rows))


def norm_curve(models=1):
    points = [(0.1, 0.02), (1, 0.1), (20, 0.55), (100, 1.0)]
    return Finding(
        kinds()["norm-curve"],
        tuple(
            CurveRow(
                *("base", f"/models/tuned{number}", scope, percent, round(1e4 * percent)),
                *(3 * share, share, 0.0, 1e-4, share**2, share, 0.0, 1e-4),
            )
            for number in range(models)
            for scope in ("global", "tensor")
            for percent, share in points
        ),
    )


def distances(models=4):
    places = range(models)
    return Finding(
        kinds()["distances"],
        tuple(
            DistanceCell(f"/models/tuned{a}", f"/models/tuned{b}", a, b, 30.0, 0.4 + abs(a - b) / 3, 0.5, 0.1)
            for a in places
            for b in places
            if a < b
        ),
    )


def change_map(layers=4, models=1):
    return Finding(
        kinds()["diff-map"],
        tuple(
            DifferenceCell("base", f"/models/tuned{number}", layer, role, 10**6, 0.1 * layer, 0.01 * layer)
            for number in range(models)
            for layer in range(layers)
            for role in ROLES
        ),
    )


def conflicts(models=2):
    rows = [
        ConflictRow("role", role, None, role, 10**6, 4 * 10**5, 0.1, 0.01, 0.2, 0.8, (0.2,) * models, (0.8,) * models)
        for role in ROLES
    ]
    return Finding(
        kinds()["conflicts"], tuple(rows), (), {"tuned": [f"/models/tuned{place}" for place in range(models)]}
    )


def conflict_map(layers=4):
    rows = [
        ConflictRow("cell", "", layer, role, 10**6, 10**5, 0.01 * layer, 0.0, 0.2, 0.9, (0.2, 0.2), (0.9, 0.9))
        for layer in range(layers)
        for role in ROLES
    ]
    return Finding(kinds()["conflict-map"], tuple(rows), (), {"tuned": ["/models/a", "/models/b"]})
