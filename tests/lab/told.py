"""What a refusal says, as the tuples that tests compare: where, the fault's code, and what its message names."""

FILE = "a.yaml:"  # as specs of tests are called: of its lines only the number is told


def told(fault):
    """Where a fault is, its code, and those of its values that are not None: `("11: model.cell", "not-one-of", …)`."""
    where = ": ".join(filter(None, (fault.place.removeprefix(FILE), fault.path)))
    return where, fault.code, {name: value for name, value in fault.values.items() if value is not None}


def all_told(faults):
    """The same of many."""
    return [told(fault) for fault in faults]
