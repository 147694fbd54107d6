"""An encoder-decoder in NumPy, one sentence and one step at a time: it shares no code with the product."""

import itertools
import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


class Reference:
    """The equations of a network of one or more layers of LSTMs or GRUs, with its weights."""

    def __init__(self, network):
        self.w = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}
        self.model = network.model

    def layer(self, cell, mark, x, h, c):
        w = {kind: self.w[f"{cell}.{kind}_{mark}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        of_x, of_h = w["weight_ih"] @ x + w["bias_ih"], w["weight_hh"] @ h + w["bias_hh"]
        if self.model.cell == "lstm":
            i, f, g, o = np.split(of_x + of_h, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            return sigmoid(o) * np.tanh(c), c
        (rx, zx, nx), (rh, zh, nh) = np.split(of_x, 3), np.split(of_h, 3)
        z = sigmoid(zx + zh)
        return (1 - z) * np.tanh(nx + sigmoid(rx + rh) * nh) + z * h, c

    def encode(self, units):
        """Returns the states (step, width), and the decoder's first state: h and c for each layer."""
        layer, states = list(self.w["embeddings.0.weight"][units]), []
        for number in range(self.model.num_layers):
            passes, ends = [], []
            for direction in range(1 + self.model.bidirectional):
                mark = f"l{number}{'_reverse' if direction else ''}"
                h = c = np.zeros(self.w[f"cell.weight_hh_{mark}"].shape[1])
                found = []
                for x in layer[::-1] if direction else layer:
                    h, c = self.layer("cell", mark, x, h, c)
                    found.append(h)
                passes.append(found[::-1] if direction else found)
                ends.append((h, c))
            layer = [np.concatenate(each) for each in zip(*passes, strict=True)]
            begin = [np.concatenate(each) for each in zip(*ends, strict=True)]
            bridges = range(2 if self.model.cell == "lstm" else 1)
            made = [self.w[f"bridges.{n}.weight"] @ begin[n] + self.w[f"bridges.{n}.bias"] for n in bridges]
            states.append((made[0], made[-1]))
        return np.array(layer), states

    def attend(self, query, memory):
        """Returns what is read of the memory (step, width), and the weights."""
        w, kind = self.w, self.model.attention
        scores = []
        for state in memory:
            if kind == "dot":
                scores.append(query @ state[: len(query)])
            elif kind == "general":
                scores.append(query @ w["attention.of_state.weight"] @ state)
            else:
                of_query = w["attention.of_query.weight"] @ query + w["attention.of_query.bias"]
                scores.append(
                    w["attention.score.weight"][0] @ np.tanh(of_query + w["attention.of_state.weight"] @ state)
                )
        weights = softmax(np.array(scores))
        return sum(weight * state for weight, state in zip(weights, memory, strict=True)), weights

    def step(self, unit, states, fed, memory):
        """Returns ln p of the next unit, the states, the output and the weights."""
        embeddings = self.w.get("embeddings.1.weight", self.w["embeddings.0.weight"])
        x = np.concatenate([embeddings[unit], fed]) if self.model.input_feeding else embeddings[unit]
        after = []
        for number, before in enumerate(states):
            after.append(self.layer("decoder", f"l{number}", x, *before))
            x = after[-1][0]
        context, weights = self.attend(x, memory) if self.model.attention != "none" else (np.zeros(0), None)
        output = np.tanh(self.w["combine.weight"] @ np.concatenate([x, context]))
        logits = self.w.get("weight", embeddings) @ output + self.w["bias"]
        return logits - logits.max() - math.log(np.exp(logits - logits.max()).sum()), after, output, weights

    def begin(self, units):
        memory, states = self.encode(units)
        return memory, states, np.zeros(self.w["combine.weight"].shape[0])

    def log_probabilities(self, units, target):
        """Returns ln p of each unit of a target after those before it; the first of the target is the begin."""
        memory, states, fed = self.begin(units)
        found = []
        for unit, following in itertools.pairwise(target):
            chances, states, fed, _ = self.step(unit, states, fed, memory)
            found.append(chances[following])
        return found

    def beam(self, units, limit, marks, beam, exponent):
        """Returns the best translation: its units, ln p, score, and weights of attention."""
        memory, states, fed = self.begin(units)
        going, ended = [(0.0, (), states, fed, ())], []
        for length in range(1, limit + 1):
            every = []
            for total, done, before, output, seen in going:
                chances, after, made, weights = self.step(done[-1] if done else marks.begin, before, output, memory)
                for unit, chance in enumerate(chances):
                    if unit not in marks.never:
                        every.append((total + chance, (*done, unit), after, made, (*seen, weights)))
            every = sorted(every, key=lambda each: -each[0])[: 2 * beam]
            for total, done, _, _, seen in every[:beam]:
                if done[-1] == marks.end:
                    ended.append((done[:-1], total, total / ((5 + length) / 6) ** exponent, seen))
            going = [each for each in every if each[1][-1] != marks.end][:beam]
            best = max((each[2] for each in ended), default=-math.inf)
            if len(ended) >= beam or (ended and going[0][0] / ((6 + limit) / 6) ** exponent <= best):
                break
        if not ended:
            total, done, _, _, seen = going[0]
            ended.append((done, total, total / ((5 + limit) / 6) ** exponent, seen))
        return max(ended, key=lambda each: each[2])
