/* Making packs: problems are resolved to variants, these are compiled, each once, and sorted into an index. */
#include <snapmla/pack_make.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "build.h"
#include "compiler.h"
#include "generator.h"
#include "geometry.h"
#include "pack_write.h"
#include "problem_settings.h"
#include "problem_shape.h"
#include "quantities.h"
#include "status.h"
#include "struct_size.h"
#include "target_name.h"
#include "tuner.h"

enum { DEFAULT_LEVEL = 12, MOST_LEVEL = 19 };

/* A kernel that some plan needs. */
typedef struct kernel {
  smla_build build; /* its variant is owned here */
  smla_quantity *quantities;
  size_t quantity_count;
} kernel;

typedef struct maker {
  snapmla_pack_make_options options;
  smla_generator *generator;
  kernel *kernels;
  size_t kernel_count;
  smla_pack_plan *plans; /* shapes and kernels owned; these are numbers in `kernels` until all is sorted */
  size_t plan_count;
  char *compilers[2]; /* by target, NULL where not asked for */
} maker;

static const char no_text[] = "";

static snapmla_status out_of_memory(void) { return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a pack"); }

/* The number of the kernel of `variant`, which is taken over, on failure too. */
static snapmla_status add_kernel(maker *m, snapmla_target target, char *variant, int32_t *number) {
  for (size_t i = 0; i < m->kernel_count; i++) {
    const smla_build *known = &m->kernels[i].build;
    if (known->target != target || strcmp(known->variant, variant)) continue;
    free(variant);
    *number = (int32_t)i;
    return SNAPMLA_OK;
  }
  kernel *grown = realloc(m->kernels, (m->kernel_count + 1) * sizeof *grown);
  if (!grown) {
    free(variant);
    return out_of_memory();
  }
  m->kernels = grown;
  kernel *k = &grown[m->kernel_count];
  *k = (kernel){.build = {.generator = m->generator, .target = target, .variant = variant}};
  *number = (int32_t)m->kernel_count++;
  smla_geometry unused;
  snapmla_status status = smla_generator_describe(m->generator, variant, &k->quantities, &k->quantity_count);
  return status ? status : smla_geometry_read(k->quantities, k->quantity_count, variant, &unused);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* What the variants of a plan are: an override to be freed, NULL for the defaults, and where it came from, which goes to *p. */
static snapmla_status choose(const maker *m, const snapmla_pack_request *request, snapmla_target target,
                             const char *device_class, char **override_text, smla_pack_plan *p) {
  p->provenance = request->variant ? "given" : "default";
  if (request->variant) return (*override_text = strdup(request->variant)) ? SNAPMLA_OK : out_of_memory();
  if (!*device_class) return SNAPMLA_OK;
  const snapmla_plan_options options = {.size = sizeof options, .flags = m->options.flags};
  snapmla_plan_report report = {.size = sizeof report};
  smla_tuning t = {0};
  int tune;
  snapmla_status status =
      smla_tuning_open_class(m->generator, device_class, target, request->problem,
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

/* An empty plan of a request, appended. */
static snapmla_status append_plan(maker *m, const snapmla_problem *problem, snapmla_target target,
                                  const char *device_class, size_t kernel_count, smla_pack_plan **out) {
  smla_pack_plan *grown = realloc(m->plans, (m->plan_count + 1) * sizeof *grown);
  if (!grown) return out_of_memory();
  m->plans = grown;
  smla_pack_plan *p = *out = &grown[m->plan_count++];
  *p = (smla_pack_plan){.target = smla_target_name(target),
                        .device_class = device_class,
                        .max_batch = problem->max_batch,
                        .max_context = problem->max_context,
                        .difference = no_text,
                        .time_kind = snapmla_time_kind_name(SNAPMLA_TIME_NONE),
                        .kernels = calloc(kernel_count, sizeof *p->kernels),
                        .kernel_count = kernel_count};
  smla_buffer shape = {0};
  snapmla_status status = p->kernels ? smla_problem_shape(problem, &shape) : out_of_memory();
  p->shape = smla_buffer_take(&shape);
  return !status && !p->shape ? out_of_memory() : status;
}

/* The plan of a request for a device class, or "": a kernel of each family, in the order of their names. */
static snapmla_status add_plan(maker *m, const snapmla_pack_request *request, snapmla_target target,
                               const char *device_class) {
  const char *families[SMLA_PACK_MOST_KERNELS];
  size_t count = 0;
  char *override_text = NULL;
  smla_pack_plan *p = NULL;
  for (const char *const *name = snapmla_family_names(); *name && count < SMLA_PACK_MOST_KERNELS; name++)
    families[count++] = *name;
  qsort(families, count, sizeof *families, by_name);
  snapmla_status status = append_plan(m, request->problem, target, device_class, count, &p);
  if (!status) status = choose(m, request, target, device_class, &override_text, p);
  for (size_t i = 0; i < count && !status; i++) {
    smla_buffer variant = {0};
    char *text = NULL;
    status = smla_problem_resolve(m->generator, request->problem, families[i], override_text, &variant);
    if (!status && !(text = smla_buffer_take(&variant))) status = out_of_memory();
    if (!status) status = add_kernel(m, target, text, &p->kernels[i]);
    smla_buffer_free(&variant);
  }
  free(override_text);
  return status;
}

/* The plans of a request for a target: one for each device class that runs it, or one for none in particular. */
static snapmla_status add_plans(maker *m, const snapmla_pack_request *request, snapmla_target target) {
  snapmla_status status = SNAPMLA_OK;
  int added = 0;
  for (size_t i = 0; i < m->options.device_class_count && !status; i++) {
    if (!smla_target_runs(target, m->options.device_classes[i])) continue;
    status = add_plan(m, request, target, m->options.device_classes[i]);
    added = 1;
  }
  return added || status ? status : add_plan(m, request, target, "");
}

static void report(void *user, const smla_build *build) {
  const maker *m = user;
  smla_buffer text = {0};
  if (m->options.progress &&
      !smla_buffer_printf(&text, "%s %s for %s in %.2f s", build->status ? "failed to compile" : "compiled",
                          build->variant, smla_target_name(build->target), build->seconds))
    m->options.progress(m->options.progress_user, text.data);
  smla_buffer_free(&text);
}

/* All kernels side by side; smla_build_all wants them in a row. */
static snapmla_status compile(maker *m) {
  smla_build *builds = calloc(m->kernel_count ? m->kernel_count : 1, sizeof *builds);
  if (!builds) return out_of_memory();
  for (size_t i = 0; i < m->kernel_count; i++) builds[i] = m->kernels[i].build;
  snapmla_status status = smla_build_all(builds, m->kernel_count, 0, report, m);
  for (size_t i = 0; i < m->kernel_count; i++) m->kernels[i].build = builds[i];
  free(builds);
  return status;
}

/* The first line of what a compiler says of itself, in printable ASCII. */
static snapmla_status name_compiler(maker *m, snapmla_target target) {
  smla_buffer identity = {0};
  snapmla_status status = smla_compiler_of(target)->identity(&identity);
  if (!status) {
    char *text = smla_buffer_take(&identity);
    if (text) {
      text[strcspn(text, "\n")] = 0;
      if (strlen(text) > SMLA_PACK_MOST_TEXT) text[SMLA_PACK_MOST_TEXT] = 0;
      for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
    } else {
      status = out_of_memory();
    }
    free(m->compilers[target]);
    m->compilers[target] = text;
  }
  smla_buffer_free(&identity);
  return status;
}

static int by_key(const void *a, const void *b) {
  return strcmp((*(const kernel *const *)a)->build.image->key, (*(const kernel *const *)b)->build.image->key);
}

/* Plans of one problem that have the same kernels differ in where they come from at most: which stays must be the same. */
static int by_problem(const void *a, const void *b) {
  const smla_pack_plan *x = a, *y = b;
  int order = smla_pack_plan_compare(x, y);
  return order ? order : strcmp(x->provenance, y->provenance);
}

static void describe_artifact(const maker *m, const kernel *k, smla_pack_artifact *a) {
  const smla_image *image = k->build.image;
  *a = (smla_pack_artifact){
      .target = smla_target_name(image->target),
      .variant = k->build.variant,
      .entry = image->entry,
      .compiler = m->compilers[image->target],
      .nvrtc_major = image->nvrtc_major,
      .facts = image->facts,
      .quantities = k->quantities,
      .quantity_count = k->quantity_count,
  };
  snprintf(a->key, sizeof a->key, "%s", image->key);
}

/* The plans in order, each problem once; `place` is where a kernel went. */
static snapmla_status sort_plans(maker *m, const int32_t *place, smla_pack_plan *plans, size_t *count) {
  qsort(m->plans, m->plan_count, sizeof *m->plans, by_problem);
  *count = 0;
  for (size_t i = 0; i < m->plan_count; i++) {
    smla_pack_plan *p = &m->plans[i];
    for (size_t k = 0; k < p->kernel_count; k++) p->kernels[k] = place[p->kernels[k]];
    const smla_pack_plan *last = *count ? &plans[*count - 1] : NULL;
    if (!last || smla_pack_plan_compare(last, p)) {
      plans[(*count)++] = *p;
    } else if (memcmp(last->kernels, p->kernels, p->kernel_count * sizeof *p->kernels)) {
      return smla_fail(
          SNAPMLA_INVALID_ARGUMENT,
          "the problem %s, batch %d, context %d is asked for twice with different variants; ask for it once", p->shape,
          p->max_batch, p->max_context);
    }
  }
  return SNAPMLA_OK;
}

static snapmla_status write(maker *m, smla_buffer *out) {
  size_t count = m->kernel_count;
  const kernel **order = calloc(count ? count : 1, sizeof *order);
  smla_image **images = calloc(count ? count : 1, sizeof *images);
  int32_t *place = calloc(count ? count : 1, sizeof *place);
  smla_pack_index index = {.artifacts = calloc(count ? count : 1, sizeof *index.artifacts),
                           .artifact_count = count,
                           .plans = calloc(m->plan_count ? m->plan_count : 1, sizeof *index.plans)};
  int level = m->options.compression < 0 ? 0 : m->options.compression ? m->options.compression : DEFAULT_LEVEL;
  snapmla_status status = order && images && place && index.artifacts && index.plans ? SNAPMLA_OK : out_of_memory();
  if (!status) {
    for (size_t i = 0; i < count; i++) order[i] = &m->kernels[i];
    qsort(order, count, sizeof *order, by_key);
    for (size_t i = 0; i < count; i++) {
      describe_artifact(m, order[i], &index.artifacts[i]);
      images[i] = order[i]->build.image;
      place[order[i] - m->kernels] = (int32_t)i;
    }
    status = sort_plans(m, place, index.plans, &index.plan_count);
  }
  if (!status) status = smla_pack_write(&index, images, level, m->options.secret_key, out);
  free(order);
  free(images);
  free(place);
  free(index.artifacts);
  free(index.plans);
  return status;
}

static void clear(maker *m) {
  for (size_t i = 0; i < m->kernel_count; i++) {
    smla_build_clear(&m->kernels[i].build);
    free((char *)m->kernels[i].build.variant);
    free(m->kernels[i].quantities);
  }
  for (size_t i = 0; i < m->plan_count; i++) {
    free((char *)m->plans[i].shape);
    if (m->plans[i].difference != no_text) free((char *)m->plans[i].difference);
    free(m->plans[i].kernels);
  }
  free(m->kernels);
  free(m->plans);
  for (size_t i = 0; i < sizeof m->compilers / sizeof *m->compilers; i++) free(m->compilers[i]);
  smla_generator_destroy(m->generator);
}

static snapmla_status check_options(const snapmla_pack_make_options *options, snapmla_pack_make_options *known) {
  *known = (snapmla_pack_make_options){.size = sizeof *known};
  if (options) {
    snapmla_status status =
        smla_struct_size_check("snapmla_pack_make_options", options, options->size, sizeof *options);
    if (status) return status;
    *known = *options;
  }
  if (known->compression < -1 || known->compression > MOST_LEVEL)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "compression is %d, it must be a level of zstd, 1 to %d, 0 or -1",
                     known->compression, (int)MOST_LEVEL);
  for (size_t i = 0; i < known->target_count; i++)
    if (!known->targets || !smla_target_name(known->targets[i]))
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "targets must be SNAPMLA_TARGET_SM90A or SNAPMLA_TARGET_EMULATOR, each");
  if (known->flags & ~(uint32_t)(SNAPMLA_PLAN_WISDOM_ONLY | SNAPMLA_PLAN_ALLOW_NEAREST | SNAPMLA_PLAN_DETERMINISTIC))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "flags are 0x%x; of a plan's, WISDOM_ONLY, ALLOW_NEAREST and DETERMINISTIC are a pack's",
                     known->flags);
  return SNAPMLA_OK;
}

/* Each is a class, is named once, and runs one of the targets. */
static snapmla_status check_classes(const snapmla_pack_make_options *options, const snapmla_target *targets,
                                    size_t target_count) {
  if (options->device_class_count && !options->device_classes)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "device_class_count is %zu and device_classes is NULL; pass them, or 0",
                     options->device_class_count);
  for (size_t i = 0; i < options->device_class_count; i++) {
    const char *text = options->device_classes[i];
    if (!text || !smla_device_class_is(text))
      return smla_fail(
          SNAPMLA_INVALID_ARGUMENT,
          "\"%.100s\" is no device class; write it as 'snapmla ls' shows it, or 'snapmla doctor' on the machine "
          "that is meant",
          text ? text : "");
    size_t t = 0;
    while (t < target_count && !smla_target_runs(targets[t], text)) t++;
    if (t == target_count)
      return smla_fail(
          SNAPMLA_INVALID_ARGUMENT,
          "the device class %s runs none of the pack's targets; name the target that it does run (--target), "
          "or another class",
          text);
    for (size_t k = 0; k < i; k++)
      if (!strcmp(options->device_classes[k], text))
        return smla_fail(SNAPMLA_INVALID_ARGUMENT, "the device class %s is named twice; name it once", text);
  }
  return SNAPMLA_OK;
}

