/* The plans of a pack: requests are resolved to variants, of which each is one kernel, whoever needs it. */
#include <stdlib.h>
#include <string.h>

#include "device_class.h"
#include "geometry.h"
#include "layer_make.h"
#include "pack_maker.h"
#include "plan_make.h"
#include "problem_settings.h"
#include "problem_shape.h"
#include "status.h"
#include "struct_size.h"
#include "target_name.h"
#include "tuner.h"
#include "workspace.h"

const char smla_pack_no_text[1] = "";

static snapmla_status out_of_memory(void) { return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a pack"); }

static const snapmla_problem *attention_of(const snapmla_pack_request *request) {
  return request->layer ? &request->layer->attention : request->problem;
}

snapmla_status smla_pack_request_check(const snapmla_pack_request *request) {
  snapmla_status status = smla_struct_size_check("snapmla_pack_request", request, request->size, sizeof *request);
  if (status) return status;
  if (request->problem && request->layer)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "a request has a problem and a layer; ask for each by a request of its own");
  if (!request->layer) {
    status = snapmla_problem_check(request->problem);
    return status ? status : smla_override_check(request->variant, smla_family_names, SMLA_FAMILY_COUNT);
  }
  smla_buffer layers = {0}, attention = {0};
  status = snapmla_layer_problem_check(request->layer);
  if (!status) status = smla_layer_override_share(request->layer, request->variant, &layers, &attention);
  smla_buffer_free(&layers);
  smla_buffer_free(&attention);
  return status;
}

/* The number of the kernel of `variant`, which is taken over, on failure too. */
static snapmla_status add_kernel(smla_pack_maker *m, snapmla_target target, char *variant, int32_t *number) {
  for (size_t i = 0; i < m->kernel_count; i++) {
    const smla_build *known = &m->kernels[i].build;
    if (known->target != target || strcmp(known->variant, variant)) continue;
    free(variant);
    *number = (int32_t)i;
    return SNAPMLA_OK;
  }
  smla_pack_kernel *grown = realloc(m->kernels, (m->kernel_count + 1) * sizeof *grown);
  if (!grown) {
    free(variant);
    return out_of_memory();
  }
  m->kernels = grown;
  smla_pack_kernel *k = &grown[m->kernel_count];
  *k = (smla_pack_kernel){.build = {.generator = m->generator, .target = target, .variant = variant}};
  *number = (int32_t)m->kernel_count++;
  smla_geometry unused;
  snapmla_status status = smla_generator_describe(m->generator, variant, &k->quantities, &k->quantity_count);
  return status ? status : smla_geometry_read(k->quantities, k->quantity_count, variant, &unused);
}

/* What the variants of a problem's plan are: an override to be freed, that which was given, NULL for the defaults; and where it came from,
 * which goes to *p. */
static snapmla_status choose(const smla_pack_maker *m, const snapmla_problem *problem, const char *given,
                             snapmla_target target, const char *device_class, char **override_text, smla_pack_plan *p) {
  p->provenance = given ? "given" : "default";
  if (given) return (*override_text = strdup(given)) ? SNAPMLA_OK : out_of_memory();
  if (!*device_class) return SNAPMLA_OK;
  const snapmla_plan_options options = {.size = sizeof options, .flags = m->options.flags};
  snapmla_plan_report report = {.size = sizeof report};
  smla_tuning t = {0};
  int tune;
  snapmla_status status =
      smla_tuning_open_class(m->generator, device_class, target, problem,
                             m->options.flags & SNAPMLA_PLAN_DETERMINISTIC ? SMLA_TUNING_BLIND : SMLA_TUNING_ALL, &t);
  if (status) return status;
  smla_problem_key_text(&t.key.problem, report.problem_key);
  status = smla_planner_choose(&t, &options, override_text, &report, &tune);
  smla_tuning_close(&t);
  if (status) return status;
  p->provenance = snapmla_provenance_name(report.provenance);
  if (report.provenance == SNAPMLA_PROVENANCE_ESTIMATED) return SNAPMLA_OK;
  p->time_kind = snapmla_time_kind_name(report.time_kind);
  p->nanoseconds = (uint64_t)(report.microseconds * 1e3 + 0.5);
  if (!p->nanoseconds) p->nanoseconds = 1; /* 0 says that there is no time */
  return (p->difference = strdup(report.difference)) ? SNAPMLA_OK : out_of_memory();
}

/* What a plan takes kernels for, and their variants, owned. */
typedef struct uses {
  struct use {
    const char *role;
    char *variant;
  } items[SMLA_FAMILY_COUNT + SMLA_LAYER_KERNEL_COUNT];
  size_t count;
} uses;

static void add_uses(uses *u, const char *const *roles, char *const *variants, size_t count) {
  for (size_t i = 0; i < count; i++) u->items[u->count++] = (struct use){roles[i], variants[i]};
}

static int by_role(const void *a, const void *b) {
  return strcmp(((const struct use *)a)->role, ((const struct use *)b)->role);
}

