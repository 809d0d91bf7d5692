"""The headline tables of one run, as Markdown: from ceilings.csv, layer.csv, ablation.csv and, where evaluated, perplexity.csv of a folder."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common"), str(HERE.parent / "decode"), str(HERE.parent / "accuracy")]
import ablation  # noqa: E402
import model  # noqa: E402
from interval import gate, percent  # noqa: E402
from programs import axis, read, table  # noqa: E402

CONTEXT = 131072
PAPER = {"fp8": 1.8, "pipelining": 1.3, "both": 1.73, "perplexity": 0.3}  # at batch 1 and 128K; percent
NAMES = {"fp8": "FP8 alone", "pipelining": "pipelining alone", "both": "both"}
MOST_PERCENT = {"fp8_token": 56, "fp8_tensor": 50}  # bytes as allocated, of bf16's
LEAST_GAIN, LEAST_OF_BYTES = 1.7, 90  # attention alone where memory binds: over our bf16; percent of the ratio of bytes
SILENT = ("fp8_token_r4", "fp8_token_r4/max", "fp8_token/max")  # ways that must lie within the noise of bf16
NOISE_GATES = {"holds_zero": "within the noise of bf16: the interval holds 0", "no_larger": "within the noise of bf16: the change, either way, no larger than bf16's own"}


class Run:
    """The files of one run. `modelled`: by the emulator, so that no time is judged."""

    def __init__(self, folder):
        self.notes, ceilings = read(folder / "ceilings.csv")
        layer_notes, self.layer = read(folder / "layer.csv")
        self.facts = dict(n.split(": ", 1) for n in [*self.notes, *layer_notes] if ": " in n)
        self.modelled = any("times are modelled" in n for n in self.notes)
        self.attention = read(folder / "ablation.csv")[1]
        evaluated = folder / "perplexity.csv"
        self.perplexity_notes, self.perplexity = read(evaluated) if evaluated.exists() else ([], [])
        self.gb_per_s = self.best(ceilings, "read", "cluster=1")
        self.fp8_tflops, self.bf16_tflops = (self.best(ceilings, "wgmma", f"kind={k}") for k in ("e4m3", "bf16"))
        cold = [float(r["time_us"]) for r in ceilings if r["group"] == "cold"]
        self.cold_us = min(cold) if cold else None
        self.steps = {(int(r["batch"]), int(r["heads"]), int(r["tokens"]), r["format"], r["weights"],
                       axis(r["variant"], "pipeline"), r["stage"]): r for r in self.layer}  # fmt: skip
        self.hidden = int(self.layer[0].get("hidden") or 0)  # channels of the steps' output, 0 where they end with the values
        self.fused = any(r.get("combine") == "fused" for r in self.layer)  # the up-projection of some merges what was cut
        self.shapes = list(dict.fromkeys(key[:3] for key in self.steps))

    @staticmethod
    def best(rows, group, text):
        values = [float(r["median"]) for r in rows if r["group"] == group and text in r["variant"] and r["median"]]
        if not values:
            sys.exit(f"ceilings.csv has no figure of the group {group} with {text}: run snapmla-ceilings with the groups read and wgmma")
        return max(values)

    def figure(self, name, shape, cache, weights, stage="step", pipeline="on"):
        key = (*shape, cache, weights, pipeline, stage)
        if key not in self.steps:
            sys.exit(f"layer.csv lacks {key}: measure anew (bench/headline/run.py)")
        return float(self.steps[key][name])

    def us(self, *where, **more):
        """Microseconds of a layer."""
        return self.figure("us_per_layer", *where, **more)

    def bytes(self, *where, **more):
        """What a stage of a layer has to read at least."""
        return self.figure("bytes", *where, **more)

    def kinds(self, shape):
        return list(dict.fromkeys(key[3:5] for key in self.steps if key[:3] == shape))

    def bytes_per_token(self):
        return {r["format"]: float(r["kv_bytes_per_token"]) for r in self.layer}

    def judged(self, met):
        return "not judged: modelled" if self.modelled else "met" if met else "missed"


def tp_of(heads):
    return model.HEADS // heads


def shape_text(shape):
    return f"{shape[0]}, {shape[1]}, {ablation.tokens_text(shape[2])}"


def headline_rows(run):
    """[what, bf16, FP8, change, the paper's]"""
    for shape in run.shapes:
        base, where = run.us(shape, "bf16", "bf16"), f"layer step, {shape_text(shape)} (TP {tp_of(shape[1])})"
        for weights, beside in (("bf16", "bf16 weights on both sides"), ("fp8", "FP8 weights beside FP8")):
            us = run.us(shape, "fp8_token", weights)
            yield [f"tokens/s, {where}, {beside}", *(f"{shape[0] / t / model.LAYERS * 1e6:.0f}" for t in (base, us)), f"{base / us:.2f} ×",
                   f"{PAPER['both']} ×"]  # fmt: skip
    per_token = run.bytes_per_token()
    pair = [per_token["bf16"], per_token["fp8_token"]]
    change = f"{100 * (pair[1] / pair[0] - 1):+.1f} %"
    yield ["cache, bytes a token as allocated", *(f"{b:g}" for b in pair), change, "half"]
    yield [f"cache, GB at 128K, {model.LAYERS} layers", *(f"{model.cache_gb(b, CONTEXT):.2f}" for b in pair), change, "half"]
    found = [float(r["nats"]) for r in run.perplexity if (r["scenario"], r["way"]) == ("plain", "fp8_token")]
    yield ["perplexity, plain text", "–", "–", f"{percent(found[0]):+.3f} %" if found else "not measured", f"+{PAPER['perplexity']} %"]
    for shape, rows in ablation.times(run.attention).items():
        if shape[0] == 1:
            gain = ablation.gains({key: float(r["median_us"]) for key, r in rows.items()})
            for word, value in zip(("fp8", "pipelining", "both"), gain):
                yield [f"ablation, attention, {shape_text(shape)}: {NAMES[word]}", "–", "–", f"{value:.2f} ×", f"{PAPER[word]} ×"]


STEP_HEADER = ["batch, heads, tokens", "of 128 heads", "cache", "weights", "µs", "tokens/s", "bf16 / this", "byte floor, µs", "of it",
               "attention alone, µs"]  # fmt: skip
OUTPUT_HEADER = ["output alone, µs", "cache, MB", "kv_b, MB", "W_O, MB"]  # where steps go on to the output


def step_rows(run):
    """As STEP_HEADER says, and with an output OUTPUT_HEADER."""
    for shape in run.shapes:
        base = run.us(shape, "bf16", "bf16")
        for cache, weights in run.kinds(shape):
            us = run.us(shape, cache, weights)
            floor = run.bytes(shape, cache, weights) / run.gb_per_s * 1e-3
            attend = run.us(shape, cache, weights, "attend")
            row = [shape_text(shape), f"TP {tp_of(shape[1])}", cache, weights, f"{us:.1f}", f"{shape[0] / us / model.LAYERS * 1e6:.0f}",
                   f"{base / us:.2f}", f"{floor:.1f}", f"{100 * floor / us:.0f} %", f"{attend:.1f}"]  # fmt: skip
            if run.hidden:
                whole, kv, o = (run.bytes(shape, cache, weights, stage) for stage in ("step", "attend", "output"))
                row += [f"{run.us(shape, cache, weights, 'output'):.1f}", *(f"{n / 1e6:.1f}" for n in (kv, whole - kv - o, o))]
            yield row


def memory_rows(run):
    per_token = run.bytes_per_token()
    for name, count in per_token.items():
        yield [name, f"{count:g}", f"{100 * count / per_token['bf16']:.1f} %", f"{model.cache_gb(count, CONTEXT):.2f}"]


def attention_facts(run):
    """Per shape: microseconds of bf16 and fp8_token, the gain, the ratio of bytes, and whether memory binds the FP8 kernel."""
    for shape, rows in ablation.times(run.attention).items():
        bf16, fp8 = rows["bf16", "on"], rows["fp8_token", "on"]
        times = [float(r["median_us"]) for r in (bf16, fp8)]
        binds = float(fp8["percent_memory"]) >= float(fp8["percent_tensor"])
        yield shape, *times, times[0] / times[1], float(bf16["bytes"]) / float(fp8["bytes"]), binds, float(fp8["percent_memory"])


def attention_rows(run):
    for shape, bf16, fp8, gain, ratio, binds, memory in attention_facts(run):
        yield [shape_text(shape), f"{bf16:.1f}", f"{fp8:.1f}", f"{gain:.2f}", f"{ratio:.2f}", f"{100 * gain / ratio:.0f} %",
               f"{memory:.0f} %", "memory" if binds else "tensor cores"]  # fmt: skip


def ablation_rows(run):
    for shape, rows in ablation.times(run.attention).items():
        us = {key: float(r["median_us"]) for key, r in rows.items()}
        yield ["attention", *ablation.cells(shape, us)]
    for shape in run.shapes:
        us = {(cache, pipeline): run.us(shape, cache, "bf16", pipeline=pipeline) for cache in ablation.FORMATS for pipeline in ("on", "off")}
        yield ["layer step", *ablation.cells(shape, us)]


def perplexity_rows(run):
    for r in run.perplexity:
        mean, half = float(r["nats"]), float(r["half_width"])
        yield [r["scenario"], r["way"], f"{percent(mean):+.4f} %", f"{percent(mean - half):+.4f} to {percent(mean + half):+.4f}",
               r["blocks"], r["context"], gate(mean, half)]  # fmt: skip


def own_text(row):
    """What bf16 itself makes."""
    return f"{percent(float(row['own_nats'])):+.3f} ± {percent(float(row['own_half_width'])):.3f} %"


NOISE_HEADER = ["scenario", "way", "change", "bf16's own", "the interval holds 0", "no larger", "a token, rms", "bf16's own", "no wider"]


def noise_rows(run):
    """As NOISE_HEADER says, of the ways beside which bf16's own noise was measured."""
    for r in run.perplexity:
        if r.get("no_larger") and "single" not in r["way"]:
            change = f"{percent(float(r['nats'])):+.4f} ± {percent(float(r['half_width'])):.4f} %"
            yield [r["scenario"], r["way"], change, own_text(r), r["holds_zero"], r["no_larger"], f"{float(r['rms']):.4f}",
                   f"{float(r['own_rms']):.4f}", r["no_wider"]]  # fmt: skip


NOISE_TEXT = (
    "**The noise of bf16.** bf16's own is what our bf16 differs by from attention in fp32 on latents and keys that no cache has rounded "
    "(`torch_fp32/unrounded`), on the same blocks; outliers change neither of the two by a bit, so theirs are the plain text's. *No larger*: the mean "
    "change, without its sign, is at most bf16's own: met where the 95 % intervals of bf16's own less the change and of bf16's own plus the change lie on "
    "one side of 0, missed where they lie on opposite sides. *No wider*: the mean square of a token's change is at most bf16's own: met where the 95 % "
    "interval of the difference lies below 0, missed where it lies above. Else open ([accuracy.md](accuracy.md#the-noise-of-bf16))."
)


def gates(run):
    """[what, limit, figure, verdict]"""
    per_token = run.bytes_per_token()
    for name, most in MOST_PERCENT.items():
        if name in per_token:
            share = 100 * per_token[name] / per_token["bf16"]
            yield [f"cache as allocated, `{name}`", f"≤ {most} % of bf16", f"{share:.1f} %", "met" if share <= most else "missed"]
    facts = list(attention_facts(run))
    if not any(binds for *_, binds, _ in facts):
        yield ["attention alone", f"≥ {LEAST_GAIN} × bf16 where memory binds", "–", "no shape that memory binds"]
    for shape, _, _, gain, ratio, binds, _ in facts:
        if binds:
            yield [f"attention alone, {shape_text(shape)}", f"≥ {LEAST_GAIN} × bf16", f"{gain:.2f}", run.judged(gain >= LEAST_GAIN)]
            share = 100 * gain / ratio
            yield [f"attention alone, {shape_text(shape)}", f"≥ {LEAST_OF_BYTES} % of the ratio of bytes", f"{share:.0f} %",
                   run.judged(share >= LEAST_OF_BYTES)]  # fmt: skip
    ways = {r["way"] for r in run.perplexity}
    for r in run.perplexity:
        mean, half = float(r["nats"]), float(r["half_width"])
        if r["way"] == "fp8_token":
            yield [f"perplexity, {r['scenario']}, `fp8_token`, contexts to {r['context']}", "≤ +0.1 %", f"{percent(mean):+.3f} %", gate(mean, half)]
        if r["way"] in SILENT:
            what, figure = f"perplexity, {r['scenario']}, `{r['way']}`", f"{percent(mean):+.3f} ± {percent(half):.3f} %"
            # The noise's own blocks where it was judged, as in its table.
            yield [what, NOISE_GATES["holds_zero"], figure, r.get("holds_zero") or ("open" if half != half else "met" if abs(mean) <= half else "missed")]
            if r.get("no_larger"):
                yield [what, NOISE_GATES["no_larger"], f"{figure}; {own_text(r)}", r["no_larger"]]
            else:
                yield [what, NOISE_GATES["no_larger"], "–", "not measured"]
    for way in ("fp8_token", *SILENT):
        if way not in ways:
            yield [f"perplexity, `{way}`", "see above" if run.perplexity else "≤ +0.1 %, or within the noise", "–", "not measured"]


def weights_text(run):
    per_token = run.bytes_per_token()
    tokens = CONTEXT
    cache = {name: per_token[name] * tokens / 1e6 for name in ("bf16", "fp8_token")}
    whole = {w: model.weights(1) * size / 1e6 for w, size in model.BYTES.items()}
    yield (f"**At batch 1 the weights of one layer outweigh its cache.** On one device the matrices of one layer's attention (128 heads, DeepSeek-V3's dimensions) are "
           f"{whole['bf16']:.0f} MB in bf16 and {whole['fp8']:.0f} MB in FP8, each read once a step, before any of its experts; the cache of 128K tokens is "
           f"{cache['bf16']:.0f} MB in bf16 and {cache['fp8_token']:.0f} MB in `fp8_token`. A cache half as large therefore takes far less than half of a step's "
           "bytes away. What bytes alone allow, of the whole attention, computed and not measured:")  # fmt: skip
    yield ""
    rows = []
    for tp in (1, 8):
        base = sum(model.step_bytes(tp, "bf16", per_token["bf16"], tokens))
        for weight_type, name in (("bf16", "bf16"), ("bf16", "fp8_token"), ("fp8", "bf16"), ("fp8", "fp8_token")):
            own, kv = model.step_bytes(tp, weight_type, per_token[name], tokens)
            rows.append([f"TP {tp}, {model.HEADS // tp} heads", weight_type, name, f"{own / 1e6:.0f}", f"{kv / 1e6:.0f}", f"{base / (own + kv):.2f}"])
    yield from table(["device", "weights", "cache", "weights, MB", "cache, MB", "bf16 / this, bytes"], rows)
    yield ""
    read, plain = ("kv_b (W_UK and W_UV) and W_O alone", "before") if run.hidden else ("kv_b alone (W_UK and W_UV)", "before and after")
    yield (f"The steps timed above read of these matrices {read}; the plain products {plain} are not in them "
           "([layer.md](layer.md)), and with the experts they are what a model's tokens a second hang on at batch 1.")  # fmt: skip


def product_text(run):
    fp8, pipelining, both = PAPER["fp8"], PAPER["pipelining"], PAPER["both"]
    product = fp8 * pipelining
    per_token = run.bytes_per_token()
    share = (1 - 1 / both) / (1 - 1 / product)
    ratio = per_token["bf16"] / per_token["fp8_token"]
    yield (f"**How {fp8} × {pipelining} becomes {both}.** The product is {product:.2f}. (1) The factors are not independent: FP8 saves bytes, at most "
           f"{per_token['bf16']:g}/{per_token['fp8_token']:g} = {ratio:.2f}, and pipelining hides latency behind bytes; a kernel that has fewer bytes has less to "
           f"hide it behind, and against a bf16 kernel that is pipelined too {ratio:.2f} is all that both can give: {both} is {100 * both / ratio:.0f} % of it. "
           f"(2) What neither touches dilutes them: if the product held for a share f of a step, 1/(1 − f + f/{product:.2f}) = {both} gives f = {100 * share:.0f} %. "
           "These are two ways that arithmetic allows, not the paper's own account. Ours, from the tables above:")  # fmt: skip
    yield ""
    rows = []
    for shape in run.shapes:
        part = {(cache, p): run.us(shape, cache, "bf16", "attend", p) for cache in ablation.FORMATS for p in ("on", "off")}
        whole = {(cache, p): run.us(shape, cache, "bf16", "step", p) for cache in ablation.FORMATS for p in ("on", "off")}
        gain, step = ablation.gains(part), ablation.gains(whole)
        f = part["bf16", "off"] / whole["bf16", "off"]
        rows.append([shape_text(shape), f"{gain[0]:.2f} × {gain[1]:.2f} = {gain[3]:.2f}", f"{gain[2]:.2f}", f"{100 * f:.0f} %",
                     f"{1 / (1 - f + f / gain[2]):.2f}", f"{step[2]:.2f}", f"{step[4]:.2f}"])  # fmt: skip
    yield from table(["batch, heads, tokens", "attention: FP8 × pipelining", "attention: both", "its share of the step", "so the step",
                      "the step, measured" if not run.modelled else "the step, modelled", "FP8, both pipelined"], rows)  # fmt: skip


def step_text(run, word):
    if run.hidden:
        yield (f"µs of a layer, {word}: append, absorb, attend, up-project, output ([layer.md](layer.md)); tokens/s of {model.LAYERS} such layers and nothing else. "
               f"The output is [{run.hidden}] channels of a token, by W_O: of a rank with some of the heads its part of a sum over ranks. The byte floor is the "
               "cache, kv_b and W_O, as the last columns say, at the rate read above.")  # fmt: skip
    else:
        yield (f"µs of a layer, {word}: append, absorb, attend, up-project ([layer.md](layer.md)); tokens/s of {model.LAYERS} such layers and nothing "
               "else. The byte floor is the cache and kv_b at the rate read above.")  # fmt: skip
    if run.fused:
        yield "Where the up-projection merges the pieces of cut requests itself (`combine` in `layer.csv`), attention alone is without that merge."


def section(folder):
    run = Run(folder)
    word = "modelled" if run.modelled else "measured"
    yield f"## {run.facts['device'].split(', ')[1]}"
    yield ""
    for name in ("date", "device", "nominal clocks", "driver release", "compiler", "templates", "command"):
        if name in run.facts:
            yield f"- {name}: `{run.facts[name].strip()}`"
    yield ""
    if run.modelled:
        yield "**The emulator: times are modelled, of tiny shapes, and say nothing of a GPU.**"
        yield ""
    yield (f"Ceilings of the same run: {run.gb_per_s:.4g} GB/s read, {run.fp8_tflops:.4g} TFLOP/s e4m3, {run.bf16_tflops:.4g} TFLOP/s bf16"
           + (f"; 128K tokens of `fp8_token` read once from cold: {run.cold_us:.1f} µs." if run.cold_us and not run.modelled else "."))  # fmt: skip
    yield from ["", "### The table", ""]
    yield from table(["what", "bf16", "`fp8_token`", "change", "paper"], headline_rows(run))
    yield from ["", "### Gates", ""]
    yield from table(["what", "gate", "figure", "verdict"], gates(run))
    yield from ["", "### Layer step", "", *step_text(run, word), ""]
    yield from table(STEP_HEADER + (OUTPUT_HEADER if run.hidden else []), step_rows(run))
    yield from ["", "### Memory", ""]
    yield from table(["cache", "bytes a token, as allocated", "of bf16", f"GB, one request of 128K tokens, {model.LAYERS} layers"], memory_rows(run))
    yield from ["", "### Attention alone", "", f"Decode and combine, L2 emptied by reading, µs, {word}.", ""]
    yield from table(["batch, heads, tokens", "bf16", "fp8_token", "gain", "ratio of bytes", "of it", "of the memory ceiling", "binds at the ceilings"],
                     attention_rows(run))  # fmt: skip
    yield from ["", "### Ablation", "",
                "The same kernels with `pipeline=off` (one tile at a time is copied, scored, summed) and in 16 bits; gains over bf16, single. Paper: FP8 "
                f"{PAPER['fp8']}, pipelining {PAPER['pipelining']}, both {PAPER['both']}.", ""]  # fmt: skip
    yield from table(["what", *ablation.HEADER], ablation_rows(run))
    yield from ["", "Every variant was held against the double-precision reference in the same run: relative L2 at most "
                f"{max(float(r['rel_l2']) / float(r['rel_l2_limit']) for r in [*run.attention, *run.layer]):.2f} of its limit.", ""]  # fmt: skip
    yield from ["### Perplexity", ""]
    if run.perplexity:
        yield "Change against our bf16, paired by blocks of the same text, 95 % interval (`bench/accuracy`)."
        yield ""
        yield from table(["scenario", "way", "change", "interval, %", "blocks", "contexts to", "≤ +0.1 %"], perplexity_rows(run))
        noisy = list(noise_rows(run))
        if noisy:
            yield from ["", NOISE_TEXT, ""]
            yield from table(NOISE_HEADER, noisy)
        if run.perplexity_notes:
            yield ""
        yield from (f"- {note}" for note in run.perplexity_notes)
    else:
        yield "Not evaluated with this run: `bench/accuracy/run.sh` is a run of its own; `--perplexity` takes its CSV."
    yield from ["", "### What the figures mean", ""]
    yield from weights_text(run)
    yield ""
    yield from product_text(run)
