#include "calibration.h"

#include <math.h>
#include <stdlib.h>

#include "statistics.h"

static const double prior_weight = 2;

static int usable(const smla_calibration_sample *s) {
  return isfinite(s->modelled_us) && isfinite(s->measured_us) && s->modelled_us > 0 && s->measured_us > 0;
}

/* The median logarithm of measured / modelled of a group, or of all where `group` is NULL. */
static size_t median_log(const smla_calibration_sample *samples, size_t count, const int *group, double *room,
                         double *out) {
  size_t n = 0;
  for (size_t i = 0; i < count; i++)
    if (usable(&samples[i]) && (!group || samples[i].group == *group))
      room[n++] = log(samples[i].measured_us / samples[i].modelled_us);
  if (n) *out = smla_median(room, n);
  return n;
}

static int is_known(const smla_calibration *c, int group) {
  for (size_t i = 0; i < c->group_count; i++)
    if (c->groups[i] == group) return 1;
  return 0;
}

void smla_calibration_fit(const smla_calibration_sample *samples, size_t count, smla_calibration *out) {
  smla_calibration c = {.factor = 1};
  double *room = count ? calloc(count, sizeof *room) : NULL;
  double all = 0;
  if (room) c.samples = median_log(samples, count, NULL, room, &all);
  c.factor = exp(all);
  for (size_t i = 0; c.samples && i < count && c.group_count < SMLA_CALIBRATION_GROUPS; i++) {
    if (!usable(&samples[i]) || is_known(&c, samples[i].group)) continue;
    double own = all;
    double n = (double)median_log(samples, count, &samples[i].group, room, &own);
    c.groups[c.group_count] = samples[i].group;
    c.factors[c.group_count++] = exp((n * own + prior_weight * all) / (n + prior_weight));
  }
  double squares = 0;
  for (size_t i = 0; c.samples && i < count; i++) {
    if (!usable(&samples[i])) continue;
    double off = log(samples[i].measured_us / smla_calibration_apply(&c, samples[i].group, samples[i].modelled_us));
    squares += off * off;
  }
  c.spread = c.samples ? sqrt(squares / (double)c.samples) : 0;
  free(room);
  *out = c;
}

double smla_calibration_apply(const smla_calibration *calibration, int group, double modelled_us) {
  if (!calibration->samples) return modelled_us;
  for (size_t i = 0; i < calibration->group_count; i++)
    if (calibration->groups[i] == group) return modelled_us * calibration->factors[i];
  return modelled_us * calibration->factor;
}
