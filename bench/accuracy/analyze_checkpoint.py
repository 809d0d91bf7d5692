#!/usr/bin/env python3
"""analyze_checkpoint.py CHECKPOINT DUMP.safetensors ... [--recommend] [--json] [-- OPTIONS of snapmla analyze]

Runs `snapmla analyze` on a real checkpoint: CHECKPOINT is its directory as it is published (config.json, *.safetensors, with an index
or without; DeepSeek's names, FP8 weights under block scales too, the language model of a vision-language model as well), the dumps
hold the latents of some layers (dump_latents.py makes them). Heads, channels and the softmax scale, YaRN's factor in it, come from
config.json; of the shards those are opened that hold an up-projection of a dumped layer. Needs no GPU, no numpy, no torch."""

import argparse
import json
import math
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

UP = re.compile(r"layers\.(\d+)\..*kv_b_proj\.weight(_scale_inv)?$")
LATENT = re.compile(r"(?:^|.*\.)layers\.(\d+)\.(?:.*\.)?latent$")


def names_in(path):
    """The names of a safetensors file's tensors."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > 100 << 20:
            sys.exit(f"analyze_checkpoint.py: {path} is no safetensors file")
        return [name for name in json.loads(file.read(length)) if name != "__metadata__"]


def shape_of(checkpoint):
    """(heads, content, softmax scale) of config.json; that of the language model where it holds several."""
    config = json.loads((checkpoint / "config.json").read_text())
    for key in ("text_config", "language_config", "llm_config"):
        config = config.get(key, config) if "qk_nope_head_dim" not in config else config
    try:
        heads, content, rope = (config[key] for key in ("num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim"))
    except KeyError as missing:
        sys.exit(f"analyze_checkpoint.py: {checkpoint}/config.json has no {missing}: it is no model with latent attention")
    scale = (content + rope) ** -0.5
    scaling = config.get("rope_scaling") or {}
    factor, all_dim = scaling.get("factor", 1), scaling.get("mscale_all_dim", 0)
    if factor > 1 and all_dim:
        scale *= (0.1 * all_dim * math.log(factor) + 1) ** 2  # YaRN, as DeepSeek applies it
    return heads, content, scale


def shards_of(checkpoint, layers):
    """The shards that hold an up-projection of one of the layers."""
    index = checkpoint / "model.safetensors.index.json"
    if index.exists():
        where = json.loads(index.read_text())["weight_map"]
    else:
        where = {name: path.name for path in sorted(checkpoint.glob("*.safetensors")) for name in names_in(path)}
    found, shards = set(), set()
    for name, shard in where.items():
        match = UP.search(name)
        if match and int(match[1]) in layers:
            shards.add(checkpoint / shard)
            found.add(int(match[1]))
    if layers - found:
        sys.exit(f"analyze_checkpoint.py: {checkpoint} has no kv_b_proj.weight of layers {sorted(layers - found)}")
    return sorted(shards)


def main():
    arguments = sys.argv[1:]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("dumps", type=pathlib.Path, nargs="+")
    parser.add_argument("--recommend", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--program", default=os.environ.get("SNAPMLA_PROGRAM") or shutil.which("snapmla"))
    o = parser.parse_args(arguments[:at])
    if not o.program:
        sys.exit("analyze_checkpoint.py: there is no snapmla in PATH: install it, or name it with --program")
    layers = {int(match[1]) for dump in o.dumps for match in map(LATENT.match, names_in(dump)) if match}
    if not layers:
        sys.exit("analyze_checkpoint.py: no dump has a tensor layers.N.latent: dump_latents.py writes them")
    heads, content, scale = shape_of(o.checkpoint)
    command = [o.program, "analyze", *map(str, o.dumps), *map(str, shards_of(o.checkpoint, layers)), "--heads", str(heads),
               "--content", str(content), "--softmax-scale", repr(scale), *arguments[at + 1 :]]  # fmt: skip
    command += ["--recommend"] * o.recommend + ["--json"] * o.json
    sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()
