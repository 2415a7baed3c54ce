"""The gated cells: GRU in two forms, and LSTM. Letters and method: `_recurrent_cells`."""

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.nn._recurrent_cells import (
    Cell,
    Gradients,
    Walk,
    Weights,
    affine,
    both_biases,
    project,
    sigmoid_,
    weight_gradient,
)


class GatedUnit(Cell):
    """h' = (1 − z) n + z h, with r, z = σ(W x + b + U h + c) and n = tanh(W x + b + r (U h + c)).

    Reset after the matrix: the form of cuDNN and torch (a variant of Cho et al. 2014). Gates in the order r, z, n.
    """

    gates = 3
    rooms = (3, 1)

    def step(self, gates: Tensor, state: Tensor, hh: Tensor, bias_hh: Tensor | None) -> Tensor:
        r_x, z_x, n_x = gates.chunk(3, -1)
        r_h, z_h, n_h = affine(state, hh, bias_hh).chunk(3, -1)
        r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
        return torch.lerp((n_x + r * n_h).tanh(), state, z)

    def scan(
        self, walk: Walk, x: Float[Tensor, "P TB n"], w: Weights, slots: list[Tensor], rooms: list[Tensor]
    ) -> None:
        h = walk.steps(slots[0])
        H = h[0].shape[-1]
        gates, candidate = rooms
        pre = project(x, w.ih, w.bias_ih, h[0].shape[1])
        # The candidate's two shares stay apart: its share of x moves out, its hidden bias moves in. Its tanh is
        # taken as 2 σ(2 n) − 1, in less than half of the time.
        torch.mul(pre[..., 2 * H :].transpose(0, 1), 2, out=candidate)
        pre[..., 2 * H :] = 0
        if w.bias_hh is not None:
            pre += w.bias_hh[:, None, None]
        if walk.idle is not None:
            pre[..., H : 2 * H].masked_fill_(walk.idle, torch.inf)  # z = 1 keeps the state exactly
        hh, minus_one = w.hh.mT, pre.new_tensor(-1)
        parts = (walk.steps(part, 0) for part in (gates, gates[..., : 2 * H], *gates.split(H, -1), candidate))
        for share, gate, both, r, z, n_h, n, old, new in zip(walk.steps(pre), *parts, h, h[1:], strict=False):
            torch.baddbmm(share, old, hh, out=gate)
            both.sigmoid_()
            sigmoid_(n.addcmul_(r, n_h, value=2))
            torch.add(minus_one, n, alpha=2, out=n)
            torch.lerp(n, old, z, out=new)

    def pull(
        self,
        walk: Walk,
        output: Float[Tensor, "P T B H"],
        last: Float[Tensor, "P B S"],
        w: Weights,
        slots: list[Tensor],
        rooms: list[Tensor],
    ) -> Gradients:
        H, before = last.shape[-1], walk.before(slots[0])
        gates, n = (room.transpose(0, 1) for room in rooms)
        r, z, n_h = gates.split(H, -1)
        # In the order n_h, r, z, n_x the hidden side's gates are the first three, the inputs' side's the last three.
        rates = before.new_empty(*before.shape[:-1], 4 * H)
        of_n_h, of_r, of_z, of_n = rates.split(H, -1)
        slope = 1 - n * n
        torch.addcmul(slope, slope, z, value=-1, out=of_n)
        torch.mul(of_n, r, out=of_n_h)
        torch.mul(of_n_h, n_h, out=of_r).addcmul_(of_r, r, value=-1)
        torch.sub(before, n, out=of_z).mul_(z).addcmul_(of_z, z, value=-1)
        hh = w.hh.roll(H, 1)
        flow = (*walk.steps(output)[::-1], torch.zeros_like(last))
        dh = flow[0] + last
        sides = (rates.unflatten(-1, (4, H)), rates[..., : 3 * H], z)
        for t, (rate, hidden, keep) in enumerate(zip(*(walk.steps(side)[::-1] for side in sides), strict=True)):
            rate.mul_(dh.unsqueeze(-2))
            dh = torch.addcmul(flow[t + 1], dh, keep).baddbmm_(hidden, hh)
        hidden = rates[..., : 3 * H]
        bias = rates.sum((1, 2))
        bias_hh = bias[:, : 3 * H].roll(-H, 1)
        return Gradients(rates[..., H:], dh, weight_gradient(hidden, before).roll(-H, 1), bias[:, H:], bias_hh)


