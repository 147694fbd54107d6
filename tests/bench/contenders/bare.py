"""One training in plain PyTorch, as the limit and the stock recipe run it: the work itself, and nothing around it.

It takes the quickest ways that we know of (fused Adam, denormals flushed, windows as views), so that what contenders
differ in is what they put around it. Weights and the order of windows are drawn as `lstm.training.loop` draws them: the
losses of one configuration must agree between contenders, which `outcome.py` checks.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Work = dict[str, Any]  # as `workload.py` makes it
Settings = dict[str, Any]  # hidden_size, num_layers, learning_rate
WEIGHTS, ORDER = range(2)  # lstm.training.loop's purposes of random draws
JUDGED_AT_ONCE = 512


class Network(nn.Module):
    """Recurrent layers over the look-back `(batch, lookback, 1)`, a linear head: `(batch, horizon, 1)`."""

    def __init__(self, settings: Settings, horizon: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, settings["hidden_size"], settings["num_layers"], batch_first=True)
        self.head = nn.Linear(settings["hidden_size"], horizon)

    def forward(self, past: Tensor) -> Tensor:
        states, _ = self.lstm(past)
        forecast: Tensor = self.head(states[:, -1])
        return forecast.unsqueeze(-1)


def series(work: Work) -> Tensor:
    """The values up to the test part, scaled by the training part's mean and deviation: (time,) float32."""
    values = np.loadtxt(work["csv"], delimiter=",", skiprows=1, usecols=1)[: work["train"] + work["validation"]]
    train = values[: work["train"]]
    return torch.from_numpy(((values - train.mean()) / train.std()).astype(np.float32))


class Training:
    """A network, its optimizer and its windows."""

    def __init__(self, work: Work, settings: Settings, values: Tensor, device: str = "cpu") -> None:
        torch.set_flush_denormal(True)
        self.work, self.device = work, device
        torch.manual_seed(int(np.random.SeedSequence([work["seed"], WEIGHTS]).generate_state(1, np.uint64)[0] >> 1))
        self.network = Network(settings, work["horizon"]).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), settings["learning_rate"], fused=True)
        self.windows = values.to(device).unfold(0, work["lookback"] + work["horizon"], 1).unsqueeze(-1)
        train, lookback = work["train"], work["lookback"]
        self.trained_on = len(self.windows[: train - lookback - work["horizon"] + 1])
        self.judged_on = self.windows[train - lookback :]

    @property
    def proof(self) -> dict[str, int]:
        """What was trained and how far: parameters, those of the recurrent layers, steps of the optimizer."""
        state = self.optimizer.state[self.network.head.weight]
        return {
            "recurrent": sum(parameter.numel() for parameter in self.network.lstm.parameters()),
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "steps": int(state["step"]) if state else 0,
        }

    def epochs(self) -> Iterator[dict[str, float]]:
        """Trains; yields each epoch's losses."""
        for number in range(self.work["max_epochs"]):
            train_loss = self._train(number)
            yield {"train/loss": train_loss, "val/loss": self._judge()}

    def _train(self, number: int) -> float:
        size, lookback = self.work["batch_size"], self.work["lookback"]
        order = np.random.default_rng([self.work["seed"], ORDER, number]).permutation(self.trained_on)
        self.network.train()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for batch in torch.from_numpy(order).to(self.device).split(size):
            window = self.windows[batch]
            self.optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.mse_loss(self.network(window[:, :lookback]), window[:, lookback:])
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            nn.utils.clip_grad_norm_(self.network.parameters(), self.work["gradient_clip"])
            self.optimizer.step()
            total += loss.detach() * len(batch)
        return total.item() / self.trained_on

    @torch.no_grad()
    def _judge(self) -> float:
        lookback, total = self.work["lookback"], 0.0
        self.network.eval()
        for window in self.judged_on.split(JUDGED_AT_ONCE):
            forecast = self.network(window[:, :lookback])
            total += nn.functional.mse_loss(forecast, window[:, lookback:]).item() * len(window)
        return total / len(self.judged_on)