/* The kernels of a request by their roles, in order: of each family one, then what a layer has of its own, for
 * the multiprocessors of the device class, if it is one. */
static snapmla_status resolve(const smla_pack_maker *m, const snapmla_pack_request *request, const char *device_class,
                              const char *attention_text, const char *layers_text, uses *out) {
  char *variants[SMLA_FAMILY_COUNT], *own[SMLA_LAYER_KERNEL_COUNT];
  snapmla_status status = smla_plan_variants(m->generator, attention_of(request), attention_text, variants);
  if (status) return status;
  add_uses(out, smla_family_names, variants, SMLA_FAMILY_COUNT);
  if (request->layer) {
    smla_device_facts facts;
    int32_t multiprocessors = smla_device_class_facts(device_class, &facts) ? facts.multiprocessors : 0;
    status =
        smla_layer_variants(m->generator, request->layer, multiprocessors, variants[SMLA_MLA_DECODE], layers_text, own);
    if (!status) add_uses(out, smla_layer_roles, own, (size_t)smla_layer_kernel_count(request->layer));
  }
  qsort(out->items, out->count, sizeof *out->items, by_role);
  return status;
}

/* An empty plan of a request, appended. */
static snapmla_status append_plan(smla_pack_maker *m, const snapmla_pack_request *request, snapmla_target target,
                                  const char *device_class, smla_pack_plan **out) {
  const snapmla_problem *problem = attention_of(request);
  smla_pack_plan *grown = realloc(m->plans, (m->plan_count + 1) * sizeof *grown);
  if (!grown) return out_of_memory();
  m->plans = grown;
  smla_pack_plan *p = *out = &grown[m->plan_count++];
  *p = (smla_pack_plan){.target = smla_target_name(target),
                        .device_class = device_class,
                        .max_batch = problem->max_batch,
                        .max_context = problem->max_context,
                        .difference = smla_pack_no_text,
                        .time_kind = snapmla_time_kind_name(SNAPMLA_TIME_NONE)};
  smla_buffer shape = {0};
  snapmla_status status =
      request->layer ? smla_layer_shape(request->layer, &shape) : smla_problem_shape(problem, &shape);
  p->shape = smla_buffer_take(&shape);
  return !status && !p->shape ? out_of_memory() : status;
}

/* What a plan of the problem would refuse of its decode kernel. */
static snapmla_status check_decode(const snapmla_problem *problem, const smla_pack_kernel *k) {
  smla_geometry geometry;
  snapmla_status status = smla_geometry_read(k->quantities, k->quantity_count, k->build.variant, &geometry);
  return status ? status : smla_clusters_check(problem, geometry.rows, geometry.cluster, k->build.variant);
}

/* The kernels of a problem's plan; variants that were taken over are NULL in *u. */
static snapmla_status add_kernels(smla_pack_maker *m, const snapmla_problem *problem, snapmla_target target, uses *u,
                                  smla_pack_plan *p) {
  p->roles = calloc(u->count, sizeof *p->roles);
  p->kernels = calloc(u->count, sizeof *p->kernels);
  if (!p->roles || !p->kernels) return out_of_memory();
  p->kernel_count = u->count;
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < u->count && !status; i++) {
    p->roles[i] = u->items[i].role;
    status = add_kernel(m, target, u->items[i].variant, &p->kernels[i]);
    u->items[i].variant = NULL;
    if (!status && !strcmp(p->roles[i], smla_family_names[SMLA_MLA_DECODE]))
      status = check_decode(problem, &m->kernels[p->kernels[i]]);
  }
  return status;
}

/* The plan of a request for a device class, or "". */
static snapmla_status add_plan(smla_pack_maker *m, const snapmla_pack_request *request, snapmla_target target,
                               const char *device_class) {
  smla_buffer layers = {0}, attention = {0};
  char *override_text = NULL;
  smla_pack_plan *p = NULL;
  uses u = {.count = 0};
  snapmla_status status = append_plan(m, request, target, device_class, &p);
  if (!status && request->layer)
    status = smla_layer_override_share(request->layer, request->variant, &layers, &attention);
  if (!status)
    status = choose(m, attention_of(request), request->layer ? attention.data : request->variant, target, device_class,
                    &override_text, p);
  if (!status) status = resolve(m, request, device_class, override_text, layers.data, &u);
  if (!status) status = add_kernels(m, attention_of(request), target, &u, p);
  for (size_t i = 0; i < u.count; i++) free(u.items[i].variant);
  free(override_text);
  smla_buffer_free(&layers);
  smla_buffer_free(&attention);
  return status;
}

snapmla_status smla_pack_maker_add(smla_pack_maker *m, const snapmla_pack_request *request, snapmla_target target) {
  snapmla_status status = SNAPMLA_OK;
  int added = 0;
  for (size_t i = 0; i < m->options.device_class_count && !status; i++) {
    if (!smla_target_runs(target, m->options.device_classes[i])) continue;
    status = add_plan(m, request, target, m->options.device_classes[i]);
    added = 1;
  }
  return added || status ? status : add_plan(m, request, target, "");
}