class GatedUnitResetBefore(Cell):
    """h' = (1 − z) n + z h, with r, z = σ(W x + b + U h + c) and n = tanh(W x + b + U (r h) + c).

    Reset before the matrix: Cho et al. 2014 (there without biases). Gates in the order r, z, n.
    """

    gates = 3
    rooms = (2, 1)

    def step(self, gates: Tensor, state: Tensor, hh: Tensor, bias_hh: Tensor | None) -> Tensor:
        H = state.shape[-1]
        both, bias = (None, None) if bias_hh is None else (bias_hh[..., : 2 * H], bias_hh[..., 2 * H :])
        r, z = (gates[..., : 2 * H] + affine(state, hh[..., : 2 * H, :], both)).sigmoid().chunk(2, -1)
        n = (gates[..., 2 * H :] + affine(r * state, hh[..., 2 * H :, :], bias)).tanh()
        return torch.lerp(n, state, z)

    def scan(
        self, walk: Walk, x: Float[Tensor, "P TB n"], w: Weights, slots: list[Tensor], rooms: list[Tensor]
    ) -> None:
        h = walk.steps(slots[0])
        H = h[0].shape[-1]
        gates, candidate = rooms
        pre = project(x, w.ih, both_biases(w), h[0].shape[1])
        if walk.idle is not None:
            pre[..., H : 2 * H].masked_fill_(walk.idle, torch.inf)
        reset = torch.empty_like(candidate[0])
        of_both, of_n = w.hh[:, : 2 * H].mT, w.hh[:, 2 * H :].mT
        shares = (walk.steps(pre[..., : 2 * H]), walk.steps(pre[..., 2 * H :]))
        parts = (walk.steps(part, 0) for part in (gates, *gates.split(H, -1), candidate))
        for share, share_n, both, r, z, n, old, new in zip(*shares, *parts, h, h[1:], strict=False):
            sigmoid_(torch.baddbmm(share, old, of_both, out=both))
            torch.mul(old, r, out=reset)
            torch.baddbmm(share_n, reset, of_n, out=n).tanh_()
            torch.lerp(n, old, z, out=new)

    def pull(
        self,
        walk: Walk,
        output: Float[Tensor, "P T B H"],
        last: Float[Tensor, "P B S"],
        w: Weights,
        slots: list[Tensor],
        rooms: list[Tensor],
    ) -> Gradients:
        H, before = last.shape[-1], walk.before(slots[0])
        gates, n = (room.transpose(0, 1) for room in rooms)
        r, z = gates.split(H, -1)
        rates = before.new_empty(*before.shape[:-1], 3 * H)
        of_r, of_z, of_n = rates.split(H, -1)
        slope, reset = 1 - n * n, r * before
        torch.addcmul(slope, slope, z, value=-1, out=of_n)
        torch.addcmul(reset, reset, r, value=-1, out=of_r)
        torch.sub(before, n, out=of_z).mul_(z).addcmul_(of_z, z, value=-1)
        hh_both, hh_n = w.hh[:, : 2 * H], w.hh[:, 2 * H :]
        flow = (*walk.steps(output)[::-1], torch.zeros_like(last))
        dh = flow[0] + last
        sides = (rates[..., H:].unflatten(-1, (2, H)), rates[..., : 2 * H], of_r, of_n, r, z)
        for t, parts in enumerate(zip(*(walk.steps(side)[::-1] for side in sides), strict=True)):
            z_and_n, both, rate_r, rate_n, r_t, keep = parts
            z_and_n.mul_(dh.unsqueeze(-2))
            d_reset = torch.bmm(rate_n, hh_n)
            rate_r.mul_(d_reset)
            dh = torch.addcmul(flow[t + 1], dh, keep).addcmul_(d_reset, r_t).baddbmm_(both, hh_both)
        hh = torch.cat([weight_gradient(rates[..., : 2 * H], before), weight_gradient(of_n, reset)], 1)
        bias = rates.sum((1, 2))
        return Gradients(rates, dh, hh, bias, bias.clone())


