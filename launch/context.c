#include "context_object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "struct_size.h"

/* "cuda:N" gives N, "emulator" gives -1. */
static snapmla_status parse_device(const char *text, int *ordinal) {
  *ordinal = -1;
  if (!strcmp(text, "emulator")) return SNAPMLA_OK;
  if (!strncmp(text, "cuda:", 5) && text[5] >= '0' && text[5] <= '9') {
    char *end;
    errno = 0;
    long number = strtol(text + 5, &end, 10);
    if (!*end && !errno && number < 1024) {
      *ordinal = (int)number;
      return SNAPMLA_OK;
    }
  }
  return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                   "device \"%s\" is not known; write \"cuda:0\" (or another number) or \"emulator\"", text);
}

static snapmla_status open_device(const snapmla_context_options *options, smla_device **out) {
  if (!options->device) return smla_device_open_cuda(0, out) ? smla_device_open_emulator(options, out) : SNAPMLA_OK;
  int ordinal;
  snapmla_status status = parse_device(options->device, &ordinal);
  if (status) return status;
  return ordinal < 0 ? smla_device_open_emulator(options, out) : smla_device_open_cuda(ordinal, out);
}

static snapmla_status check_options(const snapmla_context_options *options) {
  if (options->emulator_order < SNAPMLA_EMULATOR_EAGER || options->emulator_order > SNAPMLA_EMULATOR_RANDOM)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "emulator_order is %d, it must be a snapmla_emulator_order",
                     (int)options->emulator_order);
  if (options->emulator_sms < 0 || options->emulator_sms > 1024)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "emulator_sms is %d, it must be 0 (for 132) to 1024",
                     options->emulator_sms);
  if (options->emulator_threads < 0 || options->emulator_threads > 1024)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "emulator_threads is %d, it must be 0 (for one per core) to 1024",
                     options->emulator_threads);
  return SNAPMLA_OK;
}

snapmla_status smla_context_open(const snapmla_context_options *options, snapmla_context **out) {
  if (!out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "out is NULL; pass where the context goes");
  *out = NULL;
  snapmla_context_options known = {.size = sizeof known};
  snapmla_status status = SNAPMLA_OK;
  if (options) {
    status = smla_struct_size_check("snapmla_context_options", options, options->size, sizeof *options);
    if (!status) known = *options;
    if (!status) status = check_options(&known);
  }
  if (status) return status;
  snapmla_context *context = calloc(1, sizeof *context);
  if (!context) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a context");
  pthread_mutex_init(&context->lock, NULL);
  context->progress = known.progress;
  context->progress_user = known.progress_user;
  status = open_device(&known, &context->device);
  if (status) {
    snapmla_context_destroy(context);
    return status;
  }
  *out = context;
  return SNAPMLA_OK;
}

void snapmla_context_destroy(snapmla_context *context) {
  if (!context) return;
  if (context->device) context->device->ops->destroy(context->device);
  if (context->close_additions) context->close_additions(context);
  pthread_mutex_destroy(&context->lock);
  free(context->compile_log);
  free(context);
}

void smla_context_device_class(const snapmla_context *context, char text[SMLA_DEVICE_CLASS_MAX]) {
  smla_device_facts facts;
  context->device->ops->facts(context->device, &facts);
  smla_device_class(&facts, text);
}

snapmla_status snapmla_context_info(snapmla_context *context, snapmla_device_info *info) {
  if (!context || !info) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context and info are needed, and one is NULL");
  snapmla_status status = smla_struct_size_check("snapmla_device_info", info, info->size, sizeof *info);
  if (status) return status;
  snapmla_device_info known = {.size = info->size};
  context->device->ops->info(context->device, &known);
  _Static_assert(sizeof known.device_class == SMLA_DEVICE_CLASS_MAX, "room for a device class");
  smla_context_device_class(context, known.device_class);
  *info = known;
  return SNAPMLA_OK;
}

void smla_context_keep_log(snapmla_context *context, const char *log) {
  char *copy = strdup(log ? log : "");
  if (!copy) return; /* the log is for people; a plan does not fail for it */
  pthread_mutex_lock(&context->lock);
  free(context->compile_log);
  context->compile_log = copy;
  pthread_mutex_unlock(&context->lock);
}

snapmla_status snapmla_context_compile_log(snapmla_context *context, char **out) {
  if (!context || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context and out are needed, and one is NULL");
  pthread_mutex_lock(&context->lock);
  *out = strdup(context->compile_log ? context->compile_log : "");
  pthread_mutex_unlock(&context->lock);
  return *out ? SNAPMLA_OK : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a compile log");
}

void snapmla_text_free(char *text) { free(text); }
