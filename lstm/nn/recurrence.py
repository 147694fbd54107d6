"""The recurrence of an LSTM and its variants over time, with the gradient written out by hand.

A step in time costs only a few operations on `(hidden, batch)`. Everything else is one operation over the whole
sequence: the input's part of every gate before the loop, the factors of the gradient, and the gradients of the weights
after the loop. Time is the first dimension and the batch the last, so that each gate of a step is contiguous in memory.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Gradients of sigmoid and tanh computed from their outputs y, each in one pass: grad * y * (1 - y), grad * (1 - y^2).
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


@dataclass(frozen=True)
class Switches:
    """The parts of the vanilla LSTM that a variant has; each variant of Greff et al. (2017) changes one switch."""

    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    input_activation: bool = True
    output_activation: bool = True
    coupled_gates: bool = False  # f = 1 - i
    peepholes: bool = True
    full_gate_recurrence: bool = False

    @property
    def blocks(self) -> tuple[str, ...]:
        """The gates and the candidate that have a block of rows in the weights, in torch.nn.LSTM's order."""
        has = {
            "input_gate": self.input_gate,
            "forget_gate": self.forget_gate and not self.coupled_gates,
            "candidate": True,
            "output_gate": self.output_gate,
        }
        return tuple(name for name, there in has.items() if there)

    @property
    def early(self) -> int:
        """The number of gates computed before the cell: input and forget gate, in the first blocks."""
        return self.blocks.index("candidate")


