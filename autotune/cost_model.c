#include "cost_model.h"

#include <math.h>

#include "cuts_model.h"
#include "unit_count.h"

enum {
  TILE_ROWS = 64,   /* rows of a wgmma's accumulator */
  HELD_STAGES = 2,  /* of the ring: computed on while the others fill */
  STREAM_ROWS = 32, /* up to here both products are swapped: N is the rows */
  SCALE_BYTES = 4   /* one fp32 per token */
};

/* What one tile of one block costs, in cycles of a multiprocessor, but for its bytes and the steps that wait for one another. */
typedef struct tile_cost {
  double bytes, tensor, shared, special, latency_us;
} tile_cost;

/* The shape that a candidate's numbers say. */
typedef struct shape {
  double rows, latent, rope, stages, tokens, groups, tiles, units;
} shape;

static double most(double a, double b) { return a > b ? a : b; }

/* Share of the peak at N = n, between the measured points by the logarithm of n. */
static double rate_of(const smla_machine *machine, double n, int registers) {
  const smla_tensor_rate *rates = machine->rates;
  if (n <= rates[0].n) return registers ? rates[0].registers : rates[0].shared;
  for (int i = 1; i < SMLA_TENSOR_RATES; i++) {
    if (n > rates[i].n) continue;
    double part = log(n / rates[i - 1].n) / log((double)rates[i].n / rates[i - 1].n);
    double low = registers ? rates[i - 1].registers : rates[i - 1].shared;
    double high = registers ? rates[i].registers : rates[i].shared;
    return low + part * (high - low);
  }
  return registers ? rates[SMLA_TENSOR_RATES - 1].registers : rates[SMLA_TENSOR_RATES - 1].shared;
}

static shape shape_of(const smla_machine *machine, const smla_work *work, const smla_candidate *c) {
  shape s = {.rows = smla_candidate_number(c, "rows", TILE_ROWS),
             .latent = smla_candidate_number(c, "latent", work->latent),
             .rope = smla_candidate_number(c, "rope", work->rope),
             .stages = smla_candidate_number(c, "stages", 4),
             .tokens = smla_candidate_number(c, "tile_tokens", TILE_ROWS)};
  s.groups = ceil(work->heads * work->q_len / s.rows);
  s.tiles = work->batch * ceil(work->context / s.tokens);
  s.units = smla_unit_count((int32_t)machine->sms, (int32_t)s.groups, (int32_t)s.rows, s.tiles);
  return s;
}

/* QK reads the tile and the query, PV the tile again (ldmatrix) and P once for each 64 channels; the copy writes the tile.
 * Scores are products of latent + rope channels (RoPE at the bf16 rate), values of latent channels with V^T in registers. */
static tile_cost cost_of_tile(const smla_machine *machine, const shape *s, const smla_candidate *c) {
  double per_cycle = machine->sms * machine->clock_mhz; /* 1e6 cycles a second of the GPU */
  double e4m3 = machine->e4m3_tflops * 1e6 / per_cycle, bf16 = machine->bf16_tflops * 1e6 / per_cycle;
  int streams = s->rows <= STREAM_ROWS;
  double n_scores = streams ? s->rows : s->tokens, products = 2 * s->tokens * s->rows;
  double score_rate = rate_of(machine, n_scores, 0), value_rate = rate_of(machine, s->rows, 1);
  tile_cost t = {0};
  t.bytes = smla_candidate_number(c, "image_bytes", (s->latent + 2 * s->rope + SCALE_BYTES) * s->tokens) *
            smla_candidate_number(c, "images_per_tile", 1);
  t.tensor = products * s->latent / (e4m3 * score_rate) + products * s->rope / (bf16 * score_rate) +
             products * s->latent / (e4m3 * value_rate);
  double row_bytes = s->latent + 2 * s->rope;
  t.shared = (s->tokens * row_bytes + s->rows * row_bytes + s->tokens * s->latent +
              s->latent / TILE_ROWS * s->rows * s->tokens + t.bytes) /
             machine->shared_per_cycle;
  t.special = s->tokens * s->rows / machine->special_per_cycle;
  t.tensor *= smla_candidate_number(c, "tensor_percent", 100) / 100;
  t.shared *= smla_candidate_number(c, "shared_percent", 100) / 100;
  t.special *= smla_candidate_number(c, "special_percent", 100) / 100;
  t.latency_us = machine->latency_mhz > 0 ? smla_candidate_number(c, "tile_cycles", 0) / machine->latency_mhz : 0;
  return t;
}

