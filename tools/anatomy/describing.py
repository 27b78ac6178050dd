"""What was seen of a unit in, its anatomy out: rows of tensors with formulas and conditions, and their tables."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from building import Seen, Shape
from conditions import Row, Table, Words
from exploring import Explored, settled
from kaibo.models.anatomy.expressions import evaluate
from roles import role_of
from solving import number, solve

NOUNS: Mapping[str, tuple[str, ...]] = {
    "vocabulary": ("vocab_size",),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim", "embed_dim"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads"),
    "head_size": ("head_dim",),
    "intermediate": ("intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size", "mlp_hidden_size"),
    "context": ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length"),
    "experts": ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts", "num_routed_experts"),
    "experts_used": (
        "num_experts_per_tok",
        "num_experts_per_token",
        "moe_topk",
        "moe_k",
        "top_k_experts",
        "moe_top_k",
        "num_experts_per_topk",
    ),
    "expert_intermediate": ("moe_intermediate_size", "expert_ffn_hidden_size"),
}
PATTERN = re.compile(r"(^|\.)(\d+)(?=\.|$)")
Cells = dict[int | None, tuple[Shape, int]]
Where = Callable[[Seen, "Cells"], Iterable[int | None]]


@dataclass
class Anatomy:
    """The rows and tables of a family; `problems` names what could not be told."""

    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    dimensions: dict[str, list[Any]] = field(default_factory=dict)
    flags: dict[str, list[Any]] = field(default_factory=dict)
    lists: dict[str, list[list[str]]] = field(default_factory=dict)
    stacks: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    nouns: dict[str, str] = field(default_factory=dict)


class Describer:
    """Describes one unit; `own` says which tensors are its own and not those of a part."""

    def __init__(self, explored: Explored, own: Callable[[str], bool]) -> None:
        self.explored, self.own = explored, own
        self.out = Anatomy()
        self.all = explored.all
        self.stacks = stacks_in(self.all, own)
        self.cells = [self._collapse(seen) for seen in self.all]
        self.index = {id(seen): n for n, seen in enumerate(self.all)}
        self.nouns = self.out.nouns = self._named()
        numeric = [n for n in explored.single if not isinstance(explored.fields.get(n), bool | str)]
        self.numeric = [n for n in numeric if number(self._value(explored.base, n)) is not None]
        self.flags = [n for n, v in explored.fields.items() if isinstance(v, bool) and self._varies(n)]
        self.after = [{n: self._value(s, n) for n in explored.fields} | dict(s.after) for s in self.all]
        self.words = self._words()
        self.tables: dict[str | None, tuple[Table, dict[tuple[int, int | None], int]]] = {}
        self.solved: dict[Any, str | None] = {}
        self.numbers = {id(s): self._numbers(s) for s in self.all}
        self.used: set[str] = set()
        self.used_lists: set[str] = set()

    def describe(self) -> Anatomy:
        """All rows, and the tables that they need."""
        counts: dict[str, str] = {}
        for stack in sorted(self.stacks):
            counts[stack] = self._count(stack)
        patterns = list(dict.fromkeys(p for cells in self.cells for p in cells))
        buffers = self._buffers()
        self.cache: list[list[str]] | None = None
        for pattern in sorted(patterns, key=lambda p: (self._order(p), p)):
            stack = _stack_of(pattern)
            role = role_of(pattern, buffer=pattern in buffers)
            count = counts.get(stack, "") if stack is not None else ""
            for shape, condition, where in self._groups(pattern):
                for formulas, more in self._sizes(pattern, where, shape):
                    self.out.rows.append((pattern, role, " ".join(formulas), f"{condition} {more}".strip(), count))
        return self.out

    def _sizes(self, pattern: str, where: Where, shape: Shape) -> Iterator[tuple[list[str], str]]:
        """The formulas of a shape; where one cannot be told, apart by a flag that tells it."""
        before = list(self.out.problems)
        whole = [self._axis(pattern, where, axis, size) for axis, size in enumerate(shape)]
        problems, self.out.problems = self.out.problems, list(before)
        if len(problems) == len(before):
            yield whole, ""
            return
        for flag in self.flags:
            halves = [
                [self._axis(pattern, self._only(where, flag, value), n, size) for n, size in enumerate(shape)]
                for value in (True, False)
            ]
            if len(self.out.problems) == len(before):
                self.used.add(flag)
                yield halves[0], flag
                yield halves[1], f"!{flag}"
                return
            self.out.problems = list(before)
        self.out.problems = problems
        yield whole, ""

    def _only(self, where: Where, flag: str, value: bool) -> Where:
        return lambda seen, held: where(seen, held) if bool(self._value(seen, flag)) is value else ()

    def finish(self) -> Anatomy:
        """The tables that the rows and the cache need."""
        self._tables()
        return self.out

    def _order(self, pattern: str) -> int:
        return 1 if "{layer}" in pattern else 0 if "embed" in pattern or "wte" in pattern else 2

    def _collapse(self, seen: Seen) -> dict[str, Cells]:
        found: dict[str, Cells] = {}
        for name, shape in seen.tensors.items():
            if not self.own(name):
                continue
            pattern, layer, expert = collapsed(name, self.stacks)
            cells = found.setdefault(pattern, {})
            known = cells.get(layer, (shape, 0))
            cells[layer] = (shape, max(known[1], 0 if expert is None else expert + 1))
        return found

    def _named(self) -> dict[str, str]:
        """Field → the noun that formulas use for it; a nested field keeps its path."""
        alias = {own: standard for standard, own in self.explored.unit.config.attribute_map.items()}
        found: dict[str, str] = {}
        for name in self.explored.fields:
            wanted = {name, alias.get(name, name)}
            noun = next(
                (noun for noun, keys in NOUNS.items() if wanted & set(keys) and noun not in found.values()), None
            )
            found[name] = noun or re.sub(r"[^a-z0-9_.]", "_", name.lower())
        return found

    def _value(self, seen: Seen, name: str) -> Any:
        return self._value_in(seen.given, seen.after, name)

    def _value_in(self, given: Mapping[str, Any], after: Mapping[str, Any], name: str) -> Any:
        value = after.get(name)
        return (
            value if value is not None else given.get(name, None if name in after else self.explored.fields.get(name))
        )

    def _varies(self, name: str) -> bool:
        return len({bool(self._value(seen, name)) for seen in self.all}) > 1

    def _buffers(self) -> set[str]:
        return {collapsed(name, self.stacks)[0] for seen in self.all for name in seen.buffers}

    # -- how many layers a stack has

    def _count(self, stack: str) -> str:
        points = []
        relevant: set[str] = set()
        base = self._size(self.explored.base, stack)
        for seen in self.all:
            size = self._size(seen, stack)
            if size:
                points.append((self.numbers[id(seen)], size))
        for name in self.numeric:
            if any(
                self._size(seen, stack) != base and self._size(seen, stack)
                for seen in self.explored.single.get(name, ())
            ):
                relevant.add(name)
        found = solve(points, sorted(relevant))
        if found is None:
            lists = self._list_length(stack)
            if lists is None:
                self.out.problems.append(f"{stack}: the number of its layers")
            return lists or str(base)
        self.used |= self._names_in(found)
        return self._said(found)

    def _list_length(self, stack: str) -> str | None:
        names = [n for n, v in self.explored.base.after.items() if isinstance(v, list)]
        for name in names:
            sizes = [
                (len(seen.after[name]) if isinstance(seen.after.get(name), list) else -1, self._size(seen, stack))
                for seen in self.all
            ]
            if all(length == size for length, size in sizes if size):
                self.out.dimensions[f"length_{name}"] = [f"#{name}", *([len(self.explored.base.after[name])])]
                return f"length_{name}"
        return None

    def _size(self, seen: Seen, stack: str) -> int:
        cells = self.cells[self.index[id(seen)]]
        held = [layer for p, c in cells.items() if _stack_of(p) == stack for layer in c if layer is not None]
        return max(held, default=-1) + 1

    # -- when a tensor is there

    def _words(self) -> Words:
        fields = self.explored.fields
        base = self.explored.base.after
        lists = [
            n for n, v in base.items() if isinstance(v, list) and v and all(isinstance(i, str | int | bool) for i in v)
        ]
        lists.sort(key=lambda n: (n not in fields, n not in ("layer_types", "mlp_layer_types"), n))
        return Words(
            flags=self.flags,
            numbers=[
                n
                for n in fields
                if any(self._is_nought(seen, n) for seen in self.all)
                and any(not self._is_nought(seen, n) for seen in self.all)
                and not isinstance(fields[n], bool | str)
            ],
            texts=[
                n for n, v in fields.items() if isinstance(v, str) and len({self._value(s, n) for s in self.all}) > 1
            ],
            lists=[n for n in lists if not n.startswith("rope")],
            members=[
                n
                for n, v in fields.items()
                if any(isinstance(s.after.get(n), list) and all(type(i) is int for i in s.after[n]) for s in self.all)
            ],
            rules=[
                n
                for n, v in fields.items()
                if type(self._value(self.explored.base, n)) is int
                and re.search(
                    r"interval|period|step|every|offset|first|start|dense|freq|pattern|skip|begin|num_kv_shared|full_attn|predict",
                    n,
                )
                and not isinstance(v, bool)
            ],
            pairs=[
                (n, other)
                for n, other in itertools.combinations(self.numeric, 2)
                if "." not in n + other
                and re.search(r"_size|_dim", n)
                and re.search(r"_size|_dim|d_model|n_embd", other)
                if len({self._value(s, n) == self._value(s, other) for s in self.all}) > 1
            ],
        )

    def _is_nought(self, seen: Seen, name: str) -> bool:
        value = self._value(seen, name)
        return value is None or value == 0

    def _table(self, stack: str | None) -> tuple[Table, dict[tuple[int, int | None], int]]:
        """The rows of a stack (None: of everything outside the layers), and where each (config, layer) is in them."""
        if stack not in self.tables:
            rows, where = [], {}
            for n, seen in enumerate(self.all):
                size = 0 if stack is None else self._size(seen, stack)
                for layer in [None] if stack is None else range(size):
                    where[n, layer] = len(rows)
                    rows.append(Row(self.after[n], layer, size))
            self.tables[stack] = Table(rows, self.words), where
        return self.tables[stack]

    def _tell(self, pattern: str, shape: Shape | None, among: set[Shape]) -> str:
        table, where = self._table(_stack_of(pattern))
        there, asked = np.zeros(len(table.rows), bool), np.zeros(len(table.rows), bool)
        for (n, layer), row in where.items():
            held = self.cells[n].get(pattern, {})
            shapes = {cell[0] for cell in held.values()}
            # a size that changed to another of the set says nothing of where each is
            asked[row] = shape is None or shapes == among or (shapes <= among and self._is_structural(self.all[n]))
            there[row] = layer in held and (shape is None or held[layer][0] == shape)
        found = table.tell(there, asked)
        if found is None:
            self.out.problems.append(f"{pattern}: when it is there")
            return ""
        return self._renamed_condition(found)

    def _groups(self, pattern: str) -> list[tuple[Shape, str, Callable[[Seen, Cells], Iterable[int | None]]]]:
        """The shapes that a tensor has in one model, each with the condition of the layers that have it."""
        most = max(
            (cells.get(pattern, {}) for cells in self._plain(pattern)),
            key=lambda held: len({c[0] for c in held.values()}),
        )
        shapes = list(dict.fromkeys(cell[0] for cell in most.values()))
        if len(shapes) == 1:
            return [(shapes[0], self._tell(pattern, None, set()), lambda seen, held: held)]
        told = [(shape, self._tell(pattern, shape, set(shapes))) for shape in shapes]
        return [(shape, condition, self._where(condition)) for shape, condition in told]

    def _plain(self, pattern: str) -> list[dict[str, Cells]]:
        """What was seen of a tensor, the base first, then where only lists, flags and the number of layers differ."""
        quiet = [c for seen, c in zip(self.all, self.cells, strict=True) if pattern in c and self._is_structural(seen)]
        return quiet or [c for c in self.cells if pattern in c]

    def _is_structural(self, seen: Seen) -> bool:
        base = self.explored.base.given
        changed = {n for n, v in seen.given.items() if base.get(n, self.explored.fields.get(n)) != v}
        return all(isinstance(seen.given[n], list | bool) or re.search(r"layers$|n_layer$|depth$", n) for n in changed)

    def _where(self, condition: str) -> Callable[[Seen, Cells], Iterable[int | None]]:
        def there(seen: Seen, held: Cells) -> Iterable[int | None]:
            after = self.after[self.index[id(seen)]]
            return [
                layer
                for layer in held
                if holds(condition, after, layer, max((i for i in held if i is not None), default=0) + 1)
            ]

        return there

    def _renamed_condition(self, text: str) -> str:
        for name in self._names_in(text):
            self.used.add(name)
        for name in re.findall(r"[a-z_][a-z0-9_.]*", text):
            if isinstance(self.explored.base.after.get(name), list) or any(
                isinstance(s.after.get(name), list) for s in self.all
            ):
                self.used_lists.add(name)
        return text

    # -- how large it is

    def _axis(self, pattern: str, where: Callable[[Seen, Cells], Iterable[int | None]], axis: int, size: int) -> str:
        points, values = [], {}
        for seen, cells in zip(self.all, self.cells, strict=True):
            held = cells.get(pattern, {})
            layers = list(where(seen, held))
            sizes = {held[layer][0][axis] for layer in layers if len(held[layer][0]) > axis}
            if len(sizes) == 1:
                value = sizes.pop()
                points.append((self.numbers[id(seen)], value))
                values[id(seen)] = value
        if not points:
            self.out.problems.append(f"{pattern}: axis {axis} is not one size")
            return str(size)
        found = self._solved(points, values)
        if found is None:
            self.out.problems.append(f"{pattern}: axis {axis} ({size})")
            return str(size)
        self.used |= self._names_in(found)
        return self._said(found)

    def _solved(self, points: list[Any], values: dict[int, int]) -> str | None:
        key = tuple(values.items())
        if key not in self.solved:
            self.solved[key] = self._tried(points, values)
        return self.solved[key]

    def _tried(self, points: list[Any], values: dict[int, int]) -> str | None:
        """The formula in the fields that a single change shows to matter, else in any one or two."""
        known = {*self.numeric, *self.flags}
        relevant = {
            name
            for name, seen, beside in self.explored.pairs
            if name in known
            and values.get(id(seen), 0) != values.get(id(beside), values.get(id(seen), 0))
            and id(seen) in values
        }
        if (found := solve(points, sorted(relevant))) is not None:
            return found
        if (found := self._or_else(points, sorted(relevant))) is not None:
            return found
        if len({value for _, value in points}) == 1:
            return str(points[0][1])
        names = sorted(self.numeric, key=lambda n: ("." in n, self.nouns[n] == n, n))[:14]
        for size in (1, 2):
            for chosen in itertools.combinations(names, size):
                if (found := solve(points, list(chosen))) is not None and not found.isdigit():
                    return found
        return None

    def _or_else(self, points: list[Any], relevant: list[str]) -> str | None:
        """The same where null stands for another field; nought says nothing where it stands for something else."""
        empty = [n for n in relevant if any(not numbers.get(n) for numbers, _ in points)]
        full = [(numbers, value) for numbers, value in points if all(numbers.get(n) for n in empty)]
        found = solve(full, relevant) if empty and full else None
        if found is None or len(full) == len(points):
            return None
        left = [(numbers, value) for numbers, value in points if not all(numbers.get(n) for n in empty)]
        for name in (n for n in empty if n in self.explored.absent):
            for other in (n for n in self.numeric if self.nouns[n] in NOUNS):
                stood = [
                    ({**numbers, name: numbers.get(name) or numbers.get(other, 0)}, value) for numbers, value in left
                ]
                if len({value for _, value in stood}) >= 1 and all(self._gives(found, *one) for one in stood):
                    return re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.])", self._standing(name, other), found)
        return found if all(n not in self.explored.absent for n in empty) else None

    def _gives(self, formula: str, numbers: Mapping[str, float], value: int) -> bool:
        return evaluate(formula, {n: int(v) for n, v in numbers.items()}) == value

    def _standing(self, name: str, other: str) -> str:
        """A number of its own for a field that stands for another where it is null."""
        noun = f"{self.nouns[name]}_or_{self.nouns[other]}"
        self.out.dimensions[noun] = [*self._keys(name), f"={self.nouns[other]}"]
        self.used.add(other)
        return noun

    def _numbers(self, seen: Seen) -> dict[str, float]:
        return self._numbers_in({name: self._value(seen, name) for name in [*self.numeric, *self.flags]})

    def _numbers_in(self, known: Mapping[str, Any]) -> dict[str, float]:
        numbers = {name: number(known.get(name)) for name in [*self.numeric, *self.flags]}
        return {name: value for name, value in numbers.items() if value is not None}

    def _names_in(self, formula: str) -> set[str]:
        return {n for n in re.findall(r"[a-zA-Z_][\w.]*", formula) if n in self.explored.fields}

    def _said(self, formula: str) -> str:
        """The formula in nouns."""
        return re.sub(r"[a-zA-Z_][\w.]*", lambda match: self.nouns.get(match[0], match[0]), formula)

    # -- where the config keeps it all

    def _tables(self) -> None:
        fields = self.explored.fields
        lists: set[str] = set()
        while left := sorted(self.used_lists - lists):  # a list may be told by another
            lists.add(left[0])
            self._list(left[0])
        for name, told in self.out.lists.items():
            self.out.lists[name] = [[value, self._condition_in_nouns(rule)] for value, rule in told]
        rows = []
        for pattern, role, shape, condition, count in self.out.rows:
            rows.append((pattern, role, shape, self._condition_in_nouns(condition), count))
        self.out.rows = rows
        always = [n for n in fields if self.nouns[n] in NOUNS and "." not in n]
        for name in sorted({*self.used, *always}, key=lambda n: list(fields).index(n) if n in fields else 999):
            if name not in fields or name in lists:
                continue
            value = fields[name]
            if isinstance(value, bool) or (value is None and name in self.flags):
                self.out.flags[self.nouns[name]] = [*self._keys(name), bool(value)]
            elif isinstance(value, str):
                continue
            else:
                nulled = any(name in s.given and s.given[name] is None and s.after.get(name) is None for s in self.all)
                null = ["null:0"] if nulled and value is not None else []
                if (
                    value
                    and not null
                    and self.nouns[name] not in {"layers", "context", *(row[4] for row in self.out.rows)}
                    and any(type(self._value(s, name)) is int and not self._value(s, name) for s in self.all)
                ):
                    null = ["0+"]  # none of it is a number, too
                self.out.dimensions[self.nouns[name]] = [*self._keys(name), *null, *self._default(name, value)]

    def _keys(self, name: str) -> list[str]:
        alias = self.explored.unit.config.attribute_map
        path, _, last = name.rpartition(".")
        if path:
            return [name]
        others = [standard for standard, own in alias.items() if own == last]
        return [name, *others, *([alias[last]] if last in alias else [])]

    def _default(self, name: str, value: Any) -> list[Any]:
        if isinstance(value, int | float):
            return [value]
        rule = self._rule(name)
        return [rule] if rule is not None else [0]

    def _rule(self, name: str) -> str | None:
        """What stands for a number that is null, as a formula of others."""
        given = {k: v for k, v in self.explored.base.given.items() if k != name}
        start = settled(self.explored.unit, given)
        if start is None:
            return None
        if type(start.get(name)) is not int:
            return self._quiet_rule(name, given)
        points, relevant = [({n: number(start.get(n)) for n in self.numeric}, start[name])], []
        for other in self.numeric:
            if other == name:
                continue
            for seen in self.explored.single.get(other, ())[:2]:
                after = settled(self.explored.unit, {**given, other: seen.given[other]})
                if after is None or type(after.get(name)) is not int:
                    continue
                points.append(({n: number(after.get(n)) for n in self.numeric}, after[name]))
                if after[name] != start[name]:
                    relevant.append(other)
        relevant = list(dict.fromkeys(relevant))
        found = solve(points, relevant)
        if found is None:
            self.out.problems.append(f"{name}: what stands for null")
            return None
        self._also(found)
        return f"={self._said(found)}"

    def _quiet_rule(self, name: str, given: Mapping[str, Any]) -> str | None:
        """The same where only the modelling code knows: a guess that made the very same tensors."""
        absent, base = self.explored.absent.get(name), self.explored.base
        noun = self.nouns[name]
        if absent is None or absent.tensors != base.tensors:
            return None
        back = {v: k for k, v in self.nouns.items()}
        for formula in ("hidden/heads", "heads", "4*hidden", "hidden"):
            if noun in formula:
                continue
            needed = re.findall(r"[a-z]+", formula)
            if all(n in back for n in needed):
                numbers = {n: number(self._value(base, back[n])) or 1 for n in needed}
                if eval(formula.replace("/", "//"), {}, numbers) == base.given.get(name):
                    self.used |= {back[n] for n in needed}
                    return f"={formula}"
        return None

    def _also(self, formula: str) -> None:
        """Fields that only a default needs are fields of the family too."""
        for name in self._names_in(formula):
            if self.nouns[name] not in self.out.dimensions and name not in self.used:
                self.used.add(name)
                value = self.explored.fields[name]
                if not isinstance(value, bool | str):
                    self.out.dimensions[self.nouns[name]] = [
                        *self._keys(name),
                        *([value] if isinstance(value, int | float) else [0]),
                    ]

    def _list(self, name: str) -> None:
        """What a list with an entry a layer holds where the config does not give it."""
        fields = self.explored.fields
        seen = [s for s in self.all if not isinstance(s.given.get(name), list) and isinstance(s.after.get(name), list)]
        values = list(dict.fromkeys(v for s in seen for v in s.after[name] if isinstance(v, str | int | bool)))
        values.sort(key=lambda v: sum(s.after[name].count(v) for s in seen))
        if (
            fields.get(name) is not None
            and isinstance(fields[name], list)
            and not all(isinstance(v, str) for v in values)
        ):
            return
        if any(f"layer~{name}" in row[3] for row in self.out.rows):
            self._members_of(name, seen)
            return
        said = [row[3] for row in self.out.rows] + [rule for rows in self.out.lists.values() for _, rule in rows]
        if not values or (
            all(type(v) is int for v in values) and not any(f"{name}=" in one or f"{name}!=" in one for one in said)
        ):
            return
        index = [
            (self.after[self.index[id(s)]], i, len(s.after[name]), s.after[name][i])
            for s in seen
            for i in range(len(s.after[name]))
        ]
        others = [n for n in self.words.lists if n != name and n in fields and n not in self.out.lists]
        for lists in ([], others):
            told = self._entries(name, values, index, Words(**{**vars(self.words), "lists": lists}))
            if told is not None:
                self.out.lists[name] = told
                return
        self.out.problems.append(f"{name}: which layers are {values[0]}")

    def _entries(self, name: str, values: list[Any], index: list[Any], words: Words) -> list[list[str]] | None:
        """A condition for each entry of a list, the last for all that is left."""
        table = Table([Row(after, i, size) for after, i, size, _ in index], words)
        told: list[list[str]] = []
        for value in values[:-1]:
            condition = table.tell(np.array([v == value for *_, v in index]))
            if condition is None:
                return None
            told.append([str(value), self._renamed_condition(condition)])
        return [*told, [str(values[-1]), ""]] if values else None

    def _members_of(self, name: str, seen: list[Seen]) -> None:
        """Which layers a list names where the config does not give it."""
        sizes = [len(s.after[name]) for s in seen]
        depth = next((n for n in self.explored.fields if self.nouns[n] == "layers"), None)
        if not any(sizes) or depth is None:
            return
        words = Words(self.words.flags, self.words.numbers, self.words.texts, [], [], self.words.rules)
        index = [(s, i) for s in seen for i in range(int(self._value(s, depth)))]
        table = Table([Row(self.after[self.index[id(s)]], i, int(self._value(s, depth))) for s, i in index], words)
        condition = table.tell(np.array([i in s.after[name] for s, i in index]))
        if condition is None:
            self.out.problems.append(f"{name}: which layers it names")
            return
        self.used |= self._names_in(condition)
        self.out.lists[name] = [["in", condition]]

    def _condition_in_nouns(self, condition: str) -> str:
        return in_nouns(condition, self.nouns)


def in_nouns(condition: str, nouns: Mapping[str, str]) -> str:
    """A condition with nouns for fields; the values of a list stay as they are."""

    def one(term: str) -> str:
        if re.fullmatch(r"(!?)([\w.]+)(!?=)(.*)", term) and not term.startswith("("):
            return term
        return re.sub(
            r"[a-zA-Z_][\w.]*", lambda m: nouns.get(m[0], m[0]) if m[0] not in ("layer", "layers") else m[0], term
        )

    return " ".join("|".join(one(part) for part in term.split("|")) for term in condition.split())


def holds(condition: str, after: Mapping[str, Any], layer: int | None, layers: int) -> bool:
    """Whether a condition of the generator's own holds, by the words that made it."""
    return all(any(_term(part, after, layer, layers) for part in term.split("|")) for term in condition.split())