class Recurrence(torch.autograd.Function):
    """The autograd function of one layer in one direction, by Greff et al. (2017), sections II and III.

    With y the hidden state:

        z_t = tanh(W_z x_t + R_z y_{t-1} + b_z)                      no_input_activation: without tanh
        i_t = sigmoid(W_i x_t + R_i y_{t-1} + p_i * c_{t-1} + b_i)   no_input_gate: 1
        f_t = sigmoid(W_f x_t + R_f y_{t-1} + p_f * c_{t-1} + b_f)   no_forget_gate: 1; coupled_gates: 1 - i_t
        c_t = z_t * i_t + c_{t-1} * f_t
        o_t = sigmoid(W_o x_t + R_o y_{t-1} + p_o * c_t + b_o)       no_output_gate: 1
        y_t = tanh(c_t) * o_t                                        no_output_activation: without tanh

    no_peepholes: all p are 0. full_gate_recurrence: R_gate [i_{t-1}; f_{t-1}; o_{t-1}] is added inside each gate's
    sigmoid.

    Args:
        ctx: The context in which autograd keeps what the gradient needs.
        switches: The variant.
        x: The inputs, `(time, input, batch)`.
        weight_x: `(blocks * hidden, input)`, in the order of `switches.blocks`, as are all weights.
        weight_h: `(blocks * hidden, hidden)`.
        bias: `(blocks * hidden,)`.
        peephole: `(gates, hidden)`, without the candidate; None without peepholes.
        weight_gates: `(3 * hidden, 3 * hidden)`, for input, forget and output gate; None without full gate recurrence.
        h_0: The initial hidden state, `(hidden, batch)`.
        c_0: The initial cell, `(hidden, batch)`.
        gates_0: The gates of the step before the first, `(3 * hidden, batch)`; None without full gate recurrence.

    Returns:
        Hidden state and cell of each step, both `(time, hidden, batch)`, and the activations
        `(time, blocks, hidden, batch)`, through which no gradient flows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        switches: Switches,
        x: Tensor,
        weight_x: Tensor,
        weight_h: Tensor,
        bias: Tensor,
        peephole: Tensor | None,
        weight_gates: Tensor | None,
        h_0: Tensor,
        c_0: Tensor,
        gates_0: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run over all steps; the class's docstring describes arguments and results."""
        (time, _, batch), hidden, early = x.shape, h_0.shape[0], switches.early
        flat = torch.baddbmm(bias.unsqueeze(-1), weight_x.expand(time, -1, -1), x)  # for all steps at once
        act = flat.view(time, -1, hidden, batch)
        h, c = (x.new_empty(time + 1, hidden, batch) for _ in range(2))
        h[0], c[0] = h_0, c_0
        squashed = x.new_empty(time, hidden, batch) if switches.output_activation else c[1:]
        (p_early, p_output), previous = _peepholes(peephole, switches, batch), gates_0
        # All views are made here: in the loop, making a view would cost as much as the arithmetic.
        pre, gates, z = flat.unbind(), act[:, :early].unbind(), act[:, early].unbind()
        i, f = _block(act, switches, "input_gate"), _block(act, switches, "forget_gate")
        o, hs, cs, ys = _block(act, switches, "output_gate"), h.unbind(), c.unbind(), squashed.unbind()
        for t in range(time):
            pre[t].addmm_(weight_h, hs[t])
            if weight_gates is not None and previous is not None:
                _add_gates(pre[t], weight_gates, previous)
            if p_early is not None:
                gates[t].addcmul_(p_early, cs[t])
            gates[t].sigmoid_()
            if switches.input_activation:
                z[t].tanh_()
            _next_cell(cs[t], z[t], i[t] if i else None, f[t] if f else None, switches, out=cs[t + 1])
            if switches.output_activation:
                torch.tanh(cs[t + 1], out=ys[t])
            if not o:
                hs[t + 1].copy_(ys[t])
                continue
            if p_output is not None:
                o[t].addcmul_(p_output, cs[t + 1])
            torch.mul(o[t].sigmoid_(), ys[t], out=hs[t + 1])
            if weight_gates is not None:
                previous = torch.cat([gates[t].flatten(0, 1), o[t]])
        ctx.switches, saved = switches, (x, weight_x, weight_h, peephole, weight_gates, gates_0, act, h, c, squashed)
        ctx.save_for_backward(*saved)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(act)
        return h[1:], c[1:], act

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor | None, grad_c: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of all arguments of `forward`, in their order."""
        x, weight_x, weight_h, peephole, weight_gates, gates_0, act, h, c, squashed = ctx.saved_tensors
        switches: Switches = ctx.switches
        with torch.autocast(x.device.type, enabled=False):
            step = _Gradient(switches, act, c, squashed, peephole, weight_h, weight_gates)
            dh_0, dc_0 = step.through_time(grad_h, grad_c)
            d = step.pre
            d, early = step.pre, switches.early
            # One product over all steps gives three gradients: of the input's weights, of the hidden state's weights,
            # and of the bias, which has the constant 1 as its input.
            seen = _rows(torch.cat([x, h[:-1], x.new_ones(len(x), 1, x.shape[2])], dim=1))
            sizes = [x.shape[1], h.shape[1], 1]
            grad_x, grad_h, grad_bias = torch.split(_rows(d) @ seen.t(), sizes, dim=1)
            grad_peephole = grad_gates = None
            if peephole is not None:
                by_gate = d.view(act.shape)
                before = (by_gate[:, :early] * c[:-1].unsqueeze(1)).sum((0, 3))
                after = (by_gate[:, early + 1 :] * c[1:].unsqueeze(1)).sum((0, 3))
                grad_peephole = torch.cat([before, after])
            if weight_gates is not None:
                gates = torch.cat([gates_0.unsqueeze(0), gates_of(act[:-1])])
                grad_gates = _rows(gates_of(d.view(act.shape))) @ _rows(gates).t()
            of_input = torch.matmul(weight_x.t(), d) if ctx.needs_input_grad[1] else None
        return (
            *(None, of_input, grad_x, grad_h, grad_bias.squeeze(1), grad_peephole, grad_gates),
            *(dh_0, dc_0, None),
        )


class _Gradient:
    """Back-propagation through time; `pre` is the gradient before each block's activation function."""

    def __init__(
        self,
        switches: Switches,
        act: Tensor,
        c: Tensor,
        squashed: Tensor,
        peephole: Tensor | None,
        weight_h: Tensor,
        weight_gates: Tensor | None,
    ) -> None:
        self.switches, self.weight_h, self.weight_gates = switches, weight_h, weight_gates
        self.p_early, self.p_output = _peepholes(peephole, switches, act.shape[-1])
        early = self.early = switches.early
        before, z = c[:-1], act[:, early]
        i, f, o = (_stacked(act, switches, name) for name in ("input_gate", "forget_gate", "output_gate"))
        # The factors that turn a gradient of the cell into gradients of the early gates and of the candidate.
        factor = self.factor = torch.empty_like(act[:, : early + 1])
        if i is not None:
            sigmoid_backward(z - before if switches.coupled_gates else z, i, grad_input=factor[:, 0])
        if f is not None:
            sigmoid_backward(before, f, grad_input=factor[:, early - 1])
        factor[:, early] = 1 if i is None else i
        if switches.input_activation:
            tanh_backward(factor[:, early], z, grad_input=factor[:, early])
        # The factors that turn a gradient of the hidden state into gradients of the output gate and of the cell.
        self.of_output = None if o is None else _like(sigmoid_backward, squashed, o)
        through = torch.ones_like(squashed) if o is None else o
        self.squash = _like(tanh_backward, through, squashed) if switches.output_activation else through
        self.keep = 1 - i if switches.coupled_gates and i is not None else f
        self.gates = act
        self.pre = torch.empty_like(act).flatten(1, 2)

    def through_time(self, grad_h: Tensor | None, grad_c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Fill `pre` from the last step to the first; return the gradients of h_0 and c_0, `(hidden, batch)` each."""
        time, hidden, early = len(self.pre), self.weight_h.shape[1], self.early
        by_block = self.pre.view(time, -1, *self.squash.shape[1:])
        pre, inner = self.pre.unbind(), by_block[:, : early + 1].unbind()
        outer = by_block[:, -1].unbind()
        factor, squash = self.factor.unbind(), self.squash.unbind()
        of_output = None if self.of_output is None else self.of_output.unbind()
        keep = None if self.keep is None else self.keep.unbind()
        back = self.weight_h.t().contiguous()
        dc = torch.zeros_like(self.squash[0])
        dh = torch.zeros_like(dc) if grad_h is None else grad_h[-1]
        dgates: Tensor | None = None
        for t in range(time - 1, -1, -1):
            if t < time - 1:
                dh = back @ pre[t + 1] if grad_h is None else torch.addmm(grad_h[t], back, pre[t + 1])
                dgates = self._of_gates(t)
            if grad_c is not None:
                dc += grad_c[t]
            if of_output is not None:
                self._output_step(dh, of_output[t], dgates, dc, out=outer[t])
            dc.addcmul_(dh, squash[t])
            torch.mul(factor[t], dc, out=inner[t])
            if dgates is not None:
                inner[t][:early].add_(dgates[: 2 * hidden].view(early, hidden, -1))
            if keep is not None:
                dc.mul_(keep[t])
            if self.p_early is not None:
                for p, of_gate in zip(self.p_early, inner[t], strict=False):
                    dc.addcmul_(p, of_gate)
        return back @ pre[0], dc

    def _output_step(self, dh: Tensor, of_output: Tensor, dgates: Tensor | None, dc: Tensor, *, out: Tensor) -> None:
        """Compute the output gate's gradient, and add to `dc` the part that reaches the cell through the peephole."""
        torch.mul(dh, of_output, out=out)
        if dgates is not None:
            out.add_(dgates[2 * len(out) :])
        if self.p_output is not None:
            dc.addcmul_(self.p_output, out)

    def _of_gates(self, t: int) -> Tensor | None:
        """Return what the next step's gates add to the gradient before the gates of step t; None if nothing.

        Only full gate recurrence has such a gradient.
        """
        if self.weight_gates is None:
            return None
        hidden = self.weight_h.shape[1]
        after = self.pre[t + 1]
        back = self.weight_gates.t() @ torch.cat([after[: 2 * hidden], after[3 * hidden :]])
        return _like(sigmoid_backward, back, gates_of(self.gates[t : t + 1])[0])


def _next_cell(c: Tensor, z: Tensor, i: Tensor | None, f: Tensor | None, switches: Switches, *, out: Tensor) -> None:
    if i is None and f is not None:
        torch.addcmul(z, f, c, out=out)
    elif i is not None and switches.coupled_gates:
        torch.lerp(c, z, i, out=out)
    elif i is not None and f is None:
        torch.addcmul(c, i, z, out=out)
    elif i is not None and f is not None:
        torch.mul(f, c, out=out).addcmul_(i, z)


def _add_gates(pre: Tensor, weight: Tensor, previous: Tensor) -> None:
    """Add the previous step's gates to input, forget and output gate, for full gate recurrence."""
    hidden = len(pre) // 4
    pre[: 2 * hidden].addmm_(weight[: 2 * hidden], previous)
    pre[3 * hidden :].addmm_(weight[2 * hidden :], previous)


def _peepholes(peephole: Tensor | None, switches: Switches, batch: int) -> tuple[Tensor | None, Tensor | None]:
    """Return the peepholes of the early gates `(gates, hidden, batch)` and of the output gate `(hidden, batch)`.

    None stands for peepholes that the variant lacks.
    """
    if peephole is None:
        return None, None
    # They are expanded to the whole batch once: expanding them at each step would take more than twice the time.
    early, columns = switches.early, peephole.unsqueeze(-1).expand(-1, -1, batch).contiguous()
    return columns[:early] if early else None, columns[-1] if switches.output_gate else None


def _stacked(act: Tensor, switches: Switches, name: str) -> Tensor | None:
    """Return a block's activations `(time, hidden, batch)`; None if the variant lacks the block."""
    return act[:, switches.blocks.index(name)] if name in switches.blocks else None


def _block(act: Tensor, switches: Switches, name: str) -> tuple[Tensor, ...]:
    found = _stacked(act, switches, name)
    return () if found is None else found.unbind()


def gates_of(blocks: Tensor) -> Tensor:
    """Return input, forget and output gate, `(time, 3 * hidden, batch)`, from all four blocks.

    `blocks` is `(time, 4, hidden, batch)`.
    """
    return torch.cat([blocks[:, :2], blocks[:, 3:]], dim=1).flatten(1, 2)


def _rows(sequence: Tensor) -> Tensor:
    """Reshape `(time, feature, batch)` to `(feature, time * batch)`."""
    return sequence.transpose(0, 1).flatten(1)


def _like(backward: Any, grad: Tensor, output: Tensor) -> Tensor:
    return backward(grad, output, grad_input=torch.empty_like(output))  # type: ignore[no-any-return]
