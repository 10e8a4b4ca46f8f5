"""A stack of residual blocks over events, each with a memory of what came before.

A block adds what its memory recalls to the stream of numbers that runs through all blocks, then
what a gated feed-forward layer makes of the stream. The memory is one of two kinds:

- ``d``, the gated delta rule (Yang, Kautz & Hatamizadeh 2025, "Gated Delta Networks"): a matrix in
  each head that maps keys to values. Each event fades it a little, corrects what it holds for the
  event's key, and reads it. It never grows, however long the piece.
- ``a``, attention (Vaswani et al. 2017) as far back as a window reaches, with rotary positions (Su
  et al. 2021).

A pattern such as ``"ddda"`` names the kinds from the first block to the last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from espressivo.codes import FILL_NUMBERS
from espressivo.networks.recurrent import Sides, State
from espressivo.numeric import Range, fields_within

__all__ = ["EPSILON", "TAPS", "Stack", "StackConfig", "hidden_matrices", "named_hidden", "rotation"]

TAPS = 4
"""Events that the short convolution before the delta rule sees."""

EPSILON = 1e-5
"""What is added to a mean square before its root divides."""

_CHUNK = 64  # events that the delta rule takes at once; the result does not depend on it

_RANGES: dict[str, Range] = {
    "width": {"least": 2, "whole": True},
    "heads": {"least": 1, "whole": True},
    "window": {"least": 1, "whole": True},
    "expansion": {"above": 0},
    "controls": {"least": 0, "whole": True},
    "dropout": {"least": 0, "below": 1},
    "rank": {"least": 0, "whole": True},
}


@dataclass(frozen=True)
class StackConfig:
    """Sizes of a stack.

    Parameters
    ----------
    pattern : str
        Kind of each block's memory, ``d`` or ``a``, from the first block to the last.
    width : int
        Numbers in the stream; each head has an even share of them.
    heads : int
    window : int
        Events before the present one that attention sees.
    expansion : float
        Width of the feed-forward layers over `width`.
    controls : int
        Numbers that steer the network, as `espressivo.codes` makes them; 0 for none.
    notewise : bool
        Whether it reads the events of a note-wise vocabulary, as `espressivo.networks.Notewise`
        does.
    dropout : float
        Share of each block's two contributions dropped in training.
    pointers : bool
        Whether it reads pointers (`espressivo.codes.Pointers`), as a note-wise one can.
    style : bool
        Whether what the memories of ``d`` blocks hold at first is learned, else they are empty, and
        beside every vector what is added to it (`espressivo.networks.changes`).
    fill : bool
        Whether it reads quotes and where the music stands in a gap (`espressivo.codes.quote`), as a
        note-wise one can.
    rank : int
        Of the matrices that are learned beside those between layers, and added to them (LoRA); 0
        for none.
    """

    pattern: str = "dddd"
    width: int = 256
    heads: int = 4
    window: int = 256
    expansion: float = 2.0
    controls: int = 0
    dropout: float = 0.0
    notewise: bool = False
    pointers: bool = False
    style: bool = False
    fill: bool = False
    rank: int = 0

    def __post_init__(self) -> None:
        if not self.pattern or set(self.pattern) - set("da"):
            raise ValueError(f"pattern must be made of 'd' and 'a', not {self.pattern!r}")
        if problems := fields_within(self, _RANGES):
            raise ValueError("; ".join(problems))
        if self.width % (2 * self.heads):
            raise ValueError("width must be a multiple of twice the heads")
        if self.pointers and not self.notewise:
            raise ValueError("pointers need a note-wise network")
        if self.fill and not self.notewise:
            raise ValueError("filling needs a note-wise network")
        if self.style and "d" not in self.pattern:
            raise ValueError("a style needs a block d")
        if self.style and self.rank:
            raise ValueError("a style is learned without low ranks")

    @property
    def sides(self) -> tuple[str, ...]:
        """Names of what it reads beside the events, as `Sides` has them."""
        read = {"controls": self.controls > 0, "pointers": self.pointers, "fill": self.fill}
        return tuple(name for name, reads in read.items() if reads)

    @property
    def inner(self) -> int:
        """Width of the feed-forward layers."""
        return round(self.width * self.expansion)


class Stack(nn.Module):
    """A language model over the ids of a vocabulary; see the module.

    Its state holds, for the ``d`` blocks, the memories (layers, B, heads, D, D) and the last
    inputs (layers, B, 3, width); for the ``a`` blocks, keys and values (layers, B, window, width),
    the newest last, and the number of them that are real (1, B, 1).

    Parameters
    ----------
    config : StackConfig
    size : int
        Number of ids. One past the last, `size` itself, stands for "no event yet".
    """

    def __init__(self, config: StackConfig, size: int) -> None:
        super().__init__()
        self.config, self.size = config, size
        self.embedding = nn.Embedding(size + 1, config.width)
        if config.controls:
            self.controls = nn.Linear(config.controls, config.width, bias=False)
        if config.fill:
            each = len(config.pattern) * config.width  # what each block's stream gains
            self.fill = nn.Linear(FILL_NUMBERS, each, bias=False)
            nn.init.zeros_(self.fill.weight)
        self.blocks = nn.ModuleList(_Block(kind, config) for kind in config.pattern)
        self.norm = nn.RMSNorm(config.width, eps=EPSILON)
        self.output = nn.Linear(config.width, size)
        if config.style:
            self.style = _Style(config)
        self._initialise()

    def _initialise(self) -> None:
        """Draw weights so that the stream keeps its size however many blocks there are."""
        deep = math.sqrt(2 * len(self.blocks))
        nn.init.normal_(self.embedding.weight, std=0.7)
        for name, weight in named_hidden(self):
            ends = name.endswith(("memory.output.weight", "narrow.weight"))
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5 / (deep if ends else 1))
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def initial_state(self, rows: int) -> State:
        """Return the state before any event: zeros, and a style's memories if there is one."""
        c, zeros = self.config, self.output.weight.new_zeros
        deltas, attentions = c.pattern.count("d"), c.pattern.count("a")
        each = c.width // c.heads
        state: State = ()
        if deltas:
            empty = zeros(deltas, rows, c.heads, each, each)
            state += (
                empty + self.style.memories[:, None] if c.style else empty,
                zeros(deltas, rows, TAPS - 1, c.width),
            )
        if attentions:
            cache = zeros(attentions, rows, c.window, c.width)
            state += (cache, cache.clone(), zeros(1, rows, 1))
        return state

    def forward(
        self, inputs: Tensor, state: State | None = None, sides: Sides | None = None
    ) -> tuple[Tensor, State]:
        """Read sequences and predict after each event.

        Parameters
        ----------
        inputs : int64 tensor, (T, B)
        state : State, optional
            As left by earlier events; before any by default.
        sides : Sides, optional
            What it reads beside the events: "controls", (T, B, controls), is what is requested of
            the events predicted, and "fill", (T, B, numbers), what `espressivo.codes.fill_numbers`
            makes of the events read; nothing by default.

        Returns
        -------
        logits : tensor, (T, B, size)
        state : State
            After the last event.
        """
        made, after = self.recall(self.embedding(inputs), state, sides)
        return self.output(made), after

    def recall(self, x: Tensor, state: State | None, sides: Sides | None) -> tuple[Tensor, State]:
        """Let the blocks read embeddings, (T, B, width); return what they make of them, alike."""
        if state is None:
            state = self.initial_state(x.shape[1])
        x = x.transpose(0, 1)  # (B, T, width)
        length = x.shape[1]
        if sides and "controls" in sides:
            x = x + self.controls(sides["controls"].transpose(0, 1))
        deltas = zip(*state[:2], strict=True) if "d" in self.config.pattern else iter(())
        caches = zip(*state[-3:-1], strict=True) if "a" in self.config.pattern else iter(())
        after_d, after_a = [], []
        told: tuple[Tensor | float, ...] = (0.0,) * len(self.blocks)
        if sides and "fill" in sides:
            told = self.fill(sides["fill"].transpose(0, 1)).chunk(len(self.blocks), -1)
        for kind, block, more in zip(self.config.pattern, self.blocks, told, strict=True):
            x = x + more
            if kind == "d":
                x, after = block(x, *next(deltas))
                after_d.append(after)
            else:
                x, after = block(x, *next(caches), state[-1][0])
                after_a.append(after)
        new = [torch.stack(p) for after in (after_d, after_a) for p in zip(*after, strict=True)]
        if after_a:
            new.append((state[-1] + length).clamp(max=self.config.window))
        return self.norm(x).transpose(0, 1), tuple(new)


