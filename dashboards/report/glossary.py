"""What a probe's numbers say, in plain words; their exact definitions stand at the functions that measure them."""

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "delay/strongest": "change of the answer when the input that counts most is one standard deviation off",
    "delay/peak": "steps back to the input that counts most",
    "delay/half_life": "steps back at which an input still has half of that influence",
    "delay/one_percent": "steps back at which an input still has a hundredth of it",
    "delay/oldest": "influence of the window's first input, as a share of the largest: more than 0.01 and the network "
    "remembers longer than its window",
    "delay/forget_time_constant_median": "steps after which a typical unit's forget gate has let two thirds of its "
    "memory go",
    "delay/forget_time_constant_p90": "the same of the units that keep longest: nine in ten forget sooner",
    "feedback/gain": "change of the answer after the input has been one standard deviation higher for a whole window",
    "feedback/settling": "steps until the answer to that stands still, to 5 %; the window's length means not within",
    "feedback/overshoot": "share of the answer's peak that is gone in the end",
    "feedback/period": "steps from swing to swing after a single pulse",
    "activation/variance": "liveliness on its own, against the data: 0 falls silent, 1 is as lively",
    "activation/rest": "share of windows from which it comes to rest on its own",
    "activation/runaway": "share of windows from which it runs away on its own",
    "activation/period": "steps from swing to swing on its own",
    "activation/saturated": "share of the time that it is nearly shut or wide open, so that it hardly learns",
    "scalability/time_exponent": "1: twice the length takes twice the time",
    "scalability/step_us": "microseconds of processor time for one more step of one sequence, on that machine",
    "scalability/memory_exponent": "1: twice the length takes twice the memory in training",
    "scalability/step_bytes": "bytes that training keeps for one more step of one sequence",
    "reliability/loss": "loss on the probed windows as they are",
    "reliability/noise": "the loss, in multiples of that, with noise of half a standard deviation on every input",
    "reliability/missing": "the same with a fifth of the values missing, the last one before standing in",
    "reliability/shift": "the same with every input off by half a standard deviation",
    "reliability/worst": "the largest of these three",
    "reliability/noise_doubling": "noise, in standard deviations, that doubles the loss; 4 means not even that",
}


def meaning(name: str) -> str:
    """What a number says; what follows the property's two words is a column or a gate. "" where nothing is known."""
    return MEANINGS.get("/".join(name.split("/")[:2]), "")
