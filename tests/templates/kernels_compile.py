#!/usr/bin/env python3
"""Compiles every variant that a problem can ask for, and the default set, with NVRTC and holds the compiler's reports against the rules.

usage: kernels_compile.py SNAPMLA NVDISASM DIRECTORY

No warning, no serialised wgmma, no spill in a loop with tensor-core work or with copies by threads; in families other than MAY_SPILL none at
all. Prints the report; seconds are only told.
"""
import json
import pathlib
import subprocess
import sys


# Spills where the roles hold all registers of a multiprocessor; none in a loop over tiles that multiplies or copies by threads.
MAY_SPILL = ("mla_decode",)


def faults(kernel):
    """What the compiler's report of a kernel says against it."""
    spills = kernel["spill_bytes"] and kernel["variant"].split(":")[0] not in MAY_SPILL
    return [fault for fault, found in (("warnings", kernel["warnings"]), ("serialised wgmma", kernel["serialized_wgmma"]),
                                       (f"{kernel['spill_bytes']} bytes spilled", spills)) if found]


def layer_variants():
    """The kernels of a layer step: latent, options of the problem, variant."""
    for rotate in ("interleaved", "half"):
        yield "512", [], f"kv_append:norm=rms,rotate={rotate}"
    for kv_format in ("fp8_token", "bf16", "fp8_tensor"):
        options = ["--format", kv_format]
        yield "512", options, "kv_append:norm=rms,rotate=interleaved"
        yield "256", options, "kv_fetch:to=rows"
        yield "512", options, "kv_fetch:to=cache"
        for weights in ("bf16", "fp8"):
            for columns in (8, 64):
                yield "512", options, f"query_absorb:weights={weights},columns={columns}"
    for latent in ("128", "256", "384"):
        for weights in ("bf16", "fp8"):
            yield latent, [], f"query_absorb:weights={weights},rotate=half,nope=192,stages=3"
            if (latent, weights) != ("128", "fp8"):  # one chunk: no loop to look at
                yield latent, [], f"value_project:weights={weights},combine=separate,v=192,groups=1"
    for weights in ("bf16", "fp8"):
        for columns in (8, 16, 32, 64):
            for groups in (1, 2):
                yield "512", [], f"value_project:weights={weights},combine=separate,columns={columns},groups={groups}"
            yield "512", [], f"value_project:weights={weights},combine=fused,columns={columns}"
        yield "256", ["--sinks"], f"value_project:weights={weights},combine=fused,columns=8"
        for columns, groups, stages in ((8, 1, 12), (16, 1, 12), (32, 2, 8), (64, 2, 6), (128, 2, 4), (128, 1, 4)):
            for split in (1, 8):
                yield "512", [], f"output_project:weights={weights},columns={columns},groups={groups},split={split},stages={stages}"


