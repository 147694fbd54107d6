"""Measures the five properties of a trained network: delay, feedback, activation, scalability, reliability."""

from collections.abc import Callable

from lstm.diagnostics.activation import activation
from lstm.diagnostics.reliability import reliability
from lstm.diagnostics.response import delay, feedback
from lstm.diagnostics.scalability import scalability
from lstm.diagnostics.subject import Subject
from lstm.records.figures import Probe

PROPERTIES: tuple[Callable[[Subject], Probe], ...] = (delay, feedback, activation, scalability, reliability)


def probe(subject: Subject) -> Probe:
    """Measure all numbers and pictures of a subject; the function of each property explains its numbers.

    Repeated measurements give the same results, except for times. The cost is about that of judging 8,000 windows:
    seconds on one thread for usual networks.
    """
    measured = [measure(subject) for measure in PROPERTIES]
    numbers = {name: value for each in measured for name, value in each.numbers.items()}
    return Probe(numbers, tuple(picture for each in measured for picture in each.pictures))
