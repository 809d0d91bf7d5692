/* Making packs: what the requests' plans need is compiled, each kernel once, and sorted into an index. */
#include <snapmla/pack_make.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "compiler.h"
#include "pack_maker.h"
#include "pack_write.h"
#include "problem_settings.h"
#include "status.h"
#include "struct_size.h"
#include "target_name.h"
#include "tuner.h"

enum { DEFAULT_LEVEL = 12, MOST_LEVEL = 19 };

static snapmla_status out_of_memory(void) { return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a pack"); }

static void report(void *user, const smla_build *build) {
  const smla_pack_maker *m = user;
  smla_buffer text = {0};
  if (m->options.progress &&
      !smla_buffer_printf(&text, "%s %s for %s in %.2f s", build->status ? "failed to compile" : "compiled",
                          build->variant, smla_target_name(build->target), build->seconds))
    m->options.progress(m->options.progress_user, text.data);
  smla_buffer_free(&text);
}

/* All kernels side by side; smla_build_all wants them in a row. */
static snapmla_status compile(smla_pack_maker *m) {
  smla_build *builds = calloc(m->kernel_count ? m->kernel_count : 1, sizeof *builds);
  if (!builds) return out_of_memory();
  for (size_t i = 0; i < m->kernel_count; i++) builds[i] = m->kernels[i].build;
  snapmla_status status = smla_build_all(builds, m->kernel_count, 0, report, m);
  for (size_t i = 0; i < m->kernel_count; i++) m->kernels[i].build = builds[i];
  free(builds);
  return status;
}

/* The first line of what a compiler says of itself, in printable ASCII. */
static snapmla_status name_compiler(smla_pack_maker *m, snapmla_target target) {
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
  return strcmp((*(const smla_pack_kernel *const *)a)->build.image->key,
                (*(const smla_pack_kernel *const *)b)->build.image->key);
}

/* Plans of one problem that have the same kernels differ in where they come from at most: which stays must be the same. */
static int by_problem(const void *a, const void *b) {
  const smla_pack_plan *x = a, *y = b;
  int order = smla_pack_plan_compare(x, y);
  return order ? order : strcmp(x->provenance, y->provenance);
}

static void describe_artifact(const smla_pack_maker *m, const smla_pack_kernel *k, smla_pack_artifact *a) {
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
static snapmla_status sort_plans(smla_pack_maker *m, const int32_t *place, smla_pack_plan *plans, size_t *count) {
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

static snapmla_status write(smla_pack_maker *m, smla_buffer *out) {
  size_t count = m->kernel_count;
  const smla_pack_kernel **order = calloc(count ? count : 1, sizeof *order);
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

static void clear(smla_pack_maker *m) {
  for (size_t i = 0; i < m->kernel_count; i++) {
    smla_build_clear(&m->kernels[i].build);
    free((char *)m->kernels[i].build.variant);
    free(m->kernels[i].quantities);
  }
  for (size_t i = 0; i < m->plan_count; i++) {
    free((char *)m->plans[i].shape);
    if (m->plans[i].difference != smla_pack_no_text) free((char *)m->plans[i].difference);
    free(m->plans[i].roles);
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

snapmla_status snapmla_pack_make(const snapmla_pack_make_options *options, const snapmla_pack_request *requests,
                                 size_t count, void **data, size_t *bytes) {
  if (!requests || !count || !data || !bytes)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "requests, data and bytes are needed, and one is NULL or none is there");
  *data = NULL;
  static const snapmla_target otherwise[] = {SNAPMLA_TARGET_SM90A};
  smla_pack_maker m = {0};
  smla_buffer out = {0};
  snapmla_status status = check_options(options, &m.options);
  if (!status) status = smla_generator_create(smla_templates_directory(m.options.templates), &m.generator);
  const snapmla_target *targets = m.options.target_count ? m.options.targets : otherwise;
  size_t target_count = m.options.target_count ? m.options.target_count : 1;
  if (!status) status = check_classes(&m.options, targets, target_count);
  for (size_t i = 0; i < count && !status; i++) {
    status = smla_pack_request_check(&requests[i]);
    for (size_t t = 0; t < target_count && !status; t++) status = smla_pack_maker_add(&m, &requests[i], targets[t]);
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
