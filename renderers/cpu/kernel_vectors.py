"""Vector arithmetic for the numba kernels, emitted as LLVM instructions.

numba has neither bfloat16 nor explicit vectors, and LLVM gives up on loops whose pointers might
overlap. A `Vector` is a float32 vector under construction: its operators append instructions.
bfloat16 storage widens by a shift of 16 bits and is rounded to nearest even. Storage is named by
its item size in bytes: 2 is bfloat16, 4 is float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

LANES = 16
CACHE_LINE = 64  # bytes
I16, I32, I64, F32 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
ELEMENT = {2: I16, 4: F32}
# Reordering and fusing are welcome, but NaN must survive: a diverged model has to show.
FAST = ("reassoc", "contract", "nsz")


def blocks(channels: int) -> list[tuple[int, int]]:
    """Cut a row into (first channel, lanes) blocks of at most 16 lanes."""
    return [(c, min(LANES, channels - c)) for c in range(0, channels, LANES)]


def _integers(value: int, lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(I32, lanes), [value] * lanes)


@dataclass(frozen=True)
class Vector:
    """A float32 vector value in the function that `builder` is writing."""

    builder: Any
    value: Any
    lanes: int

    def _operand(self, other: Vector | float) -> Any:
        if isinstance(other, Vector):
            return other.value
        return ir.Constant(ir.VectorType(F32, self.lanes), [float(other)] * self.lanes)

    def _new(self, value: Any) -> Vector:
        return Vector(self.builder, value, self.lanes)

    def __add__(self, other: Vector | float) -> Vector:
        """Emit an addition."""
        return self._new(self.builder.fadd(self.value, self._operand(other), flags=FAST))

    def __sub__(self, other: Vector | float) -> Vector:
        """Emit a subtraction."""
        return self._new(self.builder.fsub(self.value, self._operand(other), flags=FAST))

    def __rsub__(self, other: float) -> Vector:
        """Emit a subtraction from a constant."""
        return self._new(self.builder.fsub(self._operand(other), self.value, flags=FAST))

    def __mul__(self, other: Vector | float) -> Vector:
        """Emit a multiplication."""
        return self._new(self.builder.fmul(self.value, self._operand(other), flags=FAST))

    def __truediv__(self, other: Vector | float) -> Vector:
        """Emit a division."""
        return self._new(self.builder.fdiv(self.value, self._operand(other), flags=FAST))

    def __rtruediv__(self, other: float) -> Vector:
        """Emit a division of a constant."""
        return self._new(self.builder.fdiv(self._operand(other), self.value, flags=FAST))

    def _call(self, name: str, *operands: Any) -> Any:
        kind = ir.FunctionType(self.value.type, [x.type for x in operands])
        full = f"llvm.{name}.v{self.lanes}f32"
        function = cgutils.get_or_insert_function(self.builder.module, kind, full)
        return self.builder.call(function, operands)

    def floor(self) -> Vector:
        """Emit a rounding towards minus infinity."""
        return self._new(self._call("floor", self.value))

    def where_negative(self, negative: Vector, other: Vector) -> Vector:
        """Emit a choice by sign: `negative` where self < 0, else `other`."""
        below = self.builder.fcmp_ordered("<", self.value, self._operand(0.0))
        return self._new(self.builder.select(below, negative.value, other.value))

    def at_least(self, bound: float) -> Vector:
        """Emit max(self, bound); NaN stays NaN."""
        below = self.builder.fcmp_ordered("<", self.value, self._operand(bound))
        return self._new(self.builder.select(below, self._operand(bound), self.value))

    def exponent(self) -> Vector:
        """Emit 2^self for integral values in [-126, 127], by writing the exponent bits."""
        whole = self.builder.fptosi(self.value, ir.VectorType(I32, self.lanes))
        biased = self.builder.add(whole, _integers(127, self.lanes))
        bits = self.builder.shl(biased, _integers(23, self.lanes))
        return self._new(self.builder.bitcast(bits, self.value.type))

    def interleave(self, odd: Vector) -> Vector:
        """Emit self[0], odd[0], self[1], odd[1], ...: a vector of twice the lanes."""
        order = [lane // 2 + lane % 2 * self.lanes for lane in range(2 * self.lanes)]
        mask = ir.Constant(ir.VectorType(I32, 2 * self.lanes), order)
        value = self.builder.shuffle_vector(self.value, odd.value, mask)
        return Vector(self.builder, value, 2 * self.lanes)

    def sum(self) -> Any:
        """Emit the sum over lanes, a float32 scalar."""
        kind = ir.FunctionType(F32, [F32, self.value.type])
        name = f"llvm.vector.reduce.fadd.v{self.lanes}f32"
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [ir.Constant(F32, 0.0), self.value], fastmath=FAST)

    def largest(self) -> Any:
        """Emit the largest of the lanes, a float32 scalar."""
        kind = ir.FunctionType(F32, [self.value.type])
        name = f"llvm.vector.reduce.fmax.v{self.lanes}f32"
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [self.value])


@dataclass(frozen=True)
class Row:
    """Elements in memory from `offset` (elements, an i64 value) past `address` (an i64 value)."""

    builder: Any
    address: Any
    offset: Any
    itemsize: int

    def _pointer(self, first: int, lanes: int) -> Any:
        index = self.builder.add(self.offset, ir.Constant(I64, first))
        place = self.builder.mul(index, ir.Constant(I64, self.itemsize))
        kind = ir.VectorType(ELEMENT[self.itemsize], lanes).as_pointer()
        return self.builder.inttoptr(self.builder.add(self.address, place), kind)

    def prefetch(self, first: int) -> None:
        """Emit a request for the cache line of element `first`."""
        pointer = self.builder.bitcast(self._pointer(first, 1), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
        name = "llvm.prefetch.p0i8"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        read, keep, data = (ir.Constant(I32, value) for value in (0, 3, 1))
        self.builder.call(function, [pointer, read, keep, data])

    def load(self, first: int, lanes: int) -> Vector:
        """Emit a load of `lanes` elements from element `first` on, widened to float32."""
        builder = self.builder
        value = builder.load(self._pointer(first, lanes), align=self.itemsize)
        if self.itemsize == 2:
            wide = builder.shl(builder.zext(value, ir.VectorType(I32, lanes)), _integers(16, lanes))
            value = builder.bitcast(wide, ir.VectorType(F32, lanes))
        return Vector(builder, value, lanes)

    def load_even_odd(self, first: int, lanes: int) -> tuple[Vector, Vector]:
        """Emit a load of `lanes` bfloat16 elements; those at even and odd places, as float32."""
        builder, half = self.builder, lanes // 2
        pointer = self._pointer(first, lanes)
        wide = builder.bitcast(pointer, ir.VectorType(I32, half).as_pointer())
        pairs = builder.load(wide, align=self.itemsize)
        even = builder.shl(pairs, _integers(16, half))
        odd = builder.and_(pairs, _integers(0xFFFF0000, half))
        kind = ir.VectorType(F32, half)
        values = (builder.bitcast(bits, kind) for bits in (even, odd))
        first_half, second_half = (Vector(builder, value, half) for value in values)
        return first_half, second_half

    def store(self, vector: Vector, first: int) -> None:
        """Emit a store from element `first` on, rounded to the storage type."""
        builder, lanes, value = self.builder, vector.lanes, vector.value
        if self.itemsize == 2:
            bits = builder.bitcast(value, ir.VectorType(I32, lanes))
            odd = builder.and_(builder.lshr(bits, _integers(16, lanes)), _integers(1, lanes))
            rounded = builder.add(bits, builder.add(odd, _integers(0x7FFF, lanes)))
            upper = builder.lshr(rounded, _integers(16, lanes))
            value = builder.trunc(upper, ir.VectorType(I16, lanes))
        builder.store(value, self._pointer(first, lanes), align=self.itemsize)


def splat(builder: Any, scalar: Any, lanes: int) -> Vector:
    """Emit a vector with the float32 `scalar` in every lane."""
    undefined = ir.Constant(ir.VectorType(F32, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return Vector(builder, builder.shuffle_vector(first, undefined, _integers(0, lanes)), lanes)


def load_float(builder: Any, address: Any, index: Any) -> Any:
    """Emit a load of the float32 number `index` past an address."""
    pointer = builder.inttoptr(address, F32.as_pointer())
    return builder.load(builder.gep(pointer, [index]))


def accumulators(builder: Any, lanes: list[int], first: float = 0.0) -> list[Any]:
    """Emit vectors that a loop can change, with one value in all lanes."""
    totals = [cgutils.alloca_once(builder, ir.VectorType(F32, n)) for n in lanes]
    for total, n in zip(totals, lanes, strict=True):
        builder.store(ir.Constant(ir.VectorType(F32, n), [first] * n), total)
    return totals


def value_of(builder: Any, total: Any, lanes: int) -> Vector:
    """Emit a load of an accumulator."""
    return Vector(builder, builder.load(total), lanes)


def add_to(builder: Any, total: Any, term: Vector) -> None:
    """Emit an addition to an accumulator."""
    builder.store((value_of(builder, total, term.lanes) + term).value, total)
