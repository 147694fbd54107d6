"""The exceptions of the Python API."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lstm.records.errors import BadInput, Refusal


class SpecError(BadInput):
    """An error in the input. Nothing was started or written.

    `faults` has all faults in the order of the spec, each with its code, field, values and fix; `str()` of a fault is a
    sentence.
    """


class SweepError(Exception):
    """A failed sweep or training. If the cause is an exception, it is in `__cause__`.

    `code` is the command line's exit code: 1 failed, 3 another driver holds the sweep, 130 stopped by somebody.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        """Take what happened, in a sentence, and the exit code."""
        super().__init__(message)
        self.code = code


@contextmanager
def raised() -> Iterator[None]:
    """Raise errors as `SpecError` or `SweepError`, and keep the caller's filters of warnings."""
    with warnings.catch_warnings():  # libraries add filters when they are imported
        warnings.filterwarnings("ignore", message="IProgress not found")  # about Optuna's progress bar, not shown here
        try:
            yield
        except (SpecError, SweepError):
            raise
        except Refusal as error:
            raise (SpecError(*error.faults) if error.code == 2 else SweepError(str(error), error.code)) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise SweepError(f"{where}{error.strerror or error}") from error
