#include "search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "statistics.h"
#include "status.h"

enum { MOST_SAMPLES = 4096 };

static const char *const fate_names[] = {
    [SMLA_FATE_PRUNED] = "pruned",
    [SMLA_FATE_QUARANTINED] = "quarantined",
    [SMLA_FATE_COMPILE_FAILED] = "does not compile",
    [SMLA_FATE_UNCHECKED] = "not reached",
    [SMLA_FATE_CRASHED] = "crashed",
    [SMLA_FATE_HUNG] = "hung",
    [SMLA_FATE_WRONG] = "wrong",
    [SMLA_FATE_FAILED] = "failed",
    [SMLA_FATE_CHECKED] = "not timed",
    [SMLA_FATE_LOST] = "lost",
    [SMLA_FATE_TIED] = "tied",
    [SMLA_FATE_WON] = "won",
};

const char *smla_fate_name(smla_fate fate) { return fate_names[fate]; }

typedef struct search {
  const smla_candidate *candidates;
  size_t count;
  const smla_search_options *options;
  const smla_search_ops *ops;
  smla_search_entry *entries;
  smla_search_result *result;
  size_t *alive, alive_count; /* indices, in the order of trial */
  smla_verdict *verdicts;     /* room for a batch */
  double *samples;            /* room: MOST_SAMPLES */
  double *rounds;             /* finalists * pair_rounds times */
} search;

static int over(search *s) {
  if (s->options->deadline > 0 && smla_clock_seconds() >= s->options->deadline) s->result->deadline_passed = 1;
  return s->result->deadline_passed || s->result->cancelled;
}

static void report(search *s, const char *phase, size_t done, size_t total, const char *candidate) {
  if (!s->ops->progress) return;
  double best = 0;
  for (size_t i = 0; i < s->count; i++)
    if (s->entries[i].samples && (!best || s->entries[i].median_us < best)) best = s->entries[i].median_us;
  const smla_search_progress progress = {phase, done, total, candidate, best};
  if (s->ops->progress(s->ops->user, &progress)) s->result->cancelled = 1;
}

static void fail(smla_search_entry *entry, const smla_verdict *verdict) {
  entry->fate = verdict->fate;
  snprintf(entry->reason, sizeof entry->reason, "%s", verdict->reason);
}

/* The fixed order: the default, but behind what the model says takes so much less; then what the model likes better, then by text. */
static int comes_first(const search *s, size_t a, size_t b) {
  if (s->candidates[a].is_default != s->candidates[b].is_default) {
    const size_t usual = s->candidates[a].is_default ? a : b, other = usual == a ? b : a;
    const int other_first = s->options->default_margin > 0 &&
                            s->entries[other].model_us * s->options->default_margin < s->entries[usual].model_us;
    return other_first == (other == a);
  }
  if (s->entries[a].model_us != s->entries[b].model_us) return s->entries[a].model_us < s->entries[b].model_us;
  return strcmp(s->candidates[a].text, s->candidates[b].text) < 0;
}

/* --- the model prunes ------------------------------------------------------------------------------------------- */

static void sort_by_model(search *s) {
  for (size_t i = 1; i < s->alive_count; i++) { /* few: by insertion */
    size_t moved = s->alive[i], k = i;
    while (k > 0) {
      size_t before = s->alive[k - 1];
      double a = s->entries[moved].model_us, b = s->entries[before].model_us;
      if (!(a < b || (a == b && comes_first(s, moved, before)))) break;
      s->alive[k] = before;
      k--;
    }
    s->alive[k] = moved;
  }
}

