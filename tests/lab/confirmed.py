"""The spec of a small sweep whose best settings are confirmed, and where its parts lie in its table."""

SPEC = """\
name: tiny
data:
  path: tiny.csv
  time: day
  target: load
  lookback: 14
  horizon: 7
  split: {validation: 64, test: 60}
  backtest: {windows: 2, length: 16, fresh: true}
model: {hidden_size: 3}
training: {max_epochs: 2, batch_size: 64, learning_rate: 1e-2}
search:
  n_trials: 3
  sampler: {type: random, seed: 3}
  confirm: {top: 2, seeds: 2}
  space:
    training.learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
"""
QUIET = SPEC.replace("  confirm: {top: 2, seeds: 2}\n", "")
ROWS, TEST, LENGTH = 240, 60, 16
FRESH = ROWS - TEST - 2 * LENGTH  # the first row that the search has not seen
