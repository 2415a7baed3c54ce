"""Blocks: the parts of a network that torch's FSDP2 gathers one at a time."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from tutti.core import InputError
from tutti.training._slices import Slices

BLOCK_WEIGHTS = 4096  # fewer take less time to send than it takes to begin sending
_HOLDERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def blocks(network: nn.Module, aliases: Mapping[str, str], least: int = BLOCK_WEIGHTS) -> list[nn.Module]:
    """The parts whose weights are gathered together: the outermost elements of a network's nn.Sequential,
    nn.ModuleList and nn.ModuleDict with at least so many weights. What is left is gathered with the root.

    aliases: second names of parameters; a part that holds one of these is left to the root, and so are all other
    attributes: a forward may read their weights without calling them (a readout tied to the embedding).
    """
    tied = {id(network.get_parameter(name)) for name in aliases}
    found = []
    for part in _elements(network):
        own = list(part.parameters())
        if sum(p.numel() for p in own) >= least and tied.isdisjoint(map(id, own)):
            found.append(part)
    return found


def _elements(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost elements of the containers in a module that are no containers themselves."""
    for child in module.children():
        if isinstance(module, _HOLDERS) and not isinstance(child, _HOLDERS):
            yield child
        else:
            yield from _elements(child)


class Sharding:
    """A network divided by FSDP2, whose slices are views of a row.

    network: its parameters hold nothing yet (device "meta"). row: this process's slices, where rules move them.
    Of a parameter whose first axis does not divide evenly FSDP2 keeps a padded copy, which `refresh` brings up to
    date.
    """

    def __init__(
        self,
        network: nn.Module,
        aliases: Mapping[str, str],
        slices: Slices,
        row: Float[Tensor, " own"],
        mesh: DeviceMesh,
    ) -> None:
        from torch.distributed.fsdp import FSDPModule, fully_shard  # slow to import: only where it is used

        if not hasattr(FSDPModule, "set_reduce_scatter_unused_params"):
            raise InputError(
                f"FSDP2 of torch {torch.__version__} waits for ever where processes use different parameters.",
                fix="Update torch (2.13 will do), or use across='sharded'.",
            )

        for part in (*blocks(network, aliases), network):
            sharded = fully_shard(part, mesh=mesh, reshard_after_forward=True)
            sharded.set_gradient_divide_factor(1.0)  # every process weights its own loss
            sharded.set_force_sum_reduction_for_comms(True)  # gloo can only add
            sharded.set_reduce_scatter_unused_params(True, recurse=False)
        self._slots = list(slices.own.views(row).values())
        parameters = {
            name: nn.Parameter(_distributed(slot, shape, mesh))
            for name, shape, slot in zip(slices.whole.names, slices.whole.shapes, self._slots, strict=True)
        }
        tied = {other: parameters[name] for other, name in aliases.items()}
        network.load_state_dict(parameters | tied, strict=False, assign=True)
        self._parameters = list(parameters.values())

    @torch.no_grad()
    def refresh(self) -> None:
        """Copies the row into the slices that are no views of it."""
        for slot, parameter in zip(self._slots, self._parameters, strict=True):
            local = _local(parameter)
            if local.data_ptr() != slot.data_ptr():
                local.copy_(slot)

    @torch.no_grad()
    def move_gradient(self, slots: Sequence[Tensor]) -> None:
        """The gradient of the slices, into these tensors; 0 where a parameter has none."""
        for slot, parameter in zip(slots, self._parameters, strict=True):
            if parameter.grad is None:
                slot.zero_()
            else:
                slot.copy_(_local(parameter.grad))
                parameter.grad = None


def _distributed(own: Tensor, shape: torch.Size, mesh: DeviceMesh) -> Tensor:
    """The parameter of which each process has a slice."""
    from torch.distributed.tensor import DTensor, Shard

    stride = torch.empty(shape, device="meta").stride()
    return DTensor.from_local(own, mesh, [Shard(0)], run_check=False, shape=shape, stride=stride)


def _local(x: Tensor) -> Tensor:
    """This process's slice of a distributed tensor."""
    from torch.distributed.tensor import DTensor

    assert isinstance(x, DTensor)
    return x.to_local()
