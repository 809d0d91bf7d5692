"""dump_latents.py: writes the latents of a running PyTorch model to a file for `snapmla analyze` and analyze_checkpoint.py.

    import dump_latents
    with dump_latents.Dump(model, "latents.safetensors", tokens=4096):     # any module tree with DeepSeek's names
        model.generate(...)                                                # or an engine's forward: text, images, …

Every module named …layers.N….kv_a_layernorm is watched: its output is what is cached. The key's RoPE channels are those of
kv_a_proj_with_mqa beside it, as they are before rotation: rotating a pair changes neither its norm nor a token's scale, so the error of
quantising them is about the same. Rows are kept until each layer has `tokens` of them."""

import re

LAYER = re.compile(r"layers\.(\d+)\..*?(kv_a_layernorm|kv_a_proj_with_mqa)$")


class Dump:
    """Watches from `with` to its end, then writes the file. rope_dim: the last channels of kv_a_proj_with_mqa."""

    def __init__(self, model, path, tokens=4096, rope_dim=64):
        self.path, self.tokens, self.rope_dim = path, tokens, rope_dim
        self.rows, self.hooks = {}, []
        for name, module in model.named_modules():
            match = LAYER.search(name)
            if match:
                kind = "latent" if match[2] == "kv_a_layernorm" else "rope"
                self.hooks.append(module.register_forward_hook(self._hook(f"layers.{match[1]}.{kind}")))
        if not self.hooks:
            raise ValueError("dump_latents: the model has no module named …layers.N….kv_a_layernorm")

    def _hook(self, name):
        def keep(_module, _inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            rows = output.detach().flatten(0, -2)
            if name.endswith("rope"):
                rows = rows[:, -self.rope_dim :]
            have = sum(len(part) for part in self.rows.get(name, []))
            if have < self.tokens:
                self.rows.setdefault(name, []).append(rows[: self.tokens - have].float().cpu())

        return keep

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for hook in self.hooks:
            hook.remove()
        if kind is None:
            self.write()

    def write(self):
        import tensor_dump
        import torch

        tensor_dump.write(self.path, {name: torch.cat(parts).to(torch.bfloat16) for name, parts in sorted(self.rows.items())})