/* The default is tried first: whatever the deadline leaves, something is known to be right. */
static void prune(search *s) {
  for (size_t i = 0; i < s->count; i++) {
    if (s->entries[i].fate == SMLA_FATE_QUARANTINED) continue;
    s->entries[i].fate = SMLA_FATE_PRUNED;
    s->entries[i].reason[0] = 0;
    s->alive[s->alive_count++] = i;
  }
  sort_by_model(s);
  size_t kept = 0, tried = 0;
  double best = s->alive_count ? s->entries[s->alive[0]].model_us : 0;
  for (size_t i = 0; i < s->alive_count; i++) {
    size_t c = s->alive[i];
    int few = !s->options->most_tried || tried < s->options->most_tried;
    int fast = s->options->most_slower <= 0 || s->entries[c].model_us <= best * s->options->most_slower;
    if (!s->candidates[c].is_default && !(few && fast)) {
      snprintf(s->entries[c].reason, SMLA_REASON_MAX, "modelled %.2f us, the best %.2f", s->entries[c].model_us, best);
      continue;
    }
    tried += !s->candidates[c].is_default;
    s->entries[c].fate = SMLA_FATE_UNCHECKED;
    if (s->candidates[c].is_default && kept) {
      memmove(s->alive + 1, s->alive, kept * sizeof *s->alive);
      s->alive[0] = c;
      kept++;
    } else {
      s->alive[kept++] = c;
    }
  }
  s->alive_count = kept;
}

/* --- compiling and checking ------------------------------------------------------------------------------------- */

static void keep_where(search *s, smla_fate fate) {
  size_t kept = 0;
  for (size_t i = 0; i < s->alive_count; i++)
    if (s->entries[s->alive[i]].fate == fate) s->alive[kept++] = s->alive[i];
  s->alive_count = kept;
}

/* Batch by batch, each compiled and then checked: a deadline finds the best of what was reached. */
static void prepare(search *s) {
  size_t batch = s->options->compile_batch ? s->options->compile_batch : 1;
  for (size_t done = 0; done < s->alive_count && !over(s); done += batch) {
    size_t n = s->alive_count - done < batch ? s->alive_count - done : batch;
    report(s, "compiling", done, s->alive_count, s->candidates[s->alive[done]].text);
    if (over(s)) break;
    memset(s->verdicts, 0, n * sizeof *s->verdicts);
    s->ops->compile(s->ops->user, s->alive + done, n, s->verdicts);
    for (size_t i = 0; i < n; i++) {
      size_t c = s->alive[done + i];
      if (!s->verdicts[i].ok) {
        fail(&s->entries[c], &s->verdicts[i]);
        continue;
      }
      if (over(s)) continue;
      report(s, "checking", done + i, s->alive_count, s->candidates[c].text);
      smla_verdict verdict = {0};
      s->ops->check(s->ops->user, c, &verdict);
      if (verdict.ok)
        s->entries[c].fate = SMLA_FATE_CHECKED;
      else
        fail(&s->entries[c], &verdict);
    }
  }
  keep_where(s, SMLA_FATE_CHECKED);
}

/* --- timing ----------------------------------------------------------------------------------------------------- */

/* One candidate's `count` samples; 0 where it failed. */
static int sample(search *s, size_t c, size_t count, double *out) {
  smla_verdict verdict = {0};
  s->ops->time(s->ops->user, c, count, out, &verdict);
  if (verdict.ok) return 1;
  fail(&s->entries[c], &verdict);
  s->entries[c].samples = 0;
  return 0;
}

static void settle(search *s, size_t c, size_t count) {
  smla_search_entry *e = &s->entries[c];
  e->median_us = smla_median(s->samples, count);
  e->spread = smla_spread(s->samples, count);
  e->samples += count;
  e->fate = SMLA_FATE_LOST;
}

static void sort_by_time(search *s) {
  for (size_t i = 1; i < s->alive_count; i++) {
    size_t moved = s->alive[i], k = i;
    while (k > 0) {
      size_t before = s->alive[k - 1];
      double a = s->entries[moved].median_us, b = s->entries[before].median_us;
      if (!(a < b || (a == b && comes_first(s, moved, before)))) break;
      s->alive[k] = before;
      k--;
    }
    s->alive[k] = moved;
  }
}

