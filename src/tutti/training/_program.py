"""A problem made ready to run: the network split into front and body, and every tensor laid out by stream."""

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutti.core import InputError, Layout, Rows, Setting, stream_key
from tutti.training._buffers import Buffers, aliases
from tutti.training._order import WEIGHTS, batch_rows
from tutti.training._problem import Problem

GATHER_BYTES = 32 * 2**20  # rows of many steps are gathered at once, up to this size
AHEAD_BYTES = 512 * 2**20  # the front is evaluated on all rows ahead of training, up to this size
FRONT_CHUNK = 65_536  # rows of the front that are evaluated at once, where they are no more than GATHER_BYTES
WHOLE = slice(None)

Batch = tuple[tuple[Tensor, ...], Tensor, Tensor | None]


class Program:
    """The parts of a problem that every executor needs.

    template   one network body, whose parameters give the layout
    initial    [stream, weights]: initial weights, drawn per (seed, fold); drawn again where they have been let go
    frozen     parameters that are not trained (requires_grad is False), by name: [stream, …] as built, or [1, …]
               where all streams have the same. Members share them and nothing writes them
    buffers    what each buffer of the body is; running and counters hold their initial values, [stream, numbers]
    prepared   inputs of the body, [streams·rows, …]; or the problem's own, [rows, …], where there is no front,
               or where the front's results are too large to keep: it is then evaluated batch by batch
    """

    def __init__(self, problem: Problem, batch_size: int) -> None:
        self.problem = problem
        self.batch_size = batch_size
        networks = [self._build(stream.seed, stream.fold) for stream in problem.streams]
        self.template = getattr(networks[0], "body", networks[0])
        self._front = getattr(networks[0], "front", None)
        self.replicas = int(getattr(networks[0], "replicas", 1))
        self.layout = Layout.of(self.template)
        if self._front is not None and any(True for _ in self._front.parameters()):
            raise InputError("The front of a network may hold no parameters.", fix="Move them into its body.")
        bodies = [getattr(n, "body", n) for n in networks]
        self.frozen = _frozen(bodies)
        if self.frozen and not self.layout.names:
            raise InputError(
                "Every parameter of this network is frozen (requires_grad is False): nothing is left to train.",
                fix="Call requires_grad_(True) on what is to learn, such as the last layer.",
            )
        self.initial = self._flat(bodies)
        self.streams = len(problem.streams)
        prefix = "body." if self._front is not None else ""
        self.buffers = Buffers.of(self.template, prefix, tuple(problem.streams[0].buffers))
        self.running = torch.stack([self.buffers.flat_running(b, self.initial) for b in bodies])
        self.counters = torch.stack([self.buffers.flat_counters(b, self.initial) for b in bodies])
        self.aliases = aliases(self.template)
        self._fronts = [self._fitted_front(f) for f in range(self.streams)]
        self._device = problem.target.device
        self._lazy = not all(isinstance(x, Tensor) for x in problem.inputs)
        every = problem.rows * self.streams
        self._own_inputs = self._front is not None and not self._lazy and self._front_bytes * every <= AHEAD_BYTES
        self._late = self._front is not None and not self._own_inputs
        self.prepared: tuple[Tensor | Rows, ...] = self._prepare() if self._own_inputs else problem.inputs
        targets = [problem.target if s.target is None else s.target for s in problem.streams]
        self._own_target = any(s.target is not None for s in problem.streams)
        self._target = torch.cat(targets) if self._own_target else problem.target
        self._weights = self._normalised_weights()

    def _build(self, seed: int, fold: int) -> nn.Module:
        """A network whose initial values depend on (seed, fold) alone; torch's generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_key(seed, fold, WEIGHTS))
            network = self.problem.build()
        return network.to(self.problem.target.device)

    @cached_property
    def initial(self) -> Float[Tensor, "stream weights"]:
        networks = [self._build(stream.seed, stream.fold) for stream in self.problem.streams]
        return self._flat([getattr(n, "body", n) for n in networks])

    def _flat(self, bodies: Sequence[nn.Module]) -> Float[Tensor, "stream weights"]:
        return torch.stack([self.layout.flatten(dict(b.named_parameters())) for b in bodies]).detach()

    def release_weights(self) -> None:
        """Lets go of the initial weights, and of the template's: whoever carries members binds its own to a body.

        Frozen ones stay.
        """
        if "initial" not in self.__dict__:
            return
        hollow = {
            name: nn.Parameter(torch.empty(shape, dtype=self.initial.dtype, device="meta"))
            for name, shape in zip(self.layout.names, self.layout.shapes, strict=True)
        }
        for name in [name for name, _ in self.template.named_parameters(remove_duplicate=False)]:
            path, _, leaf = name.rpartition(".")
            first = self.aliases.get(name, name)
            if first in hollow:
                setattr(self.template.get_submodule(path), leaf, hollow[first])
        del self.initial

    @cached_property
    def _front_bytes(self) -> int:
        """Size of the front's result on one row."""
        one = self._apply_front(0, self._take(self.problem.inputs, torch.zeros(1, dtype=torch.int64)))
        return sum(x.numel() * x.element_size() for x in one)

    def _prepare(self) -> tuple[Tensor, ...]:
        """The body's inputs on all rows, evaluated once for each stream through its own front."""
        parts: list[tuple[Tensor, ...]] = []
        size = max(1, min(FRONT_CHUNK, GATHER_BYTES // max(1, self._front_bytes)))
        for stream in range(self.streams):
            chunks = [
                self._apply_front(stream, self._take(self.problem.inputs, chunk))
                for chunk in torch.arange(self.problem.rows, device=self._device).split(size)
            ]
            parts.append(tuple(torch.cat(column) for column in zip(*chunks, strict=True)))
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def _take(self, inputs: tuple[Tensor | Rows, ...], rows: Int[Tensor, " batch"]) -> tuple[Tensor, ...]:
        """These rows of each input, on the device."""
        return tuple(
            x.index_select(0, rows.to(x.device)) if isinstance(x, Tensor) else _read(x, rows).to(self._device)
            for x in inputs
        )

    @torch.no_grad()
    def _apply_front(self, stream: int, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        front = self._fronts[stream]
        if front is None:
            return inputs
        result = front(*inputs)
        return result if isinstance(result, tuple) else (result,)

    def _fitted_front(self, stream: int) -> nn.Module | None:
        """The front with this stream's buffers, or None where the network has none."""
        if self._front is None:
            return None
        front: nn.Module = copy.deepcopy(self._front)
        values = self.problem.streams[stream].buffers
        own = {k.removeprefix("front."): v for k, v in values.items() if k.startswith("front.")}
        for name in own.keys() - dict(front.named_buffers()).keys():
            raise InputError(f"The front of the network has no buffer {name!r}.")
        front.load_state_dict({**dict(front.named_buffers()), **own})
        return front.eval()

    def _normalised_weights(self) -> Tensor | None:
        """Row weights with mean 1 over each stream's training rows, [streams·rows]."""
        w = self.problem.weights
        if w is None:
            return None
        means = [w[torch.as_tensor(s.train, device=w.device)].mean() for s in self.problem.streams]
        return torch.cat([w / m for m in means])

    def body(self) -> nn.Module:
        """A copy of the template; the constants and what is frozen are shared, not copied."""
        frozen = {id(p): p for p in self.template.parameters() if not p.requires_grad}
        body: nn.Module = copy.deepcopy(self.template, self.buffers.constants(self.template) | frozen)
        return body

    def given_buffers(self, settings: Sequence[Setting], streams: Sequence[int]) -> dict[str, Tensor]:
        """What a body is given beside weights and running buffers, for settings × streams, each with a leading member
        axis: the buffers that are fitted or individual, and the frozen parameters."""
        given = self.buffers.given(self.template, settings, streams, self.problem.streams)
        return given | {name: _dealt(value, len(settings), streams) for name, value in self.frozen.items()}

    def running_buffers(
        self, running: Float[Tensor, "*member numbers"], counters: Int[Tensor, "*member counts"] | None = None
    ) -> dict[str, Tensor]:
        """Running buffers (and counters, where given) by name, as views of their flat rows."""
        views = self.buffers.running.views(running)
        return views if counters is None else views | self.buffers.counters.views(counters)

    def rows(self, stream: int, rows: Int[Tensor, " batch"]) -> tuple[Tensor, ...]:
        """The body's inputs for these rows, as this stream sees them."""
        offset = stream * self.problem.rows if self._own_inputs else 0
        inputs = self._take(self.prepared, rows + offset)
        return self._apply_front(stream, inputs) if self._late else inputs

    def targets(self, stream: int, rows: Int[Tensor, " batch"]) -> Tensor:
        """The targets of these rows, as this stream sees them."""
        return self._target[rows + (stream * self.problem.rows if self._own_target else 0)]

    def batches(self, first: int, last: int, part: slice = WHOLE) -> Iterator[Batch]:
        """Inputs [stream, batch, …], target and row weights of each step, gathered many steps at a time.

        part: which rows of every batch.
        Rows that are read from elsewhere are read ahead by a thread, while the chunk before trains. It works alone:
        a second team of threads beside the one that trains would keep both waiting for each other.
        """
        chunk = max(1, GATHER_BYTES // (self._row_bytes * self.streams * self.batch_size))
        begins = range(first, last, chunk)
        if not self._lazy:
            for begin in begins:
                yield from self._gather(begin, min(begin + chunk, last), part)
            return
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(max_workers=1, initializer=torch.set_num_threads, initargs=(1,)) as reader:
            ahead = reader.submit(self._chunk, first, min(first + chunk, last), part)
            for begin in begins:
                ready, after = ahead, begin + chunk
                if after < last:
                    ahead = reader.submit(self._chunk, after, min(after + chunk, last), part)
                try:
                    batches = ready.result()
                finally:
                    torch.set_num_threads(threads)  # the reader's number is also that of threads that begin later
                yield from batches

    def _chunk(self, first: int, last: int, part: slice) -> list[Batch]:
        return list(self._gather(first, last, part))

    @cached_property
    def _row_bytes(self) -> int:
        one = self._take(self.prepared, torch.zeros(1, dtype=torch.int64, device=self._device))
        return sum(x.numel() * x.element_size() for x in one) + 16

    def _gather(self, first: int, last: int, part: slice) -> Iterator[Batch]:
        orders = [
            batch_rows(s.train, s.seed, s.fold, self.batch_size, first, last)[:, part] for s in self.problem.streams
        ]
        shape = (last - first, self.streams, orders[0].shape[1])
        rows = torch.as_tensor(np.stack(orders, axis=1), device=self._target.device)
        offsets = torch.arange(self.streams, device=rows.device)[:, None] * self.problem.rows
        own, shared = (rows + offsets).flatten(), rows.flatten()
        index = own if self._own_inputs else shared
        inputs = tuple(x.view(*shape, *x.shape[1:]) for x in self._take(self.prepared, index))
        if self._late:
            inputs = self._late_fronts(inputs)
        target = self._target.index_select(0, own if self._own_target else shared)
        target = target.view(*shape, *self._target.shape[1:])
        weights = None if self._weights is None else self._weights.index_select(0, own).view(shape)
        for step in range(last - first):
            yield tuple(x[step] for x in inputs), target[step], None if weights is None else weights[step]

    def _late_fronts(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The fronts applied to gathered raw rows [step, stream, batch, …]."""
        parts = []
        for stream in range(self.streams):
            mine = tuple(x[:, stream].flatten(0, 1) for x in inputs)
            steps, _, batch = inputs[0].shape[:3]
            parts.append([x.view(steps, batch, *x.shape[1:]) for x in self._apply_front(stream, mine)])
        return tuple(torch.stack(column, dim=1) for column in zip(*parts, strict=True))

    def network(self, row: Float[Tensor, " numbers"], setting: Setting, stream: int) -> nn.Module:
        """One member as an ordinary network in evaluation mode, from its row: weights, then running buffers."""
        network = self._build(self.problem.streams[stream].seed, self.problem.streams[stream].fold)
        body = getattr(network, "body", network)
        weights, running = row.split([self.layout.count, self.buffers.running.count])
        values = {k: v[0] for k, v in self.given_buffers([setting], [stream]).items()}
        values |= self.running_buffers(running)
        with torch.no_grad():
            trained = self.layout.views(weights)
            for name, parameter in body.named_parameters():
                parameter.copy_(trained[name] if name in trained else values[name])
            for name, buffer in body.named_buffers():
                if name in values:
                    buffer.copy_(values[name])
            front = self._fronts[stream]
            if front is not None:
                network.get_submodule("front").load_state_dict(front.state_dict())
        return network.eval()


def _frozen(bodies: Sequence[nn.Module]) -> dict[str, Tensor]:
    """The frozen parameters of every stream's body, by name: [stream, …], or [1, …] where they are all the same."""
    found = {}
    for name, parameter in bodies[0].named_parameters():
        if not parameter.requires_grad:
            values = [body.get_parameter(name).detach() for body in bodies]
            alike = all(torch.equal(values[0], other) for other in values[1:])
            found[name] = values[0][None] if alike else torch.stack(values)
    return found


def _dealt(value: Tensor, settings: int, streams: Sequence[int]) -> Tensor:
    """[stream or 1, …] as [member, …], for settings × consecutive streams; where that can be, as a view."""
    own = value.expand(len(streams), *value.shape[1:]) if len(value) == 1 else value[streams[0] : streams[-1] + 1]
    return own.expand(settings, *own.shape).reshape(settings * len(streams), *own.shape[1:])


def _read(x: Rows, rows: Int[Tensor, " batch"]) -> Tensor:
    """Rows read from elsewhere; each row once, in ascending order, which is kind to disks."""
    unique, places = np.unique(rows.cpu().numpy(), return_inverse=True)
    return x.read(unique).index_select(0, torch.from_numpy(places))