/* Microseconds to read `bytes` of pages, each by `groups` blocks. */
static double read_us(const smla_machine *machine, const shape *s, double bytes) {
  double flight = s->stages - HELD_STAGES;
  int depth = flight < 1 ? 0 : flight >= SMLA_HBM_DEPTHS ? SMLA_HBM_DEPTHS - 1 : (int)flight - 1;
  double share = machine->hbm_depth[depth];
  if (machine->l2_gb_per_s <= 0) return bytes * s->groups / (machine->hbm_gb_per_s * share) * 1e-3;
  return most(bytes / machine->hbm_gb_per_s, bytes * s->groups / machine->l2_gb_per_s) / share * 1e-3;
}

/* The part of the smaller of reading and computing that the larger does not hide: the tiles that a run's blocks hold first come before
 * anything is computed. A ring that holds no more hides a tenth less (fitted to bf16 at 32 rows), and one that holds less hides nothing. */
static double exposed_of(const smla_machine *machine, const shape *s, double share) {
  static const double held_ring = 0.1;
  if (machine->latency_mhz <= 0 || share <= 0) return 0; /* nothing waits: the emulator */
  if (s->stages < HELD_STAGES) return 1;
  return fmin(1, HELD_STAGES / share + (s->stages > HELD_STAGES ? 0 : held_ring));
}

static void name_bound(smla_cost *cost) {
  const struct {
    double us;
    const char *name;
  } parts[] = {{cost->hbm_us, "memory"},           {cost->tensor_us, "tensor"},
               {cost->shared_us, "shared memory"}, {cost->special_us, "exponentials"},
               {cost->latency_us, "latency"},      {cost->fixed_us + cost->combine_us, "fixed costs"}};
  double highest = -1;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i].us > highest) {
      highest = parts[i].us;
      cost->bound = parts[i].name;
    }
}

void smla_cost_estimate(const smla_machine *machine, const smla_work *work, const smla_candidate *candidate,
                        smla_cost *out) {
  shape s = shape_of(machine, work, candidate);
  tile_cost tile = cost_of_tile(machine, &s, candidate);
  const smla_cuts cuts = smla_cuts_of(work->batch, ceil(work->context / s.tokens), s.units, s.groups, s.rows);
  double tiles = s.tiles, units = cuts.units, share = cuts.share; /* of the busiest unit */
  double turns =
      ceil(s.groups * most(1, units) / machine->sms); /* of blocks, where there are more than multiprocessors */
  double rows = work->heads * work->q_len;
  smla_cost cost = {0};
  cost.bytes = tiles * tile.bytes + work->batch * rows * (4 * work->latent + 2 * work->rope + 4);
  /* The busiest unit's share is read at its part of the bandwidth. */
  cost.hbm_us = read_us(machine, &s, share * most(1, units) * tile.bytes);
  if (units > 0 && units < s.units)
    cost.hbm_us *= most(1, s.units / units / 4); /* a quarter of the units still draws it all */
  cost.tensor_us = share * turns * tile.tensor / machine->clock_mhz;
  cost.shared_us = share * turns * tile.shared / machine->clock_mhz;
  cost.special_us = share * turns * tile.special / machine->clock_mhz;
  cost.latency_us = share * turns * tile.latency_us;
  cost.splits = work->batch > 0 ? most(1, cuts.cut / work->batch) : 0;
  if (cuts.cut > 0) { /* partial results are written at the memory's rate, and read again soon: from L2 */
    double bytes = cuts.cut * s.groups * s.rows * s.latent * smla_candidate_number(candidate, "partial_bytes", 4);
    double together = cuts.cut / fmin(cuts.cut, work->batch); /* pieces of a request that is cut */
    cost.combine_us =
        machine->merge_us * log2(together) +
        (bytes / machine->hbm_gb_per_s + bytes / most(machine->hbm_gb_per_s, machine->l2_gb_per_s)) * 1e-3;
  }
  cost.fixed_us = machine->launch_us + 2 * machine->dependent_us + machine->ramp_us + turns * s.rows * machine->row_us;
  if (machine->latency_mhz > 0) cost.fixed_us += (cost.bytes - tiles * tile.bytes) / machine->hbm_gb_per_s * 1e-3;
  double busiest = most(most(most(cost.tensor_us, cost.shared_us), cost.special_us), cost.latency_us);
  double overlapped = most(cost.hbm_us, busiest) + exposed_of(machine, &s, share) * fmin(cost.hbm_us, busiest);
  cost.total_us = overlapped + cost.combine_us + cost.fixed_us;
  name_bound(&cost);
  *out = cost;
}
