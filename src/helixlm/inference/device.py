"""Where to compute: what a user names becomes a device, or an error that says what there is."""

import re

import torch

from helixlm.errors import InputError

_NAMES = re.compile(r"cpu|cuda(:\d+)?")


def resolve_device(device: str | torch.device | None = None) -> torch.device:
    """Turn the name of a device into a device that this machine has.

    Parameters
    ----------
    device : str or torch.device, optional
        "cpu", "cuda" or "cuda:N" (the N-th GPU, from 0); by default CUDA if there is one, or else
        the processor. Apple's GPU (mps) is not used yet.

    Returns
    -------
    torch.device
        The device; "cuda" without a number is the first GPU.

    Raises
    ------
    InputError
        If there is no such device here, or the name is not one of these.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is None:
        return torch.device("cuda" if count else "cpu")
    name = str(device)
    if _NAMES.fullmatch(name) is None:
        hint = " (Apple's GPU is not used yet)" if name.startswith("mps") else ""
        raise InputError(f"device {name!r}: expected cpu, cuda or cuda:N{hint}")
    wanted = torch.device(name)
    if wanted.type == "cuda" and not count:
        raise InputError(
            f"device {name!r}: torch finds no CUDA device here: use cpu, or run nvidia-smi and "
            f"install a torch that is built for CUDA"
        )
    if (wanted.index or 0) >= max(1, count):
        raise InputError(f"device {name!r}: this machine has cuda:0 to cuda:{count - 1}")
    return wanted
