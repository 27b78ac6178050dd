"""The identities of the architecture, each computed two ways with live numbers: what `kaibo tour llama` shows.

Everything is float64, so that a difference is rounding (about 1e-15 of the numbers) or a mistake.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from kaibo.llama.attention import Attention
from kaibo.llama.config.config import LlamaConfig
from kaibo.llama.mlp import SwiGLU
from kaibo.llama.norm import RMSNorm
from kaibo.llama.rotary import Rotary, rotate
from kaibo.vocabulary.running import Point, TourRow

SIZE = 8
BASES = (10_000.0, 500_000.0, 1_000_000.0)
FARTHEST = 1 << 20
HEAD = 128
BOUND = 1e-9
ROFORMER, LLAMA = "arXiv 2104.09864", "arXiv 2302.13971"


def walk(seed: int = 0) -> tuple[TourRow, ...]:
    """Every stop in the order in which a token meets it."""
    stops: tuple[Callable[[torch.Generator], TourRow], ...] = (
        *(_norm, _rotation, _distance, _lengths, _positions, _linear, _groups, _gate, _base),
    )
    return tuple(stop(torch.Generator().manual_seed(seed)) for stop in stops)


def _row(
    stop: str,
    formula: str,
    source: str,
    numbers: dict[str, float],
    difference: float | None = None,
    points: tuple[Point, ...] = (),
) -> TourRow:
    bound = None if difference is None else BOUND
    holds = None if difference is None else difference <= BOUND
    return TourRow(stop, formula, numbers, difference, bound, holds, source, points)


def _drawn(random: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def _config(heads: int = 1, kv_heads: int = 1, size: int = SIZE) -> LlamaConfig:
    return LlamaConfig(16, heads * size, 24, 1, heads, kv_heads, size, context=4096)


def _angles(size: int = SIZE, base: float = BASES[0]) -> torch.Tensor:
    """θ_i, written out a second time: base^(−2(i−1)/d)."""
    return torch.tensor([base ** (-2 * i / size) for i in range(size // 2)], dtype=torch.float64)


def _turned(x: torch.Tensor, position: int) -> torch.Tensor:
    """x of shape (d,) turned by the model's own code, at one position."""
    turns = _angles(len(x)) * position
    cosines, sines = turns.cos().repeat(2), turns.sin()
    return rotate(x[None, None, None], (cosines, torch.cat((-sines, sines))))[0, 0, 0]


def _norm(random: torch.Generator) -> TourRow:
    x, scale = _drawn(random, 64), 1000.0
    norm = RMSNorm(64, 0.0)
    apart = (norm(x * scale).double() - norm(x).double()).abs().max().item()
    rms = x.square().mean().sqrt().item()
    exact = (x * scale / (x * scale).square().mean().sqrt() - x / x.square().mean().sqrt()).abs().max().item()
    return _row(
        "norm",
        "RMSNorm(x) = x / √(mean(x²) + ε) · g;  RMSNorm(c·x) = RMSNorm(x)",
        "arXiv 1910.07467, eq. 4",
        {"rms": rms, "scale": scale, "module": apart},
        exact,
    )