def _term(term: str, after: Mapping[str, Any], layer: int | None, layers: int) -> bool:
    if match := re.fullmatch(r"\(layer\+1-([\w.]+)\)%([\w.]+)(!?)=0", term):
        offset, every = (int(after.get(v) or 0) for v in match.groups()[:2])
        return (every > 0 and max(layer + 1 - offset, 0) % every == 0) is not bool(match[3])
    if match := re.fullmatch(r"\(layer([+-])([\w.]+)\)%([\w.]+)(!?)=0", term):
        sign, shift, step, negated = match.groups()
        offset, every = (int(v) if v.isdigit() else int(after.get(v) or 0) for v in (shift, step))
        if sign == "-":
            return (every > 0 and layer % every == offset) is not bool(negated)
        return (every > 0 and (layer + offset) % every == 0) is not bool(negated)
    if match := re.fullmatch(r"layer(<|>=)(layers-)?([\w.]+)", term):
        bound = int(match[3]) if match[3].isdigit() else int(after.get(match[3]) or 0)
        bound = layers - bound if match[2] else bound
        return (layer < bound) is (match[1] == "<")
    if match := re.fullmatch(r"(!?)layer~([\w.]+)", term):
        held = after.get(match[2])
        return (isinstance(held, list) and layer in held) is not bool(match[1])
    if match := re.fullmatch(r"([\w.]+)<>([\w.]+)", term):
        return after.get(match[1]) != after.get(match[2])
    if match := re.fullmatch(r"([\w.]+)(!?)=(.*)", term):
        held = after.get(match[1])
        if isinstance(held, list):
            held = held[layer] if layer is not None and layer < len(held) else None
        return (str(held) in match[3].split(",")) is not bool(match[2])
    negated = term.startswith("!")
    value = after.get(term.lstrip("!"))
    return bool(value) is not negated


