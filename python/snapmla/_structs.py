"""The C structs that the package passes. tests/python/test_structs.py holds sizes and offsets against the headers."""

import ctypes as c


class _Sized(c.Structure):
    """A struct that begins with its size, which is filled in when it is made."""

    def __init__(self, **fields):
        super().__init__(size=c.sizeof(type(self)), **fields)

    def launch(self):
        """The part of a call's arguments that has its stream."""
        return self


class ContextOptions(_Sized):
    C_NAME = "snapmla_context_options"
    _fields_ = [
        ("size", c.c_size_t),
        ("device", c.c_char_p),
        ("templates", c.c_char_p),
        ("emulator_order", c.c_int),
        ("emulator_seed", c.c_uint64),
        ("emulator_sms", c.c_int32),
        ("emulator_threads", c.c_int32),
        ("progress", c.c_void_p),
        ("progress_user", c.c_void_p),
    ]


class DeviceInfo(_Sized):
    C_NAME = "snapmla_device_info"
    _fields_ = [
        ("size", c.c_size_t),
        ("name", c.c_char * 128),
        ("product", c.c_char * 128),
        ("is_emulator", c.c_int32),
        ("compute_major", c.c_int32),
        ("compute_minor", c.c_int32),
        ("multiprocessors", c.c_int32),
        ("shared_memory_bytes", c.c_int32),
        ("l2_bytes", c.c_int64),
        ("driver_version", c.c_int32),
        ("device_class", c.c_char * 96),
    ]


class Problem(_Sized):
    C_NAME = "snapmla_problem"
    _fields_ = [
        ("size", c.c_size_t),
        ("heads", c.c_int32),
        ("q_len", c.c_int32),
        ("latent_rank", c.c_int32),
        ("rope_dim", c.c_int32),
        ("page_tokens", c.c_int32),
        ("kv_format", c.c_int),
        ("accuracy", c.c_int),
        ("max_batch", c.c_int32),
        ("max_context", c.c_int32),
        ("flags", c.c_uint32),
        ("max_indices", c.c_int32),
    ]


class PlanOptions(_Sized):
    C_NAME = "snapmla_plan_options"
    _fields_ = [
        ("size", c.c_size_t),
        ("variant", c.c_char_p),
        ("effort", c.c_int),
        ("flags", c.c_uint32),
        ("deadline_seconds", c.c_double),
        ("memory_limit_bytes", c.c_size_t),
        ("workers", c.c_int32),
        ("candidate_seconds", c.c_double),
        ("progress", c.c_void_p),
        ("progress_user", c.c_void_p),
    ]


class DecodeArgs(_Sized):
    C_NAME = "snapmla_decode_args"
    _fields_ = [
        ("size", c.c_size_t),
        ("batch", c.c_int32),
        ("q_nope", c.c_void_p),
        ("q_nope_stride_batch", c.c_int64),
        ("q_nope_stride_token", c.c_int64),
        ("q_nope_stride_head", c.c_int64),
        ("q_rope", c.c_void_p),
        ("q_rope_stride_batch", c.c_int64),
        ("q_rope_stride_token", c.c_int64),
        ("q_rope_stride_head", c.c_int64),
        ("kv", c.c_void_p),
        ("page_stride", c.c_int64),
        ("num_pages", c.c_int64),
        ("block_table", c.c_void_p),
        ("block_table_stride", c.c_int64),
        ("seqlens", c.c_void_p),
        ("out", c.c_void_p),
        ("out_stride_batch", c.c_int64),
        ("out_stride_token", c.c_int64),
        ("out_stride_head", c.c_int64),
        ("lse", c.c_void_p),
        ("lse_stride_batch", c.c_int64),
        ("lse_stride_head", c.c_int64),
        ("lse_stride_token", c.c_int64),
        ("softmax_scale", c.c_float),
        ("workspace", c.c_void_p),
        ("workspace_bytes", c.c_size_t),
        ("stream", c.c_void_p),
        ("indices", c.c_void_p),
        ("indices_stride_batch", c.c_int64),
        ("indices_stride_token", c.c_int64),
        ("index_counts", c.c_void_p),
        ("kv_scale", c.c_float),
        ("kv_scale_pointer", c.c_void_p),
        ("sinks", c.c_void_p),
    ]


class MergeArgs(_Sized):
    C_NAME = "snapmla_merge_args"
    _fields_ = [
        ("size", c.c_size_t),
        ("shards", c.c_int32),
        ("batch", c.c_int32),
        ("outs", c.c_void_p),
        ("outs_stride_shard", c.c_int64),
        ("outs_stride_batch", c.c_int64),
        ("outs_stride_token", c.c_int64),
        ("outs_stride_head", c.c_int64),
        ("lses", c.c_void_p),
        ("lses_stride_shard", c.c_int64),
        ("lses_stride_batch", c.c_int64),
        ("lses_stride_head", c.c_int64),
        ("lses_stride_token", c.c_int64),
        ("out", c.c_void_p),
        ("out_stride_batch", c.c_int64),
        ("out_stride_token", c.c_int64),
        ("out_stride_head", c.c_int64),
        ("lse", c.c_void_p),
        ("lse_stride_batch", c.c_int64),
        ("lse_stride_head", c.c_int64),
        ("lse_stride_token", c.c_int64),
        ("sinks", c.c_void_p),
        ("is_fp32", c.c_int32),
        ("stream", c.c_void_p),
    ]


