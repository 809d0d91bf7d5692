/* snapmla-growth: one capture serves every length. See bench/README.md. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "json_output.h"
#include "soak.h"

static const char *const help =
    "usage: snapmla-growth [OPTIONS]\n\n"
    "Captures schedule and decode once (a CUDA graph; on a device without graphs the list of its launches), then "
    "replays "
    "it\n"
    "while the sequences grow from 0 to the plan's largest context: doubling, and one token beside every power of "
    "two.\n"
    "Each result must have the bits of a fresh eager call on a workspace full of NaN. Prints one JSON object.\n\n"
    "  --device NAME     cuda:N or emulator (cuda:0)\n"
    "  --context N       the largest length (131072; 1100 with --small)\n"
    "  --heads N         16, 64 or 128 (all three; 16 with --small)\n"
    "  --small           to try the program itself\n"
    "  -h, --help        this text\n\n"
    "exit: 0 all bits equal, 1 some differ or a call failed, 2 usage, 3 no such device\n";

enum { BATCH = 3 };

typedef struct options {
  bench_command command;
  const char *context, *heads;
} options;

typedef struct growth {
  int64_t lengths, differences, guards_broken, status_words, checked, unlike, graphs, captures;
} growth;

/* 0, then each power of two with its neighbours, then the context; -1 behind the last. */
static int32_t next_length(int32_t length, int32_t context) {
  static const int32_t beside[] = {-1, 0, 1};
  if (length == context) return -1;
  for (int64_t power = 1; power <= (int64_t)2 * context; power *= 2)
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
      if (power + beside[i] > length) return (int32_t)(power + beside[i] < context ? power + beside[i] : context);
  return context;
}

static snapmla_status result(lane *l, growth *g, lane_result *out) {
  snapmla_status status = lane_read(l, out);
  g->guards_broken += out->guards_broken;
  g->status_words += out->status_word != 0;
  return status;
}

/* The first request grows; the second is as long as was the last step, the third stays at half of the context. */
static snapmla_status step(lane *l, int32_t length, int32_t before, growth *g) {
  static const double effort = 4e8; /* multiply-adds */
  const int32_t lengths[BATCH] = {length, before, l->of->context / 2};
  lane_result first = {0}, replayed = {0};
  int checked = 0, right = 1;
  snapmla_status status = lane_begin(l, lengths);
  if (!status) status = lane_clear(l, 1);
  if (!status) status = lane_launch(l, 0);
  if (!status) status = result(l, g, &first);
  if (!status) status = lane_clear(l, 0);
  if (!status) status = lane_launch(l, 1);
  if (!status) status = result(l, g, &replayed);
  if (!status) status = lane_check(l, &replayed, 0, effort, &checked, &right);
  if (!status) {
    g->lengths++;
    g->differences += first.digest != replayed.digest;
    g->checked += checked;
    g->unlike += !right;
    if (first.digest != replayed.digest)
      fprintf(stderr, "snapmla-growth: %s at %d tokens: the replay's bits are not those of a fresh call\n", l->of->name,
              length);
    if (!right) fprintf(stderr, "snapmla-growth: %s at %d tokens: too far from the oracle\n", l->of->name, length);
  }
  lane_result_free(&first);
  lane_result_free(&replayed);
  return status;
}

static snapmla_status grow(bench *b, const soak_problem *of, growth *g) {
  lane *l = calloc(1, sizeof *l);
  if (!l) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a problem");
  snapmla_status status = lane_open(b, of, 1, l);
  if (!status) {
    g->captures++;
    g->graphs += replay_is_graph(l->captured);
  }
  for (int32_t length = 0, before = 0; length >= 0 && !status; length = next_length(length, of->context)) {
    status = step(l, length, before, g);
    before = length;
  }
  lane_close(l);
  free(l);
  return status;
}

static snapmla_status report(const bench *b, int32_t context, const growth *g, int ok) {
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"context", context},
                 {"captures", g->captures},
                 {"lengths", g->lengths},
                 {"differences", g->differences},
                 {"guards_broken", g->guards_broken},
                 {"status_words", g->status_words},
                 {"oracle_compared", g->checked},
                 {"oracle_unlike", g->unlike}};
  json_t *root = json_object();
  smla_json_set(root, "ok", json_boolean(ok));
  smla_json_set(root, "device", json_string(b->info.name));
  smla_json_set(root, "product", smla_json_text(b->info.product));
  smla_json_set(root, "capture", json_string(g->graphs == g->captures ? "graph" : "recorded launches"));
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    smla_json_set(root, numbers[i].name, json_integer(numbers[i].value));
  return smla_json_print(root);
}

static int grow_all(const options *o) {
  bench b = {.small = o->command.small};
  growth g = {0};
  int32_t context = o->context ? atoi(o->context) : o->command.small ? 1100 : 131072;
  const soak_problem problems[] = {{"h16", 16, 1, 512, 64, BATCH, context, 0, "fp8_token", "fast", 0},
                                   {"h64", 64, 1, 512, 64, BATCH, context, 0, "fp8_token", "fast", 0},
                                   {"h128", 128, 1, 512, 64, BATCH, context, 0, "fp8_token", "fast", 0},
                                   {"h16-tensor-page16", 16, 1, 512, 16, BATCH, context, 0, "fp8_tensor", "fast", 0}};
  snapmla_status status = soak_status(bench_open(&b, o->command.device, NULL));
  for (size_t i = 0; i < sizeof problems / sizeof *problems && !status; i++) {
    int wanted = o->heads ? problems[i].heads == atoi(o->heads) : !o->command.small || problems[i].heads == 16;
    if (wanted) status = grow(&b, &problems[i], &g);
  }
  int ok = !status && g.captures && !g.differences && !g.guards_broken && !g.status_words && !g.unlike;
  if (!status) status = report(&b, context, &g, ok);
  if (status) smla_console_error();
  bench_close(&b);
  return status ? (int)smla_console_exit_code(status) : !ok;
}

int main(int argc, char **argv) {
  options o = {.command = {.program = "snapmla-growth", .help = help, .device = "cuda:0"}};
  bench_command *c = &o.command;
  const bench_option own[] = {{"--context", &o.context}, {"--heads", &o.heads}};
  smla_console_name("snapmla-growth");
  c->options = own;
  c->option_count = sizeof own / sizeof *own;
  int status = bench_options_read(c, argc, argv);
  if (status != BENCH_GO_ON) return status;
  if (o.context && (atoi(o.context) < 1 || atoi(o.context) > 1 << 20))
    return bench_usage(c, "--context must be 1 to 1048576, not ", o.context);
  if (o.heads && atoi(o.heads) != 16 && atoi(o.heads) != 64 && atoi(o.heads) != 128)
    return bench_usage(c, "--heads must be 16, 64 or 128, not ", o.heads);
  return grow_all(&o);
}
