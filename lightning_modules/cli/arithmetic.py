"""How a GPU multiplies float32 in this process: set once, for training and tools alike."""

import torch

NAMES = {True: "tf32", False: "float32"}


def use_tensor_cores() -> None:
    """Have a GPU round what it multiplies in float32 to TF32 (10 bits of mantissa), in products as
    in convolutions, and cuDNN try its convolutions for every shape and take the fastest.

    For all of this process; nothing without a GPU. What must not be rounded is computed in
    `whole_float32`.
    """
    if not torch.cuda.is_available():
        return
    # Not by `torch.backends.*.fp32_precision`: then torch's older settings raise an error when they
    # are read, as Lightning does on such GPUs (seen with torch 2.14, Lightning 2.6).
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def gpu_arithmetic() -> dict[str, object] | None:
    """How a GPU multiplies float32 now, and whether cuDNN tries its convolutions, for the record of
    a run; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    return {
        "products": NAMES[torch.get_float32_matmul_precision() != "highest"],
        "convolutions": NAMES[torch.backends.cudnn.allow_tf32],
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
    }
