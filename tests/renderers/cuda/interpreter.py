"""Repairs of Triton's interpreter, which tests run the kernels in on a machine without a GPU."""

from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter


def repair() -> None:
    """Multiply bfloat16 as numbers, not as the integers they are stored as; take loops' bounds from
    arrays of one element, which numpy 2.4 no longer converts to int."""
    builder: Any = interpreter.InterpreterBuilder
    multiply, patch = builder.create_dot, interpreter._patch_lang_tensor

    def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        return multiply(self, _as_float32(a), _as_float32(b), *rest)

    def patch_lang_tensor(tensor: Any, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    builder.create_dot = create_dot
    interpreter._patch_lang_tensor = patch_lang_tensor


def _as_float32(handle: Any) -> Any:
    if handle.dtype.scalar != tl.bfloat16:
        return handle
    wide = (handle.data.astype(np.uint32) << 16).view(np.float32)
    return interpreter.TensorHandle(wide, tl.float32)