def stacks_in(all_seen: list[Seen], own: Callable[[str], bool]) -> set[str]:
    """The paths whose numbers are those of layers: how many there are changes with the config."""
    found: set[str] = set()
    for _ in range(3):
        sizes: dict[str, set[int]] = {}
        for seen in all_seen:
            here: dict[str, int] = {}
            for name in seen.tensors:
                if not own(name):
                    continue
                for match in PATTERN.finditer(name):
                    before = name[: match.start()]
                    if before.endswith("experts"):
                        break
                    here[before] = max(here.get(before, 0), int(match[2]) + 1)
                    if before in found:
                        break
            for path, size in here.items():
                sizes.setdefault(path, set()).add(size)
        more = {path for path, seen_sizes in sizes.items() if len(seen_sizes) > 1} - found
        more = {p for p in more if not any(p != q and p.startswith(q + ".") for q in more | found)}
        if not more:
            break
        found |= more
    return found


def collapsed(name: str, stacks: set[str]) -> tuple[str, int | None, int | None]:
    """A name with `{layer}` and `{expert}` for its numbers, and these."""
    parts, layer, expert = name.split("."), None, None
    for n, part in enumerate(parts):
        if not part.isdigit():
            continue
        if layer is None and ".".join(name.split(".")[:n]) in stacks:
            layer, parts[n] = int(part), "{layer}"
        elif n and parts[n - 1] == "experts":
            expert, parts[n] = int(part), "{expert}"
    return ".".join(parts), layer, expert


def _stack_of(pattern: str) -> str | None:
    head, found, _ = pattern.partition(".{layer}")
    return head if found else ("" if pattern.startswith("{layer}") else None)
