"""snapmla: FP8 decode attention for Multi-head Latent Attention. numpy arrays run on the emulator, CUDA tensors on
their GPU."""

from . import shards
from ._library import ArgumentError, Error, kv_formats, version
from .cache import BATCH_INVARIANT, SINKS, Layout, convert_tokens, new_cache, problem, read_tokens
from .context import Context, from_bf16, to_bf16
from .flash_mla import close, flash_mla_with_kvcache, get_mla_metadata
from .layer import LayerPlan, LayerWeights, layer_problem, rope_table
from .pack import Pack
from .plan import Plan
from .tokens import copy_tokens, fetch_tokens

__version__ = version()
__all__ = [
    "ArgumentError", "BATCH_INVARIANT", "Context", "Error", "LayerPlan", "LayerWeights", "Layout", "Pack", "Plan", "SINKS", "close",
    "convert_tokens", "copy_tokens", "fetch_tokens", "flash_mla_with_kvcache", "from_bf16", "get_mla_metadata", "kv_formats",
    "layer_problem", "new_cache", "problem", "read_tokens", "rope_table", "shards", "to_bf16", "version",
]  # fmt: skip
