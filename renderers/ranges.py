"""The range of numbers that users set.

`datamodules.errors.check_number` raises a `DataError` of the same sentence; models and renderers,
which do not know it, raise ValueError, which the command tells the user as it is.
"""

import math


def range_fault(name: str, value: float, low: float, high: float = math.inf) -> str | None:
    """What is wrong with a number in one sentence, None where it is in its range; both ends are
    allowed, an end is infinite where there is no limit, and infinite values are wrong there too.

    Args:
        name: the option or argument that sets it, as the user writes it.

    >>> range_fault("lr", -1.0, 0, 10)
    'lr is -1.0, it must be from 0 to 10.'
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and low <= value <= high and abs(value) != math.inf:
        return None
    limits = f"from {low:,} to {high:,}" if math.isfinite(high) else f"at least {low:,}"
    return f"{name} is {value!r}, it must be {limits}."


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse a number outside its range; arguments as in `range_fault`.

    Raises:
        ValueError: the value is outside, infinite, NaN, or no number.
    """
    if (fault := range_fault(name, value, low, high)) is not None:
        raise ValueError(fault)