static snapmla_status check_request(const snapmla_pack_request *request) {
  snapmla_status status = smla_struct_size_check("snapmla_pack_request", request, request->size, sizeof *request);
  if (!status) status = snapmla_problem_check(request->problem);
  if (status) return status;
  const char *const *families = snapmla_family_names();
  size_t count = 0;
  while (families[count]) count++;
  return smla_override_check(request->variant, families, count);
}

snapmla_status snapmla_pack_make(const snapmla_pack_make_options *options, const snapmla_pack_request *requests,
                                 size_t count, void **data, size_t *bytes) {
  if (!requests || !count || !data || !bytes)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "requests, data and bytes are needed, and one is NULL or none is there");
  *data = NULL;
  static const snapmla_target otherwise[] = {SNAPMLA_TARGET_SM90A};
  maker m = {0};
  smla_buffer out = {0};
  snapmla_status status = check_options(options, &m.options);
  if (!status) status = smla_generator_create(smla_templates_directory(m.options.templates), &m.generator);
  const snapmla_target *targets = m.options.target_count ? m.options.targets : otherwise;
  size_t target_count = m.options.target_count ? m.options.target_count : 1;
  if (!status) status = check_classes(&m.options, targets, target_count);
  for (size_t i = 0; i < count && !status; i++) {
    status = check_request(&requests[i]);
    for (size_t t = 0; t < target_count && !status; t++) status = add_plans(&m, &requests[i], targets[t]);
  }
  for (size_t t = 0; t < target_count && !status; t++) status = name_compiler(&m, targets[t]);
  if (!status) status = compile(&m);
  if (!status) status = write(&m, &out);
  if (!status) {
    *bytes = out.length;
    *data = smla_buffer_take(&out);
  }
  smla_buffer_free(&out);
  clear(&m);
  return status;
}

void snapmla_pack_data_free(void *data) { free(data); }