class LongShortTerm(Cell):
    """c' = f c + i g and h' = o tanh(c'), with i, f, o = σ(W x + b + U h + c₀) and g the same with tanh.

    Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000. Gates in torch's order i, f, g, o; the
    state is h, then c.
    """

    gates = 4
    states = 2
    rooms = (4, 1)

    def step(self, gates: Tensor, state: Tensor, hh: Tensor, bias_hh: Tensor | None) -> Tensor:
        h, c = state.chunk(2, -1)
        i, f, g, o = (gates + affine(h, hh, bias_hh)).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return torch.cat([o.sigmoid() * c.tanh(), c], -1)

    def scan(
        self, walk: Walk, x: Float[Tensor, "P TB n"], w: Weights, slots: list[Tensor], rooms: list[Tensor]
    ) -> None:
        h, c = (walk.steps(slot) for slot in slots)
        H = h[0].shape[-1]
        gates, squashed = rooms
        pre = project(x, w.ih, both_biases(w), h[0].shape[1])
        # tanh(g) = 2 σ(2 g) − 1: one pass of σ over all four gates in place of three passes, one of them tanh.
        pre[..., 2 * H : 3 * H] *= 2
        hh = w.hh.clone()
        hh[:, 2 * H : 3 * H] *= 2
        hh = hh.mT
        idle: tuple[Tensor | None, ...] = (None,) * pre.shape[1]
        if walk.idle is not None:
            pre[..., :H].masked_fill_(walk.idle, -torch.inf)  # i = 0 and f = 1 keep c exactly
            pre[..., H : 2 * H].masked_fill_(walk.idle, torch.inf)
            idle = walk.steps(walk.idle)
        parts = (walk.steps(part, 0) for part in (gates, *gates.split(H, -1), squashed))
        for share, off, gate, i, f, g, o, tanh_c, old_c, new_c, old, new in zip(
            walk.steps(pre), idle, *parts, c, c[1:], h, h[1:], strict=False
        ):
            sigmoid_(torch.baddbmm(share, old, hh, out=gate))
            torch.mul(f, old_c, out=new_c).sub_(i).addcmul_(i, g, value=2)
            torch.tanh(new_c, out=tanh_c)
            torch.mul(o, tanh_c, out=new)
            if off is not None:
                torch.where(off, old, new, out=new)

    def pull(
        self,
        walk: Walk,
        output: Float[Tensor, "P T B H"],
        last: Float[Tensor, "P B S"],
        w: Weights,
        slots: list[Tensor],
        rooms: list[Tensor],
    ) -> Gradients:
        gates, tanh_c = (room.transpose(0, 1) for room in rooms)
        last_h, dc = last.chunk(2, -1)
        H = last_h.shape[-1]
        i, f, g, o = gates.split(H, -1)
        g = 2 * g - 1
        rates = last.new_empty(*tanh_c.shape[:-1], 4 * H)
        of_i, of_f, of_g, of_o = rates.split(H, -1)
        torch.mul(g, i, out=of_i).mul_(1 - i)
        torch.mul(walk.before(slots[1]), f, out=of_f).mul_(1 - f)
        torch.addcmul(i, i * g, g, value=-1, out=of_g)
        torch.mul(tanh_c, o, out=of_o).mul_(1 - o)
        of_c = torch.addcmul(o, o * tanh_c, tanh_c, value=-1)
        idle = None
        if walk.idle is not None:
            of_o.masked_fill_(walk.idle, 0)
            of_c.masked_fill_(walk.idle, 0)
            idle = walk.steps(walk.idle.to(of_c.dtype))[::-1]
        flow = (*walk.steps(output)[::-1], torch.zeros_like(last_h))
        dh = flow[0] + last_h
        sides = (rates, rates[..., : 3 * H].unflatten(-1, (3, H)), of_o, of_c, f)
        for t, (all_four, ifg, rate_o, rate_c, keep) in enumerate(
            zip(*(walk.steps(side)[::-1] for side in sides), strict=True)
        ):
            dc = torch.addcmul(dc, dh, rate_c)
            ifg.mul_(dc.unsqueeze(-2))
            rate_o.mul_(dh)
            carried = torch.baddbmm(flow[t + 1], all_four, w.hh)
            dh = carried if idle is None else carried.addcmul_(dh, idle[t])
            dc *= keep
        state = torch.cat([dh, dc], -1)
        bias = rates.sum((1, 2))
        return Gradients(rates, state, weight_gradient(rates, walk.before(slots[0])), bias, bias.clone())
