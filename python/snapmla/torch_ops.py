"""The calls as torch custom operators, which torch.compile and FakeTensor trace: `import snapmla.torch_ops` registers them.

    torch.ops.snapmla.append(cache, latent, rope, slot_mapping, plan, kv_scale)        changes cache
    torch.ops.snapmla.schedule(workspace, block_table, seqlens, index_counts, plan)    changes workspace
    torch.ops.snapmla.decode(workspace, q_nope, q_rope, cache, block_table, seqlens, softmax_scale, out, lse, indices,
                             index_counts, plan, kv_scale, sinks)                      changes workspace, out and lse
    torch.ops.snapmla.flash_mla(q, k_cache, block_table, cache_seqlens, head_dim_v, softmax_scale, causal, kv_format,
                                descale_k, indices, max_context, topk_length, is_fp8_kvcache,
                                attn_sink) -> (out, lse)
    torch.ops.snapmla.merge(outs, lses, out, lse, plan, sinks)                         changes out and lse
    torch.ops.snapmla.layer_append(cache, latent, rope, slot_mapping, positions, plan, weights, kv_scale)      changes cache
    torch.ops.snapmla.layer_schedule(workspace, block_table, seqlens, index_counts, plan)                      changes workspace
    torch.ops.snapmla.layer_step(workspace, q, positions, cache, block_table, seqlens, softmax_scale, out, latent, rope,
                                 slot_mapping, lse, indices, index_counts, plan, weights, kv_scale, sinks)
                                                                        changes workspace, cache, out and lse

`plan` is Plan.number, of the layer_ operators LayerPlan.number, `weights` LayerWeights.number: an operator takes no Python object.
They must live as long as what was compiled or captured with them. A scale is None or a tensor of one fp32. flash_mla changes
nothing that is seen: each call schedules for itself, in a workspace from torch's allocator. Shapes are those of Plan, LayerPlan
and flash_mla_with_kvcache; make plans before a graph is captured, or a call of the shape."""

from typing import Optional, Tuple

import torch
from torch import Tensor

from ._plans import numbered
from .flash_mla import flash_mla_with_kvcache, get_mla_metadata
from .layer import LayerPlan, LayerWeights
from .plan import Plan


def _scale(kv_scale):
    return 0.0 if kv_scale is None else kv_scale


@torch.library.custom_op("snapmla::append", mutates_args=("cache",))
def append(cache: Tensor, latent: Tensor, rope: Tensor, slot_mapping: Tensor, plan: int,
           kv_scale: Optional[Tensor] = None) -> None:  # fmt: skip
    numbered("plan", plan, Plan).append(cache, latent, rope, slot_mapping, _scale(kv_scale))


@append.register_fake
def _(cache, latent, rope, slot_mapping, plan, kv_scale=None):
    return None


@torch.library.custom_op("snapmla::schedule", mutates_args=("workspace",))
def schedule(workspace: Tensor, block_table: Optional[Tensor], seqlens: Optional[Tensor], index_counts: Optional[Tensor],
             plan: int) -> None:  # fmt: skip
    numbered("plan", plan, Plan).schedule(workspace, block_table, seqlens, index_counts)


@schedule.register_fake
def _(workspace, block_table, seqlens, index_counts, plan):
    return None


@torch.library.custom_op("snapmla::decode", mutates_args=("workspace", "out", "lse"))
def decode(workspace: Tensor, q_nope: Tensor, q_rope: Tensor, cache: Tensor, block_table: Optional[Tensor],
           seqlens: Optional[Tensor], softmax_scale: float, out: Tensor, lse: Optional[Tensor], indices: Optional[Tensor],
           index_counts: Optional[Tensor], plan: int, kv_scale: Optional[Tensor] = None,
           sinks: Optional[Tensor] = None) -> None:  # fmt: skip
    numbered("plan", plan, Plan).decode(workspace, q_nope, q_rope, cache, block_table, seqlens, softmax_scale, out, lse,
                               _scale(kv_scale), None, indices, index_counts, sinks)  # fmt: skip


@decode.register_fake
def _(workspace, q_nope, q_rope, cache, block_table, seqlens, softmax_scale, out, lse, indices, index_counts, plan,
      kv_scale=None, sinks=None):  # fmt: skip
    return None


