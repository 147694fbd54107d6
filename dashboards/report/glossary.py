"""The meaning of a probe's numbers in plain words; the functions that measure them have the exact definitions."""

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "delay/strongest": "change of the answer when the most influential input changes by one standard deviation",
    "delay/peak": "steps back to the most influential input; 0 is the last input",
    "delay/half_life": "steps back at which an input still has half of the largest influence",
    "delay/one_percent": "steps back at which an input still has 1 % of the largest influence",
    "delay/oldest": "influence of the window's first input relative to the largest; above 0.01, the network remembers "
    "longer than its window",
    "delay/forget_time_constant_median": "steps in which the forget gate of a typical (median) unit lets two thirds of "
    "its memory go",
    "delay/forget_time_constant_p90": "steps in which a unit that remembers long lets two thirds of its memory go; "
    "nine in ten units forget sooner",
    "feedback/gain": "change of the answer when an input is one standard deviation higher for a whole window",
    "feedback/settling": "steps until the answer to that change is final, within 5 % of its peak; the window's length "
    "means: not within the window",
    "feedback/overshoot": "share of the answer's peak that is gone at the end",
    "feedback/period": "steps from one swing to the next after a single pulse",
    "activation/variance": "variance of the network's own free-running output relative to the data: 0 = decays to a "
    "constant, 1 = same variance",
    "activation/rest": "share of windows after which the free-running output comes to rest",
    "activation/runaway": "share of windows after which the free-running output runs away: it ends more than ten "
    "standard deviations from the data",
    "activation/period": "steps from one swing to the next in the free-running output",
    "activation/saturated": "share of the values close to their limits, where the network hardly learns",
    "scalability/time_exponent": "growth of the time with the input's length; 1: twice the length takes twice the time",
    "scalability/step_us": "microseconds of processor time for one more step of one sequence, on that machine",
    "scalability/memory_exponent": "growth of the training memory with the input's length; 1: twice the length takes "
    "twice the memory",
    "scalability/step_bytes": "bytes that training keeps for one more step of one sequence",
    "reliability/loss": "loss on the probed windows, undisturbed",
    "reliability/noise": "loss with noise of half a standard deviation on every input, as a multiple of the "
    "undisturbed loss",
    "reliability/missing": "loss with a fifth of the values missing, each replaced by the last one before it, as a "
    "multiple of the undisturbed loss",
    "reliability/shift": "loss with every input shifted by half a standard deviation, as a multiple of the undisturbed "
    "loss",
    "reliability/worst": "the largest of reliability/noise, reliability/missing and reliability/shift",
    "reliability/shuffled": "loss with the steps of each window in a random order, as a multiple of the "
    "undisturbed loss",
    "reliability/noise_doubling": "noise, in standard deviations, that doubles the loss; 4 means: not even that does",
}


def meaning(name: str) -> str:
    """Return the meaning of a number, "" if it is unknown; a column or gate after the first two parts is ignored."""
    return MEANINGS.get("/".join(name.split("/")[:2]), "")