def main():
    program, nvdisasm, directory = sys.argv[1:4]
    problems = [("512", "64", ["--variant", f"mla_decode:stages={s}"]) for s in (2, 3, 4)]
    problems += [("256", "64", ["--variant", "mla_decode:stages=7"])]
    problems += [("512", page, []) for page in ("16", "32", "64", "128")]
    problems += [(latent, page, []) for latent, pages in (("128", ("32", "64")), ("256", ("16", "128")), ("384", ("16", "64"))) for page in pages]
    problems += [("128", "64", ["--variant", "mla_decode:stages=8"]), ("384", "16", ["--variant", "mla_decode:stages=5"])]
    for heads in ("8", "16", "32"):
        problems += [("512", "64", ["--heads", heads]), ("512", "128", ["--heads", heads]),
                     ("256", "64", ["--heads", heads, "--variant", "mla_decode:stages=6"]),
                     ("512", "64", ["--heads", heads, "--variant", "mla_decode:stages=2"])]
    problems += [("512", "64", ["--variant", f"mla_combine:block={n}"]) for n in (128, 512)]
    problems += [(latent, "64", ["--variant", f"shard_merge:block={n}"]) for latent in ("128", "512") for n in (256, 512)]
    for kv_format in ("bf16", "fp8_tensor"):
        problems += [("512", "64", ["--format", kv_format, "--heads", heads]) for heads in ("8", "16", "32", "64")]
        problems += [(latent, page, ["--format", kv_format, "--heads", heads]) for heads in ("16", "64")
                     for latent, page in (("512", "16"), ("128", "32"), ("256", "128"), ("384", "64"))]
    problems += [("512", page, ["--format", "fp8_tile", "--accuracy", "max", "--heads", heads]) for heads, page in (("8", "64"), ("16", "16"), ("32", "128"))]
    problems += [("512", "64", ["--accuracy", "balanced", "--heads", "32", "--variant",
                                "mla_decode:limits=waived,values=f16,p_terms=1,promotion=none"])]
    # Widths of RoPE: the score steps differ, and the least widths' 64-byte rows.
    problems += [("512", page, ["--rope", rope, "--heads", heads]) for rope, heads, page in
                 (("0", "16", "64"), ("0", "64", "16"), ("32", "16", "16"), ("32", "64", "64"), ("128", "32", "64"), ("128", "64", "16"))]
    problems += [("512", "64", ["--rope", "128", "--format", "fp8_tensor", "--accuracy", "max", "--heads", "64"]),
                 ("512", "16", ["--rope", "32", "--format", "fp8_token_r4", "--heads", "32"])]
    for level, shapes in (("fast", (("512", "64"), ("384", "16"))), ("balanced", (("512", "16"),)), ("max", (("512", "64"), ("128", "32")))):
        problems += [(latent, page, ["--format", "fp8_token_r4", "--accuracy", level, "--heads", heads]) for heads in ("8", "16", "32")
                     for latent, page in shapes]
    problems += [("512", page, ["--format", "fp8_tile", "--heads", heads]) for heads, pages in
                 (("8", ("64",)), ("16", ("64", "128")), ("32", ("64", "16")), ("64", ("64", "16", "128"))) for page in pages]
    problems += [("512", "64", ["--scales", "power_of_two"]), ("512", "64", ["--format", "fp8_tile", "--scales", "power_of_two"])]
    sparse = ["--sparse", "2048"]
    problems += [("512", page, sparse) for page in ("16", "32", "64", "128")]
    problems += [("512", "64", [*sparse, "--heads", heads]) for heads in ("8", "16", "32")]
    problems += [("128", "128", [*sparse, "--variant", "mla_decode:stages=8"]), ("256", "16", [*sparse, "--heads", "16"]),
                 ("384", "128", [*sparse, "--variant", "mla_decode:stages=5"]), ("384", "32", [*sparse, "--heads", "32"])]
    problems += [("512", page, [*sparse, "--format", "fp8_tile", "--heads", heads]) for heads, page in (("32", "16"), ("64", "128"))]
    problems += [(latent, page, [*sparse, "--format", kv_format, "--heads", heads]) for kv_format in ("fp8_tensor", "bf16")
                 for heads, latent, page in (("32", "512", "16"), ("64", "512", "64"))]
    problems += [(latent, page, [*sparse, "--format", "fp8_token_r4", "--accuracy", level, "--heads", heads])
                 for level, heads, latent, page in (("fast", "32", "512", "64"), ("max", "16", "512", "16"), ("balanced", "32", "384", "64"))]
    # Lists with other widths of RoPE, which are copied apart, or not at all, or as two subtiles.
    problems += [("512", page, [*sparse, "--rope", rope, "--heads", heads]) for rope in ("0", "32", "128")
                 for heads, page in (("16", "64"), ("32", "16"), ("64", "128"))]
    problems += [("512", "64", [*sparse, "--rope", rope, "--format", kv_format, "--heads", heads]) for kv_format, shapes in
                 (("bf16", ("0 64", "32 16", "32 64", "128 32")), ("fp8_tensor", ("0 16", "32 64", "128 32")),
                  ("fp8_token_r4", ("0 32", "32 16", "128 16"))) for rope, heads in map(str.split, shapes)]
    problems += [("512", "16", [*sparse, "--rope", "32", "--accuracy", "max", "--heads", heads]) for heads in ("32", "64")]
    for variant in layer_variants():
        problems.append((variant[0], "64", [*variant[1], "--variant", variant[2]]))
    for level in ("balanced", "max"):
        problems += [("512", "64", ["--accuracy", level, "--heads", heads]) for heads in ("8", "16", "32", "64")]
        problems += [(latent, page, ["--accuracy", level, "--heads", heads]) for heads in ("16", "64")
                     for latent, page in (("384", "128"), ("128", "16"))]
        problems += [(latent, "64", ["--accuracy", level, "--heads", "64", *extra])
                     for latent, extra in (("256", []), ("384", ["--sinks"]), ("128", ["--sinks"]), ("512", ["--rope", "0"]))]
        problems += [("512", "64", ["--accuracy", level, "--heads", heads, *extra]) for heads in ("32", "64")
                     for extra in (["--format", "fp8_tensor"], sparse)]
    for heads in ("32", "64"):
        waived = ["promotion=none", "sums=exact", "score_parts=1", "score_parts=4", "p_terms=2,promotion=none"]
        problems += [("512", "64", ["--heads", heads, "--variant", f"mla_decode:limits=waived,{axes}"]) for axes in waived]
        one_by_one = ["--heads", heads, "--variant", f"mla_decode:pipeline=off,stages={1 if heads == '64' else 2}"]
        problems += [("512", "64", one_by_one), ("512", "64", ["--format", "bf16", *one_by_one])]
    sinks = ["--sinks"]
    problems += [("512", page, [*sinks, "--heads", heads]) for heads, page in (("8", "64"), ("16", "16"), ("32", "64"), ("64", "64"), ("64", "16"))]
    problems += [("512", "64", [*sinks, *sparse, "--format", "fp8_tile", "--heads", "64"])]
    problems += [("512", "64", [*sinks, "--heads", heads, *extra]) for heads in ("32", "64")
                 for extra in (["--format", "bf16"], ["--format", "fp8_tile"], ["--format", "fp8_tensor"], ["--accuracy", "balanced"],
                               ["--accuracy", "max"], sparse, ["--variant", "mla_decode:limits=waived,sums=exact"])]
    invariant = ["--batch-invariant"]
    problems += [("512", page, [*invariant, "--heads", heads]) for heads, page in (("8", "64"), ("16", "16"), ("32", "64"), ("64", "64"), ("64", "16"))]
    problems += [("512", "64", [*invariant, "--heads", heads, *extra]) for heads in ("32", "64")
                 for extra in (["--format", "bf16"], ["--format", "fp8_tile"], ["--format", "fp8_tensor"], ["--accuracy", "balanced"],
                               ["--accuracy", "max"], sparse, sinks)]
    asked = [["--latent", latent, "--page", page, *extra] for latent, page, extra in problems] + [["--set", "default"]]
    seen, failures = set(), []
    for words in asked:
        built = subprocess.run([program, "build", "--json", "--target", "sm90a", "-o", directory, *words], capture_output=True,
                               text=True, check=False)
        if built.returncode:
            sys.exit(f"build failed ({built.returncode}): {built.stderr}{built.stdout}")
        for kernel in json.loads(built.stdout):
            if kernel["variant"] in seen:
                continue
            seen.add(kernel["variant"])
            print("{registers:4d} registers {spill_bytes:3d} B spilled {smem_bytes:6d} B shared {seconds:5.2f} s  {variant}"
                  .format(**kernel))
            failures += [f"{kernel['variant']}: {fault}" for fault in faults(kernel)]
    cubins = sorted(str(f) for f in pathlib.Path(directory).glob("*.cubin"))
    if len(cubins) < len(seen):
        sys.exit(f"{len(seen)} kernels were built, but {directory} has {len(cubins)} cubins")
    spills = pathlib.Path(__file__).with_name("loop_spills.py")
    looked_at = subprocess.run([sys.executable, str(spills), nvdisasm, *cubins], check=False)
    if failures:
        print("against the rules:", *failures, sep="\n  ")
    sys.exit(1 if failures or looked_at.returncode else 0)


if __name__ == "__main__":
    main()