/* Keeps the better half, the default with it as long as there is a choice to make, and never fewer than the finalists. */
static void halve(search *s) {
  sort_by_time(s);
  size_t keep = (s->alive_count + 1) / 2;
  if (keep < s->options->finalists) keep = s->options->finalists;
  if (keep >= s->alive_count) return;
  size_t kept = 0;
  double best = s->entries[s->alive[0]].median_us;
  for (size_t i = 0; i < s->alive_count; i++) {
    size_t c = s->alive[i];
    if (i < keep || s->candidates[c].is_default) {
      s->alive[kept++] = c;
      continue;
    }
    snprintf(s->entries[c].reason, SMLA_REASON_MAX, "%.2f us, %.1f %% slower than the best of its round",
             s->entries[c].median_us, 100 * (s->entries[c].median_us / best - 1));
  }
  s->alive_count = kept;
}

/* Nonzero while candidates are left that the deadline did not keep from being timed. */
static void time_rounds(search *s) {
  size_t samples = s->options->first_samples ? s->options->first_samples : 1;
  size_t finalists = s->options->finalists ? s->options->finalists : 1;
  for (int round = 0; s->alive_count && !over(s); round++) {
    size_t begun = s->alive_count;
    for (size_t i = 0; i < begun && !over(s); i++) {
      size_t c = s->alive[i];
      report(s, "timing", i, begun, s->candidates[c].text);
      if (over(s)) break;
      if (sample(s, c, samples, s->samples)) settle(s, c, samples);
    }
    size_t kept = 0;
    for (size_t i = 0; i < begun; i++)
      if (s->entries[s->alive[i]].samples) s->alive[kept++] = s->alive[i];
    s->alive_count = kept;
    size_t before = s->alive_count;
    if (over(s)) return;
    halve(s);
    if (s->alive_count <= finalists + 1 || s->alive_count == before) return;
    if (samples * 2 <= MOST_SAMPLES) samples *= 2;
  }
}

/* --- finalists -------------------------------------------------------------------------------------------------- */

/* Every round times each finalist once, in turns forwards and backwards, so that a drift of the clocks hits all alike. */
static size_t time_pairs(search *s, size_t rounds) {
  size_t done = 0;
  for (size_t r = 0; r < rounds && !over(s); r++) {
    report(s, "comparing finalists", r, rounds, "");
    int whole = 1;
    for (size_t k = 0; k < s->alive_count && whole; k++) {
      size_t i = r % 2 ? s->alive_count - 1 - k : k;
      if (over(s)) {
        whole = 0;
      } else if (!sample(s, s->alive[i], 1, s->rounds + i * rounds + r)) {
        return 0; /* one finalist less: begin again */
      }
    }
    if (whole) done = r + 1;
  }
  return done;
}

/* Each finalist's time over the fastest finalist's in the same round; `fastest` is the one of the least median. */
static void compare_finalists(search *s, size_t rounds, size_t done) {
  size_t fastest = 0;
  double worst_spread = 0;
  for (size_t i = 0; i < s->alive_count; i++) {
    smla_search_entry *e = &s->entries[s->alive[i]];
    memcpy(s->samples, s->rounds + i * rounds, done * sizeof *s->samples);
    e->median_us = smla_median(s->samples, done);
    e->spread = smla_spread(s->samples, done);
    e->samples += done;
    e->final = 1;
    if (e->median_us < s->entries[s->alive[fastest]].median_us) fastest = i;
  }
  for (size_t i = 0; i < s->alive_count; i++) {
    smla_search_entry *e = &s->entries[s->alive[i]];
    for (size_t r = 0; r < done; r++) s->samples[r] = s->rounds[i * rounds + r] / s->rounds[fastest * rounds + r];
    e->ratio = smla_median(s->samples, done);
    double spread = smla_spread(s->samples, done);
    if (spread > worst_spread) worst_spread = spread;
  }
  /* The median of n ratios of deviation d has itself a deviation of 1.25 d / sqrt(n); twice that is noise. */
  double band = 2 * 1.25 * worst_spread / sqrt((double)done);
  s->result->band = band > s->options->noise_floor ? band : s->options->noise_floor;
}