def _rotation(random: torch.Generator) -> TourRow:
    x, position = _drawn(random, SIZE), 7
    halves = _turned(x, position)
    turns = torch.polar(torch.ones(SIZE // 2, dtype=torch.float64), _angles() * position)
    spun = torch.complex(x[: SIZE // 2], x[SIZE // 2 :]) * turns
    order = torch.arange(SIZE).view(2, -1).T.reshape(-1)  # 0, d/2, 1, d/2 + 1 …: the paper's pairs lie side by side
    cosines, sines = turns.real, turns.imag
    cells = torch.stack((torch.stack((cosines, -sines), -1), torch.stack((sines, cosines), -1)), -2)  # (d/2, 2, 2)
    matrix_form = torch.block_diag(*cells)  # type: ignore[no-untyped-call]
    product = (halves - torch.cat((spun.real, spun.imag))).abs().max().item()
    matrix = (halves[order] - matrix_form @ x[order]).abs().max().item()
    return _row(
        "rotation",
        "x·cos + (−x₂, x₁)·sin  =  x·e^{imθ}  =  P⁻¹ R^d_{Θ,m} P x",
        f"{ROFORMER}, eq. 12, 15, 34",
        {"size": SIZE, "pairs": SIZE // 2, "position": position, "product": product, "matrix": matrix},
        max(product, matrix),
    )


def _distance(random: torch.Generator) -> TourRow:
    query, key = _drawn(random, SIZE), _drawn(random, SIZE)
    here = (_turned(query, 10) @ _turned(key, 3)).item()
    far = (_turned(query, 1010) @ _turned(key, 1003)).item()
    other = (_turned(query, 10) @ _turned(key, 4)).item()
    angles = _angles()
    half = SIZE // 2
    complexes = [torch.complex(one[:half], one[half:]) for one in (query, key)]
    spun = (complexes[0] * complexes[1].conj() * torch.polar(torch.ones_like(angles), 7 * angles)).real.sum().item()
    return _row(
        "distance",
        "⟨f(q, m), f(k, n)⟩ = Re[ q k* e^{i(m−n)θ} ] = g(q, k, m−n)",
        f"{ROFORMER}, eq. 11, 16",
        {"here": here, "far": far, "other": other},
        max(abs(here - far), abs(here - spun)),
    )


def _lengths(random: torch.Generator) -> TourRow:
    x = _drawn(random, SIZE)
    before = x.norm().item()
    after = [_turned(x, position).norm().item() for position in (1, 100, 4095)]
    return _row(
        "lengths",
        "‖f(x, m)‖ = ‖x‖;  RᵀR = 1 for R = R^d_{Θ,m}",
        f"{ROFORMER}, section 3.2.2",
        {"before": before, "after": after[-1]},
        max(abs(one - before) for one in after),
    )


PLACES = 12


def _positions(random: torch.Generator) -> TourRow:
    """The scores of one and the same token at every place, under three ways to tell places apart."""
    x = _drawn(random, SIZE)
    queries, keys = _drawn(random, SIZE, SIZE) / SIZE**0.5, _drawn(random, SIZE, SIZE) / SIZE**0.5
    places = torch.arange(PLACES, dtype=torch.float64)
    waves = torch.outer(places, _angles())
    absolute = torch.stack((waves.sin(), waves.cos()), -1).reshape(PLACES, SIZE)  # p_{i,2t} = sin(i/10000^{2t/d}) …
    clipped = (places[:, None] - places[None]).clamp(-8, 8).long() + 8
    relative = _drawn(random, 17, SIZE)[clipped]  # p̃ of the distance, clipped
    turned_queries = torch.stack([_turned(queries @ x, int(m)) for m in places])
    turned_keys = torch.stack([_turned(keys @ x, int(n)) for n in places])
    scores = {
        "absolute": ((x + absolute) @ queries.T) @ ((x + absolute) @ keys.T).T,
        "relative": ((x + relative) @ keys.T) @ (queries @ x),
        "rotary": turned_queries @ turned_keys.T,
    }
    spread = {name: _spread_along_diagonals(one) for name, one in scores.items()}
    points = tuple(
        Point(f"{name}:{m}", float(n), one[m, n].item())
        for name, one in scores.items()
        for m in range(PLACES)
        for n in range(m + 1)
    )
    apart = max(spread["relative"], spread["rotary"])
    formula = "W(xᵢ + pᵢ)   |   W_q x_m · W_k(x_n + p̃_{m−n})   |   (W x_m) e^{imθ}"
    return _row("positions", formula, f"{ROFORMER}, eq. 3-5, 14", spread, apart, points)


def _spread_along_diagonals(scores: torch.Tensor) -> float:
    """How much the score varies between places of the same distance; 0 where only the distance counts."""
    return max((line.max() - line.min()).item() for d in range(1, PLACES - 1) for line in [scores.diagonal(-d)])


def _linear(random: torch.Generator) -> TourRow:
    """Attention with a kernel instead of softmax: numerators are turned, the weights they are divided by are not."""
    length = 24
    queries, keys = (functional.elu(_drawn(random, length, SIZE)) + 1 for _ in range(2))
    values = _drawn(random, length, SIZE)
    turned = [torch.stack([_turned(one[m], m) for m in range(length)]) for one in (queries, keys)]
    below = (queries @ keys.T).tril()
    direct = (turned[0] @ turned[1].T).tril() @ values / below.sum(1, keepdim=True)
    memory = torch.cumsum(turned[1][:, :, None] * values[:, None], 0)  # Σ φ(k) vᵀ up to each place
    total = torch.cumsum(keys, 0)
    running = torch.einsum("md,mde->me", turned[0], memory) / (queries * total).sum(1, keepdim=True)
    visible = torch.ones_like(below).tril().bool()
    least = [one[visible].min().item() for one in (below, turned[0] @ turned[1].T)]
    return _row(
        "linear",
        "o_m = Σₙ (R_m φ(q_m))ᵀ (R_n φ(k_n)) v_n / Σₙ φ(q_m)ᵀ φ(k_n)",
        f"{ROFORMER}, eq. 19",
        {"plain": least[0], "rotated": least[1]},
        (direct - running).abs().max().item(),
    )


def _groups(random: torch.Generator) -> TourRow:
    """Grouped queries with as many groups as heads against attention written out head by head."""
    heads, length = 4, 6
    x = _drawn(random, 1, length, heads * SIZE)
    apart, cached = [], {}
    for kv_heads in (heads, 2, 1):
        config = _config(heads, kv_heads)
        module = Attention(config, 0).double()
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(_drawn(random, *weight.shape) / weight.shape[-1] ** 0.5)
            tables = Rotary(config).tables(None, 0, length, x)
            found = module(x, tables, None, None)
            apart.append((found - _head_by_head(module, x, tables)).abs().max().item())
        cached[kv_heads] = 2 * kv_heads * SIZE
    numbers = {"heads": float(heads), "mha": float(cached[heads]), "gqa": float(cached[2]), "mqa": float(cached[1])}
    formula = "g(h) = ⌊h·G/H⌋;  G = H: MHA,  1 < G < H: GQA,  G = 1: MQA"
    return _row("groups", formula, "arXiv 2305.13245, section 2.2", numbers, max(apart))


def _head_by_head(module: Attention, x: torch.Tensor, tables: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """a_{m,n} = exp(q_mᵀk_n/√d) / Σ_j exp(q_mᵀk_j/√d), o_m = Σₙ a_{m,n} v_n, for each head by itself."""
    heads, kv_heads, size = module.heads, module.kv_heads, module.size
    rows = (x[0] @ module.qkv.weight.T).view(x.shape[1], -1, size)
    turned = rotate(rows[None], tables)[0]
    seen = []
    for head in range(heads):
        group = head * kv_heads // heads
        keys, values = turned[:, heads + group], rows[:, heads + kv_heads + group]
        scores = turned[:, head] @ keys.T / math.sqrt(size)
        share = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf).exp()
        seen.append(share / share.sum(1, keepdim=True) @ values)
    return torch.cat(seen, 1)[None] @ module.output.weight.T


def _gate(random: torch.Generator) -> TourRow:
    config = _config(2)
    module = SwiGLU(config).double()
    x = _drawn(random, 1, 5, config.hidden)
    with torch.no_grad():
        gate, up = module.gate_up.weight.chunk(2)
        left, right = x @ gate.T, x @ up.T
        swish = left * torch.sigmoid(left)
        glu = torch.sigmoid(left) * right  # GLU(x) = σ(xW) ⊗ xV
        found = module(x)
        by_swish = (found - (swish * right) @ module.down.weight.T).abs().max().item()
        by_glu = (found - (left * glu) @ module.down.weight.T).abs().max().item()
    one = torch.tensor(1.0, dtype=torch.float64)
    return _row(
        "gate",
        "SwiGLU(x) = (Swish₁(xW) ⊗ xV) W₂ = (xW ⊗ GLU(x)) W₂,  Swish_β(x) = x·σ(βx)",
        "arXiv 2002.05202, eq. 5-6",
        {"swish": (one * torch.sigmoid(one)).item(), "steep": (one * torch.sigmoid(50 * one)).item()},
        max(by_swish, by_glu),
    )


def _base(random: torch.Generator) -> TourRow:
    """How far away a token that matches still scores above a random one: the longest usable distance of a base."""
    numbers: dict[str, float] = {}
    points: list[Point] = []
    for base in BASES:
        name = f"{base:.0e}".replace("e+0", "e")
        distance = usable_distance(base, HEAD)
        numbers[f"far_{name}"] = float(distance)
        numbers[f"wave_{name}"] = 2 * math.pi * base ** ((HEAD - 2) / HEAD)
        points += [Point(name, x, y) for x, y in _agreement(base)]
    formula = "B(r) = Σᵢ cos(r·θᵢ) ≥ 0 for all r ≤ r_max;  λ_max = 2π·base^{(d−2)/d}"
    return _row("base", formula, "arXiv 2405.14591, section 4", numbers, None, tuple(points))


def usable_distance(base: float, size: int, farthest: int = FARTHEST) -> int:
    """The largest r with Σ cos(s·θ_i) ≥ 0 for all s ≤ r, at most `farthest`."""
    angles, step = _angles(size, base), 1 << 13
    for begin in range(0, farthest, step):
        sums = torch.outer(torch.arange(begin, begin + step, dtype=torch.float64), angles).cos().sum(1)
        below = (sums < 0).nonzero()
        if len(below):
            return begin + int(below[0]) - 1
    return farthest


def _agreement(base: float) -> Iterator[tuple[float, float]]:
    """B(r)/(d/2) at distances spaced evenly on a logarithmic axis, the lowest within 3 % of each."""
    angles = _angles(HEAD, base)
    for distance in torch.logspace(0, 5.5, 90, dtype=torch.float64):
        around = torch.linspace(0.97, 1.03, 200, dtype=torch.float64) * distance
        yield distance.item(), torch.outer(around, angles).cos().mean(1).min().item()
