"""How fast the machine is.

What a training step uses of it is reported as model FLOPs utilisation: the operations that the
mathematics of the model needs (`models/cost.py`), over what the machine's own matrix product does
in the same time and precision.

References
----------
Chowdhery et al. (2022), PaLM, appendix B: model FLOPs utilisation.
"""

import time

import torch


def measure_peak(device: torch.device, dtype: torch.dtype, *, seconds: float = 0.4) -> float:
    """Measure the rate of square matrix products, in floating-point operations a second.

    Parameters
    ----------
    device : torch.device
        Where to measure.
    dtype : torch.dtype
        Precision of the matrices.
    seconds : float
        How long to measure; the best of the repeats counts.
    """
    size = 8192 if device.type == "cuda" else 1024
    left = torch.ones(size, size, device=device, dtype=dtype)
    best = 0.0
    begin = time.perf_counter()
    for attempt in range(1000):
        _wait(device)
        start = time.perf_counter()
        left @ left
        _wait(device)
        took = time.perf_counter() - start
        if attempt:  # The first product loads kernels.
            best = max(best, 2.0 * size**3 / took)
        if attempt > 1 and time.perf_counter() - begin > seconds:
            break
    return best


class Peak:
    """What a device's own matrix product does, to compare training with.

    Other work on the machine while it is measured makes it look slow. So it is measured again
    whenever training is found to be faster, and of all measurements the best counts.

    Parameters
    ----------
    device : torch.device
        Where training runs.
    dtype : torch.dtype
        Precision of its matrix products.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self.flops = measure_peak(device, dtype)
        """floating-point operations a second"""

    def share(self, flops: float) -> float | None:
        """Return a rate of training, operations a second, as a share of it.

        None where training is faster even than what is measured now: then nothing is known.
        """
        if flops > self.flops:
            self.flops = max(self.flops, measure_peak(self._device, self._dtype))
        return flops / self.flops if flops <= self.flops else None


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