static void choose(search *s) {
  size_t best = s->alive[0];
  for (size_t i = 1; i < s->alive_count; i++)
    if (s->entries[s->alive[i]].median_us < s->entries[best].median_us) best = s->alive[i];
  double limit = s->entries[best].median_us * (1 + s->result->band);
  size_t winner = best;
  for (size_t i = 0; i < s->alive_count; i++) {
    smla_search_entry *e = &s->entries[s->alive[i]];
    int tied = e->final ? e->ratio <= 1 + s->result->band : e->median_us <= limit;
    e->fate = tied ? SMLA_FATE_TIED : SMLA_FATE_LOST;
    s->result->tied += (size_t)tied;
    if (tied && comes_first(s, s->alive[i], winner)) winner = s->alive[i];
    if (!tied)
      snprintf(e->reason, SMLA_REASON_MAX, "%.2f us, %.1f %% slower than the fastest; the noise is %.1f %%",
               e->median_us, 100 * ((e->final ? e->ratio : e->median_us / s->entries[best].median_us) - 1),
               100 * s->result->band);
    else
      snprintf(e->reason, SMLA_REASON_MAX, "%.2f us, within the noise (%.1f %%) of the fastest", e->median_us,
               100 * s->result->band);
  }
  s->entries[winner].fate = SMLA_FATE_WON;
  s->result->winner = winner;
  s->result->found = s->result->timed = 1;
}

static void finish(search *s) {
  size_t rounds = s->options->pair_rounds;
  s->result->band = s->options->noise_floor;
  while (s->alive_count > 1 && rounds && !over(s)) {
    size_t done = time_pairs(s, rounds);
    if (done) {
      compare_finalists(s, rounds, done);
      break;
    }
    keep_where(s, SMLA_FATE_LOST); /* timed in the rounds and not failed since */
  }
  keep_where(s, SMLA_FATE_LOST);
  if (s->alive_count) choose(s);
}

/* Nothing was timed: of what was checked the default, or what comes first. */
static void choose_untimed(search *s) {
  for (size_t i = 0; i < s->count; i++) {
    if (s->entries[i].fate != SMLA_FATE_CHECKED) continue;
    if (s->candidates[i].is_default) {
      s->result->winner = i;
      s->result->found = 1;
      return;
    }
    if (s->result->found && !comes_first(s, i, s->result->winner)) continue;
    s->result->winner = i;
    s->result->found = 1;
  }
  if (s->result->found) return;
  for (size_t i = 0; i < s->count; i++)
    if (s->candidates[i].is_default) s->result->winner = i;
}

snapmla_status smla_search_run(const smla_candidate *candidates, size_t count, const smla_search_options *options,
                               const smla_search_ops *ops, smla_search_entry *entries, smla_search_result *result) {
  if (!count) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "there is no candidate to search");
  *result = (smla_search_result){.winner = 0};
  search s = {
      .candidates = candidates, .count = count, .options = options, .ops = ops, .entries = entries, .result = result};
  size_t batch = options->compile_batch ? options->compile_batch : 1;
  s.alive = calloc(count, sizeof *s.alive);
  s.verdicts = calloc(batch, sizeof *s.verdicts);
  s.samples = calloc(MOST_SAMPLES, sizeof *s.samples);
  s.rounds = calloc((options->pair_rounds + 1) * count, sizeof *s.rounds);
  snapmla_status status = SNAPMLA_OK;
  if (!s.alive || !s.verdicts || !s.samples || !s.rounds) {
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a search among %zu candidates", count);
  } else {
    prune(&s);
    prepare(&s);
    time_rounds(&s);
    finish(&s);
    if (!result->found) choose_untimed(&s);
  }
  free(s.alive);
  free(s.verdicts);
  free(s.samples);
  free(s.rounds);
  return status;
}
