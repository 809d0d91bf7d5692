#include <stdint.h>

#include "options.h"

const char *const smla_data_names[] = {"normal", "sink", "uniform", "outlier", NULL};
const char *const smla_target_names[] = {"sm90a", "emulator", NULL};
const char *const smla_order_names[] = {"eager", "late", "random", NULL};

#define FIELD(name) offsetof(smla_settings, name)
#define COUNT(least, most) smla_parse_count, .low = (least), .high = (most)

const smla_option smla_options[] = {
    /* the problem */
    {"heads", 0, "N", "query heads on this device (128; verify: 16)", COUNT(1, INT32_MAX), .field = FIELD(heads),
     .commands = SMLA_FOR_PROBLEM},
    {"q-len", 0, "N", "query tokens per request, causal among themselves (1)", COUNT(1, INT32_MAX),
     .field = FIELD(q_len), .commands = SMLA_FOR_PROBLEM},
    {"latent", 0, "N", "latent rank: content channels of the cache: 128, 256, 384 or 512 (512)", COUNT(1, INT32_MAX),
     .field = FIELD(latent), .commands = SMLA_FOR_PROBLEM},
    {"rope", 0, "N", "RoPE channels per token (64)", COUNT(1, INT32_MAX), .field = FIELD(rope),
     .commands = SMLA_FOR_PROBLEM},
    {"page", 0, "N", "tokens per page of the cache: 16, 32, 64 or 128 (64)", COUNT(1, INT32_MAX), .field = FIELD(page),
     .commands = SMLA_FOR_PROBLEM},
    {"format", 0, "NAME", "how the cache is stored (fp8_token)", smla_parse_text, .field = FIELD(format),
     .commands = SMLA_FOR_PROBLEM},
    {"accuracy", 0, "NAME", "accuracy level: fast, balanced or max (fast)", smla_parse_text, .field = FIELD(accuracy),
     .commands = SMLA_FOR_PROBLEM},
    {"batch", 0, "N", "requests; with one length, each has it", COUNT(1, 1 << 24), .field = FIELD(batch),
     .commands = SMLA_FOR_PROBLEM},
    {"context", 0, "LENGTHS", "tokens of each request: one length, a comma list, @FILE or a file with one per line",
     smla_parse_text, .field = FIELD(context), .commands = SMLA_FOR_PROBLEM},
    {"max-context", 0, "N", "the most tokens that a request may have (the longest of --context)", COUNT(1, INT32_MAX),
     .field = FIELD(max_context), .commands = SMLA_FOR_PROBLEM},
    {"variant", 0, "TEXT",
     "override of a variant, whole or in part, as in mla_decode:stages=3 (repeatable for gen and build)",
     smla_parse_list, .field = FIELD(variants), .commands = SMLA_FOR_PROBLEM},
    {"templates", 0, "DIR", "directory that overrides the embedded templates", smla_parse_text,
     .field = FIELD(templates), .commands = SMLA_FOR_PROBLEM},

    /* the device */
    {"device", 0, "NAME", "cuda:N or emulator (cuda:0 where it works, else the emulator)", smla_parse_text,
     .field = FIELD(device), .commands = SMLA_FOR_PROBLEM},
    {"seed", 0, "N", "of the data, the page table and the emulator's random order (1)", smla_parse_seed,
     .field = FIELD(seed), .commands = SMLA_FOR_PROBLEM},
    {"emulator-order", 0, "NAME", "when asynchronous work completes: eager, late or random (eager)", smla_parse_choice,
     .field = FIELD(emulator_order), .commands = SMLA_FOR_PROBLEM, .choices = smla_order_names},
    {"emulator-sms", 0, "N", "multiprocessors to emulate (132)", COUNT(1, 1024), .field = FIELD(emulator_sms),
     .commands = SMLA_FOR_PROBLEM},

    /* sources and artifacts */
    {"family", 0, "NAME", "one family of kernels, or all (all)", smla_parse_text, .field = FIELD(family),
     .commands = SMLA_FOR_GEN | SMLA_FOR_BUILD},
    {"target", 0, "NAME", "sm90a or emulator (sm90a; emulator with --device emulator)", smla_parse_choice,
     .field = FIELD(target), .commands = SMLA_FOR_GEN | SMLA_FOR_BUILD, .choices = smla_target_names},
    {"lines", 0, NULL, "with #line directives that name the templates", smla_parse_flag, .field = FIELD(lines),
     .commands = SMLA_FOR_GEN},
    {"output", 'o', "PATH",
     "gen: directory, file or - (stdout); build: directory; run: FILE.safetensors, or DIRECTORY/ for .npy",
     smla_parse_text, .field = FIELD(output), .commands = SMLA_FOR_GEN | SMLA_FOR_BUILD | SMLA_FOR_RUN},

    /* data */
    {"data", 0, "KIND", "synthetic data: normal, sink, uniform or outlier (normal; verify: all)", smla_parse_choice,
     .field = FIELD(data), .commands = SMLA_FOR_DATA, .choices = smla_data_names},
    {"sigma", 0, "X", "standard deviation of the logits of --data normal (1; verify: 0.3, 1 and 3)", smla_parse_real,
     .field = FIELD(sigma), .commands = SMLA_FOR_DATA, .low = 0, .high = 100},
    {"value-offset", 0, "X", "mean of the values (0; verify: 0 and 1)", smla_parse_real, .field = FIELD(value_offset),
     .commands = SMLA_FOR_DATA, .low = -100, .high = 100},
    {"softmax-scale", 0, "X", "factor of the logits (1/sqrt(128 + RoPE channels))", smla_parse_real,
     .field = FIELD(softmax_scale), .commands = SMLA_FOR_DATA, .low = 1e-6, .high = 1e6},
    {"input", 0, "FILE", "tensors q_nope, q_rope, seqlens and latent, rope, or kv, block_table, as .safetensors",
     smla_parse_text, .field = FIELD(input), .commands = SMLA_FOR_RUN},
    {"q-nope", 0, "FILE", "one tensor from its own file: .npy, or .safetensors with that name", smla_parse_text,
     .field = FIELD(q_nope), .commands = SMLA_FOR_RUN},
    {"q-rope", 0, "FILE", "the same", smla_parse_text, .field = FIELD(q_rope), .commands = SMLA_FOR_RUN},
    {"latent-rows", 0, "FILE", "the same (tensor latent)", smla_parse_text, .field = FIELD(latent_rows),
     .commands = SMLA_FOR_RUN},
    {"rope-rows", 0, "FILE", "the same (tensor rope)", smla_parse_text, .field = FIELD(rope_rows),
     .commands = SMLA_FOR_RUN},
    {"seqlens", 0, "FILE", "the same", smla_parse_text, .field = FIELD(seqlens), .commands = SMLA_FOR_RUN},
    {"kv", 0, "FILE", "the same: page images in place of latent and rope", smla_parse_text, .field = FIELD(kv),
     .commands = SMLA_FOR_RUN},
    {"block-table", 0, "FILE", "the same: the pages of each request", smla_parse_text, .field = FIELD(block_table),
     .commands = SMLA_FOR_RUN},
    {"npy-bf16", 0, NULL, "uint16 in .npy files is bf16, read and written", smla_parse_flag, .field = FIELD(npy_bf16),
     .commands = SMLA_FOR_RUN},
    {"save-cache", 0, "FILE", "write kv, block_table and seqlens as .safetensors", smla_parse_text,
     .field = FIELD(save_cache), .commands = SMLA_FOR_RUN},

    /* measurement and checks */
    {"steps", 0, "N", "decode steps, each appending q-len tokens (1)", COUNT(1, 1 << 16), .field = FIELD(steps),
     .commands = SMLA_FOR_RUN},
    {"repeat", 0, "N", "timed repetitions on a GPU, of which the median counts (20)", COUNT(1, 1 << 20),
     .field = FIELD(repeat), .commands = SMLA_FOR_RUN},
    {"check", 0, "N", "compare N requests with the oracle (as many as a bounded effort allows)", COUNT(1, 1 << 24),
     .field = FIELD(check), .commands = SMLA_FOR_RUN},
    {"no-check", 0, NULL, "do not compare with the oracle", smla_parse_flag, .field = FIELD(no_check),
     .commands = SMLA_FOR_RUN},

    /* every command */
    {"json", 0, NULL, "results as JSON on stdout", smla_parse_flag, .field = FIELD(json), .commands = SMLA_FOR_ALL},
    {"progress", 0, NULL, "progress on stderr even where that is no terminal", smla_parse_flag,
     .field = FIELD(progress), .commands = SMLA_FOR_ALL},
    {"help", 'h', NULL, "this text", smla_parse_flag, .field = FIELD(help), .commands = SMLA_FOR_ALL},
    {0},
};
