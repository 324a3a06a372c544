"""One line of what `./run evaluate` prints."""
from dataclasses import dataclass


@dataclass
class Row:
    quantity: str  # with its unit
    truth: object  # a number, a word, or None where nobody knows
    measured: object
    tolerance: float = 0  # of a number
    of_which: str = ""  # quantities of one name are summed up together; default: the quantity

    @property
    def error(self):
        return self.measured - self.truth if all(isinstance(v, (int, float)) for v in (self.truth, self.measured)) else None

    @property
    def verdict(self):
        if self.truth is None:
            return "no truth"
        right = abs(self.error) <= self.tolerance if self.error is not None else self.truth == self.measured
        return "ok" if right else "OFF"
