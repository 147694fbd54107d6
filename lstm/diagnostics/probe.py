"""What a trained network is like: the five properties, measured."""

from collections.abc import Callable

from lstm.diagnostics.activation import activation
from lstm.diagnostics.reliability import reliability
from lstm.diagnostics.response import delay, feedback
from lstm.diagnostics.scalability import scalability
from lstm.diagnostics.subject import Subject
from lstm.records.figures import Probe

PROPERTIES: tuple[Callable[[Subject], Probe], ...] = (delay, feedback, activation, scalability, reliability)


def probe(subject: Subject) -> Probe:
    """All numbers and pictures of a subject; what each number means stands at its property's function.

    Everything but the times is the same whenever it is measured. It costs about as much
    as 8,000 windows judged, so seconds on one thread for usual networks.
    """
    measured = [measure(subject) for measure in PROPERTIES]
    numbers = {name: value for each in measured for name, value in each.numbers.items()}
    return Probe(numbers, tuple(picture for each in measured for picture in each.pictures))
