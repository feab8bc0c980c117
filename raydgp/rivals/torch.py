"""A model as torch runs it, on this machine's CPU or GPU.

On a GPU it computes in fp32 as we do, without TF32, which rounds what is multiplied to 10 bits; inputs are there when a
call begins, and it is over when the device is done.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from raydgp.errors import InputError
from raydgp.models.importing.torch_models import load_torch
from raydgp.rivals.names import GPUS
from raydgp.rivals.ways import Array, Way


def torch_way(way: str, source: str, target: str, threads: int) -> Way:
    """A model as one of `raydgp.rivals.ways.torch_ways` runs it.

    Raises:
        InputError: of a GPU, torch was installed without CUDA.
    """
    if gpu := GPUS.get(target):
        _prepare_gpu()
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    module: Any
    module, inputs = load_torch(source)
    expected = tuple(arrays(module(*copies(inputs))))
    if gpu:
        module, inputs = module.to(gpu), tree_map(lambda a: a.to(gpu), inputs)
    if way == "torch channels_last":
        last = torch.channels_last
        module = module.to(memory_format=last)
        inputs = tree_map(lambda a: a.to(memory_format=last) if a.ndim == 4 else a, inputs)
    elif way == "torch frozen":
        module = torch.jit.optimize_for_inference(torch.jit.trace(module, copies(inputs)))
    elif way == "torch compiled":
        module = torch.compile(module)

    def run() -> Any:
        out = module(*inputs)
        if gpu:
            torch.cuda.synchronize()
        return out

    return run, arrays, expected


def arrays(out: Any) -> list[Array]:
    """The tensors of an output, or of inputs, flat; halves as float32, for numpy has no bfloat16."""
    tensors = [leaf.detach().cpu() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
    halves = (torch.float16, torch.bfloat16)
    return [(tensor.float() if tensor.dtype in halves else tensor).numpy() for tensor in tensors]


def copies(inputs: Any) -> Any:
    """Inputs for a model that may write into them."""
    return tree_map(torch.clone, inputs)


def _prepare_gpu() -> None:
    if not torch.cuda.is_available():
        raise InputError("this torch has no CUDA, or no GPU is here: install the wheel of torch for CUDA")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # shapes are fixed: cuDNN's fastest algorithm, not its first guess
