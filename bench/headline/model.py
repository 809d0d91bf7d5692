"""Bytes that one layer's attention has to read in a decode step, of a model with DeepSeek-V3's dimensions (its published configuration),
whose heads are shared among `tp` devices; the projections of the hidden state to latents are each device's own, as is the cache."""

HIDDEN, QUERY_LATENT, LATENT, ROPE, NOPE, VALUE, HEADS, LAYERS = 7168, 1536, 512, 64, 128, 128, 128, 61
BYTES = {"bf16": 2, "fp8": 1}


def weights(tp):
    """Numbers in the matrices: W_DQ and W_DKV; W_UQ, kv_b (W_UK and W_UV) and W_O of the device's heads."""
    heads = HEADS // tp
    replicated = HIDDEN * (QUERY_LATENT + LATENT + ROPE)
    shared = heads * (QUERY_LATENT * (NOPE + ROPE) + (NOPE + VALUE) * LATENT + VALUE * HIDDEN)
    return replicated + shared


def step_bytes(tp, weight_type, bytes_per_token, tokens):
    """(weights, cache) of batch 1."""
    return weights(tp) * BYTES[weight_type], bytes_per_token * tokens


def cache_gb(bytes_per_token, tokens):
    """Of all layers, in 10^9 bytes."""
    return bytes_per_token * tokens * LAYERS / 1e9