class AppendArgs(_Sized):
    C_NAME = "snapmla_append_args"
    _fields_ = [
        ("size", c.c_size_t),
        ("tokens", c.c_int64),
        ("latent", c.c_void_p),
        ("latent_stride", c.c_int64),
        ("rope", c.c_void_p),
        ("rope_stride", c.c_int64),
        ("slot_mapping", c.c_void_p),
        ("kv", c.c_void_p),
        ("page_stride", c.c_int64),
        ("num_pages", c.c_int64),
        ("stream", c.c_void_p),
        ("kv_scale", c.c_float),
        ("kv_scale_pointer", c.c_void_p),
    ]


class PageLayout(_Sized):
    C_NAME = "snapmla_page_layout"
    _fields_ = [
        ("size", c.c_size_t),
        ("page_bytes", c.c_int64),
        ("image_bytes", c.c_int64),
        ("image_tokens", c.c_int32),
        ("bytes_per_token", c.c_double),
        ("fingerprint", c.c_char * 65),
    ]


class Cache(_Sized):
    C_NAME = "snapmla_cache"
    _fields_ = [
        ("size", c.c_size_t),
        ("kv", c.c_void_p),
        ("page_stride", c.c_int64),
        ("num_pages", c.c_int64),
        ("kv_scale", c.c_float),
    ]


class Rope(c.Structure):
    C_NAME = "snapmla_rope"
    _fields_ = [
        ("base", c.c_double),
        ("factor", c.c_double),
        ("original_context", c.c_double),
        ("beta_fast", c.c_double),
        ("beta_slow", c.c_double),
        ("mscale", c.c_double),
        ("mscale_all_dim", c.c_double),
    ]


class LayerProblem(_Sized):
    C_NAME = "snapmla_layer_problem"
    _fields_ = [
        ("size", c.c_size_t),
        ("attention", Problem),
        ("nope_dim", c.c_int32),
        ("v_dim", c.c_int32),
        ("weight_type", c.c_int),
        ("rope_pairs", c.c_int),
        ("norm_epsilon", c.c_float),
        ("flags", c.c_uint32),
        ("rope", Rope),
        ("hidden_size", c.c_int32),
    ]


class LayerWeights(c.Structure):
    C_NAME = "snapmla_layer_weights"
    _fields_ = [
        ("kv_b", c.c_void_p),
        ("kv_b_stride", c.c_int64),
        ("kv_b_scale", c.c_void_p),
        ("kv_b_scale_stride", c.c_int64),
        ("norm", c.c_void_p),
        ("rope_table", c.c_void_p),
        ("rope_positions", c.c_int32),
        ("o", c.c_void_p),
        ("o_stride", c.c_int64),
        ("o_scale", c.c_void_p),
        ("o_scale_stride", c.c_int64),
    ]


class LayerAppendArgs(_Sized):
    C_NAME = "snapmla_layer_append_args"
    _fields_ = [
        ("size", c.c_size_t),
        ("append", AppendArgs),
        ("positions", c.c_void_p),
        ("weights", c.c_void_p),
    ]

    def launch(self):
        return self.append


class LayerArgs(_Sized):
    C_NAME = "snapmla_layer_args"
    _fields_ = [
        ("size", c.c_size_t),
        ("weights", c.c_void_p),
        ("q", c.c_void_p),
        ("q_stride_token", c.c_int64),
        ("q_stride_head", c.c_int64),
        ("positions", c.c_void_p),
        ("latent", c.c_void_p),
        ("latent_stride", c.c_int64),
        ("rope", c.c_void_p),
        ("rope_stride", c.c_int64),
        ("slot_mapping", c.c_void_p),
        ("out", c.c_void_p),
        ("out_stride_token", c.c_int64),
        ("out_stride_head", c.c_int64),
        ("decode", DecodeArgs),
    ]

    def launch(self):
        return self.decode


class FetchArgs(_Sized):
    C_NAME = "snapmla_fetch_args"
    _fields_ = [
        ("size", c.c_size_t),
        ("tokens", c.c_int64),
        ("slots", c.c_void_p),
        ("latent", c.c_void_p),
        ("latent_stride", c.c_int64),
        ("rope", c.c_void_p),
        ("rope_stride", c.c_int64),
        ("kv", c.c_void_p),
        ("page_stride", c.c_int64),
        ("num_pages", c.c_int64),
        ("stream", c.c_void_p),
        ("kv_scale", c.c_float),
        ("kv_scale_pointer", c.c_void_p),
    ]


class MoveArgs(_Sized):
    C_NAME = "snapmla_move_args"
    _fields_ = [
        ("size", c.c_size_t),
        ("tokens", c.c_int64),
        ("from", c.c_void_p),
        ("to", c.c_void_p),
        ("kv", c.c_void_p),
        ("page_stride", c.c_int64),
        ("num_pages", c.c_int64),
        ("stream", c.c_void_p),
    ]


class PackOptions(_Sized):
    C_NAME = "snapmla_pack_options"
    _fields_ = [
        ("size", c.c_size_t),
        ("keys", c.c_char_p),
        ("key_count", c.c_size_t),
        ("allow_host_code", c.c_int32),
        ("require_device_class", c.c_int32),
    ]


ALL = (
    ContextOptions, DeviceInfo, Problem, PlanOptions, DecodeArgs, MergeArgs, AppendArgs, PageLayout, Cache, Rope, LayerProblem, LayerWeights,
    LayerAppendArgs, LayerArgs, FetchArgs, MoveArgs, PackOptions,
)  # fmt: skip
