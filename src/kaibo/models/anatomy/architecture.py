"""The architecture of a model from its `config.json` alone: what it is, how large, and what it costs to run.

FLOPs, a multiplication and an addition counted as two:

    forward, per token   2·N + 4·heads·head_size·Σ over layers of tokens looked back at, at full context
                         N: parameters one token uses, without the embedding tables (a tied head is counted: it
                         is multiplied with even where it is not stored twice); of MLA 2·heads·(key + value size)
    training             6·N·D for D tokens, N: all parameters one token uses (Kaplan et al. 2020, arXiv 2001.08361)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kaibo.errors import FormatError, UsageError
from kaibo.models.anatomy.ahead import parameters_ahead
from kaibo.models.anatomy.attention import Looking, attention_of
from kaibo.models.anatomy.caches import kept_of
from kaibo.models.anatomy.catalogue import UNKNOWN, Family, family
from kaibo.models.anatomy.counting import Parameters, count_parameters, times_of
from kaibo.models.anatomy.naming import family_of
from kaibo.models.anatomy.positions import positions_of
from kaibo.models.anatomy.quantising import quantisation_of
from kaibo.models.anatomy.remarks import remarks_on
from kaibo.models.anatomy.settings import Settings, settings_of
from kaibo.models.anatomy.spellings import describe
from kaibo.models.anatomy.templates import NO_FILES, chat_template, special_tokens
from kaibo.models.anatomy.wholes import TEXT, Stack, count_stacks, stacks_of, wrong_parts
from kaibo.vocabulary import Activation, Architecture, Experts, Kept, Norm
from kaibo.words import Note, combined, note

WIDTHS = (32, 16, 8, 4)
MOST_TOKENS = 10**18

_GATED = {"silu": "SwiGLU", "swish": "SwiGLU", "relu": "ReGLU", "sigmoid": "GLU"}
_PLAIN = {"silu": "SiLU", "swish": "SiLU", "relu": "ReLU", "tanh": "tanh", "relu2": "ReLU²"}


def architecture(
    config: Mapping[str, Any],
    *,
    documents: Mapping[str, Any] | None = None,
    tokens: int | None = None,
    model: str = "",
) -> Architecture:
    """What a `config.json` says a model is; no weights are read.

    `documents` are the small files beside it by name (`tokenizer_config.json` …), `tokens` how many the model was
    trained on. What the config does not say, or says wrongly, is None with the reason in `why`; see `malformed`.
    Raises FormatError where the config is no object, UsageError where `tokens` is no count.

    >>> small = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257}
    >>> architecture({**small, "n_positions": 1024}).parameters
    124439808
    """
    if not isinstance(config, Mapping):
        raise FormatError(f"config.json holds {describe(config)}, not an object")
    if tokens is not None and (isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1):
        raise UsageError(f"tokens is {describe(tokens)}, not a count", next="give the tokens it was trained on")
    if tokens is not None and tokens > MOST_TOKENS:
        raise UsageError(f"tokens is {describe(tokens)}, more than any text there is")
    name = family_of(config) or UNKNOWN
    anatomy = None if name == UNKNOWN else family(name)
    settings = settings_of(config, anatomy)
    looking = attention_of(anatomy, settings)
    drawn = _described(model, config, anatomy, settings, looking)
    drawn = _remembering(drawn, kept_of(config, name) or ())
    stacks = stacks_of(config)
    parts = count_stacks(stacks)
    drawn = _counted(drawn, anatomy, settings, parts, tokens)
    drawn = _with_parts(drawn, parts)
    drawn = _spoken_to(drawn, documents or {})
    drawn = replace(drawn, malformed=_malformed(config, settings, stacks))
    return replace(drawn, remarks=remarks_on(drawn), why=_why(drawn, anatomy, settings, config))


def _malformed(config: Mapping[str, Any], settings: Settings, stacks: tuple[Stack, ...]) -> tuple[Note, ...]:
    """What the config says wrongly, of all parts, each sentence once."""
    if settings.anatomy is not None and settings.depth:
        for name, rules in settings.anatomy.lists.items():  # read although no tensor may depend on it
            if any(value == "in" for value, _ in rules):
                settings.members(name)
            else:
                settings.list_of(name, settings.depth)
    readers = [settings.reader, *(stack.settings.reader for stack in stacks)]
    said = [sentence for reader in readers for sentence in reader.malformed.values()]
    return tuple(dict.fromkeys([*wrong_parts(config), *said]))


def _described(
    model: str, config: Mapping[str, Any], anatomy: Family | None, settings: Settings, looking: Looking
) -> Architecture:
    sizes = settings.dimensions
    return Architecture(
        model=model,
        family=UNKNOWN if anatomy is None else anatomy.name,
        model_type=settings.reader.text("model_type"),
        layers=sizes.get("layers"),
        hidden=sizes.get("hidden"),
        intermediate=sizes.get("intermediate"),
        vocabulary=sizes.get("vocabulary"),
        context=sizes.get("context"),
        tied=settings.flags.get("tied"),
        attention=looking.kind,
        heads=sizes.get("heads"),
        kv_heads=sizes.get("kv_heads"),
        head_size=sizes.get("head_size"),
        window=looking.window,
        windowed_layers=looking.windowed_layers,
        cache_values=looking.cache_values,
        norm=_norm(anatomy, settings),
        activation=_activation(anatomy, settings),
        positions=positions_of(anatomy, settings),
        parallel=None if anatomy is None else settings.flags.get("parallel", False),
        experts=_experts(anatomy, settings),
        quantization=quantisation_of(config) or quantisation_of(settings.reader.config),
    )


def _norm(anatomy: Family | None, settings: Settings) -> Norm:
    if anatomy is None:
        eps = next((key for key in ("rms_norm_eps", "layer_norm_eps") if settings.reader.raw(key) is not None), None)
        return Norm(eps=None if eps is None else settings.reader.number(eps))
    facts = anatomy.facts["norm"]
    after = "post_unless" in facts and not settings.flags[facts["post_unless"]]
    eps_values = (settings.reader.number(s) if isinstance(s, str) else float(s) for s in facts["eps"])
    eps_value = next((value for value in eps_values if value is not None), None)
    return Norm(facts["kind"], "post" if after else facts["placement"], eps_value)


def _activation(anatomy: Family | None, settings: Settings) -> Activation:
    facts = anatomy.facts["activation"] if anatomy else {"function": ["hidden_act", "activation_function"]}
    reader = settings.reader
    key, *others = facts["function"]
    function = reader.text(key) if reader.raw(key) is not None else None
    for other in others if function is None and key not in reader.malformed else ():
        function = reader.text(other) if anatomy is None else other
        if function is not None:
            break
    function = key if function is None and not others else function
    if function is None or anatomy is None:
        return Activation(function=function)
    gated = bool(facts["gated"])
    gelu = "gelu" in function
    name = ("GeGLU" if gelu else _GATED.get(function)) if gated else ("GELU" if gelu else _PLAIN.get(function))
    return Activation(name or function, function, gated)


def _experts(anatomy: Family | None, settings: Settings) -> Experts | None:
    sizes = settings.dimensions
    count, used = sizes.get("experts"), sizes.get("experts_used")
    kinds = [kind for kind in anatomy.kinds if kind.role.startswith("expert.") and kind.shape] if anatomy else []
    layers = sum(settings.sparse) or max((times_of(kind, settings) for kind in kinds), default=0)
    if not count or used is None or not layers:
        return None
    return Experts(count, min(used, count), sizes.get("expert_intermediate"), layers)


def _counted(
    drawn: Architecture,
    anatomy: Family | None,
    settings: Settings,
    parts: Mapping[str, Parameters],
    tokens: int | None,
) -> Architecture:
    states = sum(one.numbers(1) for one in drawn.kept if one.kind == "state")
    first = drawn.kv_bytes(1)
    per_token = None if first is None else first - 2 * states
    context = drawn.context
    full = None if context is None else {bits: drawn.kv_bytes(context, int(bits)) for bits in ("16", "8")}
    drawn = replace(
        drawn,
        kv_bytes_per_token=per_token,
        state_bytes=2 * states or None,
        kv_bytes_full={bits: size for bits, size in (full or {}).items() if size is not None},
        attention_flops_per_token=_attention_flops(drawn, attention_of(anatomy, settings)),
        training_tokens=tokens,
    )
    parameters = None if anatomy is None else parts.get(TEXT) or count_parameters(anatomy, settings)
    if parameters is None or parameters.missing:
        return drawn
    attention = drawn.attention_flops_per_token
    return replace(
        drawn,
        parameters=parameters.total,
        active_parameters=parameters.active,
        parameters_ahead=parameters_ahead(anatomy, settings) if anatomy else None,
        parameters_by_role=parameters.by_role,
        weights_bytes={str(bits): (parameters.total * bits + 7) // 8 for bits in WIDTHS},
        flops_per_token=None if attention is None else 2 * _multiplied(parameters, settings) + attention,
        training_flops=None if tokens is None else 6 * parameters.active * tokens,
    )


def _remembering(drawn: Architecture, kept: tuple[Kept, ...]) -> Architecture:
    """What layers keep, and with it which of them look back a window only: at what they keep and at themselves."""
    windows = [one for one in kept if one.kind == "window" and one.window is not None]
    if not windows:
        return replace(drawn, kept=kept)
    window = max(one.window or 0 for one in windows) + 1
    layers = min(sum(one.layers for one in windows), drawn.layers or 0)
    return replace(drawn, kept=kept, window=window, windowed_layers=layers)


def _with_parts(drawn: Architecture, parts: Mapping[str, Parameters]) -> Architecture:
    """What the parts beside the language model hold, and the whole, where all of it could be counted."""
    if not parts or any(counted.missing for counted in parts.values()):
        return drawn
    totals = {name: counted.total for name, counted in parts.items() if counted.total}
    other = {
        f"{name}.{role}": size for name, one in parts.items() if name != TEXT for role, size in one.by_role.items()
    }
    return replace(drawn, parameters_by_part=totals, parameters_whole=sum(totals.values()), other_roles=other)


def _attention_flops(drawn: Architecture, looking: Looking) -> int | None:
    """2 FLOPs for each multiplication of scores and means, with the whole context behind the token."""
    if looking.per_token_work is None or drawn.layers is None or drawn.context is None:
        return None
    seen = drawn.context if drawn.window is None else min(drawn.window, drawn.context)
    whole = drawn.layers - drawn.windowed_layers
    if drawn.kept:  # layers that keep a state alone look back at nothing
        whole = min(whole, sum(one.layers for one in drawn.kept if one.kind == "token"))
    looked = whole * drawn.context + drawn.windowed_layers * seen
    return 2 * looking.per_token_work * looked


def _multiplied(parameters: Parameters, settings: Settings) -> int:
    """Parameters one token is multiplied with: not the tables it is looked up in, but a tied head all the same."""
    tables = sum(parameters.by_role.get(role, 0) for role in ("embedding", "embedding.position", "embedding.type"))
    reused = settings.holds("language_model") and settings.holds("tied")
    return parameters.active - tables + (parameters.by_role.get("embedding", 0) if reused else 0)


def _spoken_to(drawn: Architecture, documents: Mapping[str, Any]) -> Architecture:
    return replace(drawn, chat_template=chat_template(documents), special_tokens=special_tokens(documents))


def _reason(name: str, settings: Settings) -> str:
    """Why a number or a list is not known."""
    said = settings.reasons.get(name) or settings.reader.malformed.get(name)
    key = "block_configs" if name.startswith("block_") else name
    return said or (name if " " in name else note("config_unusable", key=key))


def _why(drawn: Architecture, anatomy: Family | None, settings: Settings, config: Mapping[str, Any]) -> dict[str, str]:
    fields = {name: reason for name, reason in settings.reasons.items() if name in Architecture.__dataclass_fields__}
    why = {name: reason for name, reason in fields.items() if getattr(drawn, name) is None}
    if anatomy is None:
        said = config.get("model_type")
        unknown = note("family_unknown", said=note("config_absent") if said is None else describe(said))
        lost = ("parameters", "norm", "parallel", "experts", "head_size", "kv_bytes_per_token", "flops_per_token")
        why |= {name: unknown for name in lost if name != "head_size" or drawn.head_size is None}
    elif drawn.parameters is None:
        missing = count_parameters(anatomy, settings).missing
        why["parameters"] = combined(dict.fromkeys(_reason(name, settings) for name in missing))
    elif isinstance(config.get("vision_config"), Mapping) and drawn.parameters_whole is None:
        why["parameters"] = note("parameters_of_text")
    if drawn.attention is None:
        why["attention"] = note("needs_heads")
    if drawn.kv_bytes_per_token is None and anatomy is not None:
        encoder = not anatomy.facts["attention"].get("cached", True) or kept_of(config, anatomy.name) == ()
        lacking = note("cache_unmeasured" if anatomy.measured else "needs_sizes")
        why["kv_bytes_per_token"] = note("cache_none") if encoder else lacking
    if drawn.flops_per_token is None and anatomy is not None:
        why["flops_per_token"] = note("needs_for_flops")
    if drawn.chat_template is None:
        why["chat_template"] = NO_FILES
    return why