def hidden_matrices(network: nn.Module) -> list[Tensor]:
    """Return the matrices between layers, which the optimizer Muon is made for."""
    return [weight for _, weight in named_hidden(network)]


def named_hidden(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and the weight of each of `hidden_matrices`."""
    for name, weight in network.named_parameters():
        if name.startswith("heads.") and name.endswith("weight"):
            yield name, weight
        if name.startswith("blocks.") and name.endswith(
            ("project.weight", "output.weight", "widen.weight", "narrow.weight")
        ):
            yield name, weight


class _Style(nn.Module):
    """What the memories of the ``d`` blocks hold at first, (blocks, heads, D, D)."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        each = config.width // config.heads
        shape = config.pattern.count("d"), config.heads, each, each
        self.memories = nn.Parameter(torch.zeros(shape))


class _Block(nn.Module):
    def __init__(self, kind: str, config: StackConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.norm_memory = nn.RMSNorm(config.width, eps=EPSILON)
        self.memory = {"d": _Delta, "a": _Attention}[kind](config)
        self.norm = nn.RMSNorm(config.width, eps=EPSILON)
        self.widen = nn.Linear(config.width, 2 * config.inner, bias=False)
        self.narrow = nn.Linear(config.inner, config.width, bias=False)

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, State]:
        recalled, after = self.memory(self.norm_memory(x), *state)
        x = x + functional.dropout(recalled, self.dropout, self.training)
        gate, up = self.widen(self.norm(x)).chunk(2, -1)
        made = self.narrow(functional.silu(gate) * up)
        return x + functional.dropout(made, self.dropout, self.training), after


class _Delta(nn.Module):
    """Memory by the gated delta rule.

    With key k, value v, query q (k and q of unit length), fading a and rate b, both within 0..1:
    ``S <- a S``, then ``S <- S + b k (v - S'k)'``, and ``S'q`` is recalled.
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.heads, self.size = config.heads, config.width // config.heads
        width = config.width
        self.taps = nn.Parameter(torch.randn(TAPS, width) / 2)
        self.project = nn.Linear(width, 4 * width, bias=False)  # q, k, v, gate
        self.rates = nn.Linear(width, 2 * self.heads)
        self.norm = nn.RMSNorm(self.size, eps=EPSILON)
        self.output = nn.Linear(width, width, bias=False)
        with torch.no_grad():
            self.taps[-1] += 1
            spans = torch.logspace(math.log10(4), 3, self.heads)  # fade over 4 .. 1000 events
            self.rates.weight *= 0.1
            self.rates.bias[: self.heads] = torch.log(torch.expm1(1 / spans))
            self.rates.bias[self.heads :] = 0

    def forward(self, x: Tensor, memory: Tensor, before: Tensor) -> tuple[Tensor, State]:
        """Read (B, T, width), given memories (B, heads, D, D) and last inputs (B, 3, width)."""
        rows, length, width = x.shape
        seen = torch.cat((before.to(x.dtype), x), 1)  # (B, 3 + T, width)
        tapped = [self.taps[n] * seen[:, n : n + length] for n in range(TAPS)]
        mixed = torch.stack(tapped).sum(0)
        q, k, v, gate = self.project(functional.silu(mixed)).chunk(4, -1)
        q, k, v = (
            part.view(rows, length, self.heads, self.size).transpose(1, 2).float()
            for part in (q, k, v)
        )  # (B, heads, T, D)
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        fading, rate = self.rates(mixed).float().mT.chunk(2, 1)  # (B, heads, T)
        fading, rate = -functional.softplus(fading), rate.sigmoid()  # the first a logarithm
        recalled, memory = [], memory.float()
        with torch.autocast(x.device.type, enabled=False):
            for begin in range(0, length, _CHUNK):
                part = slice(begin, begin + _CHUNK)
                q_, k_, v_, fading_, rate_ = (e[:, :, part] for e in (q, k, v, fading, rate))
                out, memory = _delta_rule(q_, k_, v_, fading_, rate_, memory)
                recalled.append(out)
        y = self.norm(torch.cat(recalled, 2)).transpose(1, 2).reshape(rows, length, width)
        return self.output(y * functional.silu(gate)), (memory, seen[:, length:].float())


def _delta_rule(
    q: Tensor, k: Tensor, v: Tensor, fading: Tensor, rate: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """Apply the rule to several events at once.

    Each event adds k u' to the faded memory. Every u depends on those before it: a triangle of
    linear equations, which is solved; all else is products of matrices.

    Parameters
    ----------
    q, k, v : tensors, (B, heads, T, D)
    fading, rate : tensors, (B, heads, T)
        Natural logarithm of a, and b.
    memory : tensor, (B, heads, D, D)
        Keys by values.

    Returns
    -------
    recalled : tensor, (B, heads, T, D)
    memory : tensor
    """
    total = fading.cumsum(-1)
    length = q.shape[-2]
    past = torch.ones(length, length, dtype=torch.bool, device=q.device).tril()
    apart = (total[..., :, None] - total[..., None, :]).masked_fill(~past, -torch.inf)
    faded = apart.exp()  # from event j, a column, to event i
    faded_start = total.exp()[..., None]
    wanted = rate[..., None] * (v - faded_start * (k @ memory))
    among = (rate[..., None] * faded * (k @ k.mT)).tril(-1)
    added = torch.linalg.solve_triangular(among, wanted, upper=False, unitriangular=True)
    recalled = faded_start * (q @ memory) + (faded * (q @ k.mT)) @ added
    to_end = faded[..., -1, :, None]
    return recalled, faded_start[..., -1:, :] * memory + (to_end * k).mT @ added


class _Attention(nn.Module):
    """Attention over a window.

    Keys are stored as they are, and turned by their position in the window when they are read.
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.heads, self.window = config.heads, config.window
        self.project = nn.Linear(config.width, 3 * config.width, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, real: Tensor
    ) -> tuple[Tensor, State]:
        """Read (B, T, width), given keys and values (B, window, width), `real` (B, 1) of them."""
        rows, length, width = x.shape
        q, k, v = self.project(x).chunk(3, -1)
        keys = torch.cat((keys.to(k.dtype), k), 1)  # (B, window + T, width)
        values = torch.cat((values.to(v.dtype), v), 1)
        position = torch.arange(self.window + length, device=x.device)
        back = position[self.window :, None] - position  # (T, window + T), from each event
        seen = (back >= 0) & (back <= self.window) & (position >= self.window - real[..., None])
        recalled = functional.scaled_dot_product_attention(
            _turned(self._heads(q), position[self.window :]),
            _turned(self._heads(keys), position),
            self._heads(values),
            attn_mask=seen[:, None],
        )
        out = self.output(recalled.transpose(1, 2).reshape(rows, length, width))
        return out, (keys[:, length:].float(), values[:, length:].float())

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def rotation(positions: int, size: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, each (positions, size // 2), that turn the pairs of a head."""
    speed = 10000.0 ** (-torch.arange(size // 2) / (size // 2))
    angle = torch.arange(positions)[:, None] * speed
    return angle.cos(), angle.sin()


def _turned(x: Tensor, position: Tensor) -> Tensor:
    """Turn the pairs of (B, heads, T, D) by angles that grow with the position, (T,)."""
    turns = rotation(int(position[-1]) + 1, x.shape[-1])
    cos, sin = (part.to(x.device)[position] for part in turns)
    one, two = x.chunk(2, -1)
    return torch.cat((one * cos - two * sin, one * sin + two * cos), -1).to(x.dtype)