@torch.library.custom_op("snapmla::flash_mla", mutates_args=())
def flash_mla(q: Tensor, k_cache: Tensor, block_table: Optional[Tensor], cache_seqlens: Optional[Tensor], head_dim_v: int,
              softmax_scale: Optional[float] = None, causal: bool = False, kv_format: Optional[str] = None,
              descale_k: Optional[Tensor] = None, indices: Optional[Tensor] = None, max_context: Optional[int] = None,
              topk_length: Optional[Tensor] = None, is_fp8_kvcache: bool = False,
              attn_sink: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:  # fmt: skip
    return flash_mla_with_kvcache(
        q, k_cache, block_table, cache_seqlens, head_dim_v, get_mla_metadata()[0], None, softmax_scale, causal,
        descale_k=descale_k, is_fp8_kvcache=is_fp8_kvcache, indices=indices, topk_length=topk_length, kv_format=kv_format,
        max_context=max_context, attn_sink=attn_sink,
    )  # fmt: skip


@flash_mla.register_fake
def _(q, k_cache, block_table, cache_seqlens, head_dim_v, softmax_scale=None, causal=False, kv_format=None, descale_k=None,
      indices=None, max_context=None, topk_length=None, is_fp8_kvcache=False, attn_sink=None):  # fmt: skip
    batch, q_len, heads, _ = q.shape
    return (
        q.new_empty((batch, q_len, heads, head_dim_v)),
        q.new_empty((batch, heads, q_len), dtype=torch.float32),
    )


@torch.library.custom_op("snapmla::merge", mutates_args=("out", "lse"))
def merge(outs: Tensor, lses: Tensor, out: Tensor, lse: Optional[Tensor], plan: int, sinks: Optional[Tensor] = None) -> None:
    numbered("plan", plan, Plan).merge(outs, lses, out, lse, sinks)


@merge.register_fake
def _(outs, lses, out, lse, plan, sinks=None):
    return None


@torch.library.custom_op("snapmla::layer_append", mutates_args=("cache",))
def layer_append(cache: Tensor, latent: Tensor, rope: Tensor, slot_mapping: Tensor, positions: Optional[Tensor], plan: int,
                 weights: int, kv_scale: Optional[Tensor] = None) -> None:  # fmt: skip
    numbered("plan", plan, LayerPlan).append(cache, latent, rope, slot_mapping, positions,
                                             numbered("weights", weights, LayerWeights), _scale(kv_scale))  # fmt: skip


@layer_append.register_fake
def _(cache, latent, rope, slot_mapping, positions, plan, weights, kv_scale=None):
    return None


@torch.library.custom_op("snapmla::layer_schedule", mutates_args=("workspace",))
def layer_schedule(workspace: Tensor, block_table: Optional[Tensor], seqlens: Optional[Tensor], index_counts: Optional[Tensor],
                   plan: int) -> None:  # fmt: skip
    numbered("plan", plan, LayerPlan).schedule(workspace, block_table, seqlens, index_counts)


@layer_schedule.register_fake
def _(workspace, block_table, seqlens, index_counts, plan):
    return None


@torch.library.custom_op("snapmla::layer_step", mutates_args=("workspace", "cache", "out", "lse"))
def layer_step(workspace: Tensor, q: Tensor, positions: Optional[Tensor], cache: Tensor, block_table: Optional[Tensor],
               seqlens: Optional[Tensor], softmax_scale: float, out: Tensor, latent: Optional[Tensor], rope: Optional[Tensor],
               slot_mapping: Optional[Tensor], lse: Optional[Tensor], indices: Optional[Tensor], index_counts: Optional[Tensor],
               plan: int, weights: int, kv_scale: Optional[Tensor] = None, sinks: Optional[Tensor] = None) -> None:  # fmt: skip
    numbered("plan", plan, LayerPlan).step(workspace, numbered("weights", weights, LayerWeights), q, positions, cache,
                                           block_table, seqlens, softmax_scale, out, latent, rope, slot_mapping, lse,
                                           _scale(kv_scale), None, indices, index_counts, sinks)  # fmt: skip


@layer_step.register_fake
def _(workspace, q, positions, cache, block_table, seqlens, softmax_scale, out, latent, rope, slot_mapping, lse, indices,
      index_counts, plan, weights, kv_scale=None, sinks=None):  # fmt: skip
    return None
