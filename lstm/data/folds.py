"""The folds of a cross-validation: which sequences are judged together, dealt out by scikit-learn."""

import numpy as np


def deal(chosen: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Deal sequences out into folds, with equal shares of each class (scikit-learn's `StratifiedKFold`).

    Args:
        chosen: The numbers of the sequences, sorted: (sequence,). Each class has at least `count` of them.
        labels: The class of each of these sequences: (sequence,).
        count: The number of folds.
        seed: Another seed deals otherwise.

    Returns:
        The numbers of the sequences in each fold, sorted. A fold has each class.
    """
    from sklearn.model_selection import StratifiedKFold

    dealer = StratifiedKFold(count, shuffle=True, random_state=seed)
    return tuple(np.sort(chosen[places]) for _, places in dealer.split(chosen, labels))
