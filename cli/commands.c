#include "commands.h"

#include <stdio.h>

#include <snapmla/source.h>

#include "console.h"
#include "json_output.h"
#include "plan_maker.h"
#include "run.h"

smla_exit smla_command_version(const smla_settings *settings) {
  if (!settings->json) {
    printf("snapmla %s\n", snapmla_version());
    return SMLA_EXIT_OK;
  }
  json_t *root = json_object();
  smla_json_set(root, "name", json_string("snapmla"));
  smla_json_set(root, "version", json_string(snapmla_version()));
  return smla_console_exit_code(smla_json_print(root));
}

smla_exit smla_command_run(const smla_settings *settings) { return smla_run(settings, smla_plan_of_settings); }

smla_exit smla_command_help(const smla_settings *settings) {
  (void)settings;
  smla_help_program(stdout);
  return SMLA_EXIT_OK;
}

const smla_command smla_commands[] = {
    {"gen", "expand kernels to source files",
     "Expands the kernels of a problem to CUDA C++ source, one self-contained file each, and prints their\n"
     "names; with --layer all that a layer's step needs. With one kernel -o may name the file. A file appears\n"
     "whole or not at all; an error in one kernel leaves no file of another.",
     SMLA_FOR_GEN, .run = smla_command_gen},
    {"build", "compile kernels to artifacts; needs no GPU",
     "Compiles the kernels of a problem (sm90a: NVRTC to a cubin; emulator: the host's C++ compiler to a\n"
     "shared object) and reports registers per thread, spilled bytes, shared memory, seconds and warnings.\n"
     "With -o into a directory, each with the compiler's log beside it. Fails if one kernel does. With --layer\n"
     "the kernels are those of a layer's step: the attention's, and norm, RoPE and append, query absorption,\n"
     "value up-projection, fetching, and with --hidden the output projection. --set default takes the kernels\n"
     "of the models that are served, by heads per device, draft length and format; --list-sets tells the sets\n"
     "there are, and how many kernels each has.",
     SMLA_FOR_BUILD, .run = smla_command_build},
    {"run", "make or read a problem, append, decode, check, print",
     "Appends tokens to a paged cache, decodes, compares with the double-precision oracle and prints variant,\n"
     "device, error, bytes and time. The data are synthetic (--data, --seed) or tensors from files; unused\n"
     "cache and block-table entries past a length hold garbage on purpose. -o takes the result away.",
     SMLA_FOR_RUN, .run = smla_command_run},
    {"verify", "compare the kernels with the oracle over kinds of data and lengths",
     "Decodes a batch of lengths (0,1,63,64,65,700,4096) for every kind of data and compares each request with\n"
     "the oracle of the same quantised query and cache, with the one that rounds P as the kernel does, and\n"
     "with the unquantised one.",
     SMLA_FOR_VERIFY, .run = smla_command_verify},
    {"layer", "the attention of a model's layers in one decode step, checked and timed",
     "Appends prompts to the caches of --layers layers, then runs one step of all of them: RMS norm, RoPE and append,\n"
     "query absorption, attention, value up-projection. Compares layer 0 with the double-precision reference on the\n"
     "same cached tokens and prints error, time, bytes and tokens/s. All data are synthetic.",
     SMLA_FOR_LAYER, .run = smla_command_layer},
    {"analyze", "what quantised latents do to a layer's keys, values and attention",
     "Reads layers' latents and up-projections from safetensors files (layers.N.latent, layers.N.rope, "
     "kv_b_proj.weight\n"
     "of that layer or w_uk and w_uv, q_nope and q_rope where dumped) and reports for each KV format and accuracy "
     "level\n"
     "the error of the latents, the condition number of the up-projection, the bound on the keys' and values' error,\n"
     "the error seen, and that of attention, as relative norms. Needs LAPACK at run time, and no GPU.",
     SMLA_FOR_ANALYZE, .run = smla_command_analyze, .operands = "FILE..."},
    {"tune", "find the fastest variants of a problem and remember them",
     "Searches the legal variants: the cost model prunes, candidates are compiled, checked against the oracle and\n"
     "timed; finalists are timed in interleaved pairs. What was measured goes into the store, and plans of the\n"
     "same bucket (batch and context as powers of two) use it. On the emulator times are modelled. With --layer\n"
     "the attention is tuned, and then whole steps of a layer are timed with what its own kernels leave open: who\n"
     "merges what was cut, and with --hidden how W_O's reduction is shared. That is printed, not remembered.",
     SMLA_FOR_TUNE, .run = smla_command_tune},
    {"bench", "how long a plan takes to make: cold, warm and from memory",
     "Makes the plan of a problem in fresh processes: with an empty store, and with the store that the first left\n"
     "behind; then again in one process. Reports seconds and what was compiled.",
     SMLA_FOR_BENCH, .run = smla_command_bench},
    {"explain", "why a variant is chosen, and the others are not",
     "Lists every variant of the decode kernel for the problem: chosen, tied, lost, not measured, quarantined or\n"
     "illegal, with times and reasons, and the wisdom that was missed, with the fields of the key that differ.",
     SMLA_FOR_EXPLAIN, .run = smla_command_explain},
    {"model", "what the cost model says over batches and context lengths",
     "Prints the modelled time of a decode call, its parts and what bounds it, for each batch and context; with\n"
     "--csv or --json for scripts/plot_model.py.",
     SMLA_FOR_MODEL, .run = smla_command_model},
    {"ls", "the measurements known", "Lists the winners in the store and those that came with the library.",
     SMLA_FOR_LS, .run = smla_command_ls},
    {"gc", "sweep the store",
     "Removes what killed processes left, and the least recently used kernels beyond the limit.", SMLA_FOR_GC,
     .run = smla_command_gc},
    {"wisdom", "export the measurements in the store as one file",
     "Writes the stored measurements, the same bytes for the same measurements, to -o or stdout.", SMLA_FOR_WISDOM,
     .run = smla_command_wisdom},
    {"import", "add a wisdom file to the store: all of it or nothing",
     "Reads --file and adds what is new or of a greater effort. If anything in it is wrong, nothing is added.",
     SMLA_FOR_IMPORT, .run = smla_command_import},
    {"merge", "merge wisdom files into one",
     "Reads each --file and writes one to -o or stdout; the store is not touched. Of two measurements of one thing\n"
     "the greater effort stays.",
     SMLA_FOR_MERGE, .run = smla_command_merge},
    {"forget", "remove measurements from the store",
     "Removes those that --device-class, --problem and --match select, or all with --all.", SMLA_FOR_FORGET,
     .run = smla_command_forget},
    {"quarantine", "variants that crashed, hung or lied; release them",
     "Lists what is not tried again, and why. --release KEY lets one be tried again, --all every one.",
     SMLA_FOR_QUARANTINE, .run = smla_command_quarantine},
    {"export", "write kernels and the problems they serve as one pack, or as C source",
     "Compiles the kernels of problems (those of the options, of --problems or of --set) for each --target and writes\n"
     "them as one file, which snapmla-run and programs that link snapmla-deploy run without a compiler. The same\n"
     "input gives the same bytes. Needs no GPU.",
     SMLA_FOR_EXPORT, .run = smla_command_export},
    {"pack", "verify, list or compare packs; make keys that sign them",
     "verify FILE   check digests and signature (with --key: that it is one of these keys')\n"
     "list FILE     show what is in a pack\n"
     "diff A B      show what differs; exit code 1 where something does\n"
     "keygen -o N   make a key pair: N.key, which is secret, and N.pub",
     SMLA_FOR_PACK, .run = smla_command_pack, .operands = "verify|list|diff|keygen [FILE...]"},
    {"doctor", "what is found, what is missing, what to do",
     "Looks for everything that snapmla uses. Exit code 3 if something that nothing works without is missing.",
     SMLA_FOR_DOCTOR, .run = smla_command_doctor},
    {"help", "this text, or 'help COMMAND' for a command",
     "Prints the commands; 'snapmla help COMMAND' prints one's options.", SMLA_FOR_HELP, .run = smla_command_help},
    {"version", "the version", "Prints the version.", SMLA_FOR_VERSION, .run = smla_command_version},
    {0},
};
