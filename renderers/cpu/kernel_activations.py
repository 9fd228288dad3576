"""Activations for the numba kernels, as precise as the type that the result is stored in.

`itemsize` names that type by its bytes: 2 is bfloat16, where a relative error of 1e-4 vanishes in
the rounding, 4 is float32, where it is 3e-7.
"""

from __future__ import annotations

from renderers.cpu.kernel_vectors import Vector

LOG2_E, LN_2 = 1.4426950408889634, 0.6931471805599453
LOWEST = -87.0
"""Below it e^x is no longer a normal float32."""


def _polynomial(x: Vector, *coefficients: float) -> Vector:
    """coefficients[0] + x (coefficients[1] + ...)."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total = (total + coefficient) * x
    return total + coefficients[0]


def exp_of_negative(x: Vector, itemsize: int) -> Vector:
    """e^x for x <= 0: 2^n by exponent bits, the rest by a polynomial."""
    bounded = x.at_least(LOWEST)
    if itemsize == 2:
        scaled = bounded * LOG2_E
        whole = scaled.floor()
        rest = scaled - whole
        return _polynomial(rest, 1.0, 0.695976, 0.22494, 0.0790208) * whole.exponent()
    whole = (bounded * LOG2_E + 0.5).floor()
    rest = bounded - whole * LN_2
    tail = (0.99999995, 0.49999377, 0.16666935, 0.04187514, 0.00833332)
    return _polynomial(rest, 1.0, *tail) * whole.exponent()


def _log1p(u: Vector, itemsize: int) -> Vector:
    """log(1 + u) for u in [0, 1].

    bfloat16: Abramowitz and Stegun 4.1.43. float32: 2 artanh(u / (2 + u)), an odd polynomial.
    """
    if itemsize == 2:
        tail = (0.99949556, -0.49190896, 0.28947478, -0.13606275, 0.03215845)
        return _polynomial(u, 0.0, *tail)
    s = u / (u + 2.0)
    return s * _polynomial(s * s, 1.99999967, 0.66676003, 0.39589461, 0.3422605)


def _minus_absolute(x: Vector) -> Vector:
    return x.where_negative(x, x * -1.0)


def softplus(x: Vector, itemsize: int) -> Vector:
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|)."""
    return x.at_least(0.0) + _log1p(exp_of_negative(_minus_absolute(x), itemsize), itemsize)


def sigmoid(x: Vector, itemsize: int) -> Vector:
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows."""
    u = exp_of_negative(_minus_absolute(x), itemsize)
    smaller = u / (u + 1.0)
    return x.where_negative(smaller, 1.0 - smaller)


def gelu(x: Vector) -> Vector:
    """x (1 + erf(x / sqrt 2)) / 2 in float32; Abramowitz and Stegun 7.1.26, error 1.5e-7 |x|."""
    z = _minus_absolute(x) * -(0.5**0.5)
    t = 1.0 / (z * 0.3275911 + 1.0)
    tail = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
    above = _polynomial(t, 0.0, *tail) * exp_of_negative(z * z * -1.0, 4) * 0.5
    return x * x.where_negative(above, 1.0 - above)
