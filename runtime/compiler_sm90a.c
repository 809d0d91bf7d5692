/* Kernels for Hopper, by NVRTC. */
#include <stdlib.h>

#include "compiler.h"
#include "nvrtc.h"
#include "status.h"

/* -v makes the log tell registers, stack and spills of each kernel. */
static const char *const options[] = {"--gpu-architecture=sm_90a", "--std=c++17", "--fmad=false", "--ptxas-options=-v",
                                      NULL};

static snapmla_status identity(smla_buffer *out) {
  const smla_nvrtc *nvrtc;
  snapmla_status status = smla_nvrtc_open(&nvrtc);
  return status ? status : smla_buffer_printf(out, "nvrtc %d.%d %s", nvrtc->major, nvrtc->minor, nvrtc->build_id);
}

static snapmla_status fingerprint(smla_buffer *out) {
  smla_buffer id = {0};
  snapmla_status status = smla_nvrtc_build_id(&id);
  if (!status) status = id.length ? smla_buffer_printf(out, "nvrtc %s", id.data) : identity(out);
  smla_buffer_free(&id);
  return status;
}

static snapmla_status failed(const smla_nvrtc *nvrtc, int result, const char *call, const char *name) {
  return smla_fail(SNAPMLA_COMPILE, "NVRTC %d.%d does not compile %s: %s says %s", nvrtc->major, nvrtc->minor, name,
                   call, nvrtc->error_string(result));
}

/* A text or image of NVRTC's, by its size function and its copy function. */
static int fetch(int (*size_of)(nvrtc_program, size_t *), int (*copy)(nvrtc_program, char *), nvrtc_program program,
                 smla_buffer *out, snapmla_status *status) {
  size_t size = 0;
  int result = size_of(program, &size);
  char *data = result ? NULL : malloc(size ? size : 1);
  if (!result && !data) {
    *status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu bytes of compiler output", size);
    return 0;
  }
  if (!result) result = copy(program, data);
  if (!result) *status = smla_buffer_append(out, data, size);
  free(data);
  return result;
}

static void drop_terminator(smla_buffer *text) {
  while (text->length && !text->data[text->length - 1]) text->length--;
}

static snapmla_status compile(const char *source, const char *name, smla_compiled *out) {
  const smla_nvrtc *nvrtc;
  snapmla_status status = smla_nvrtc_open(&nvrtc);
  if (status) return status;
  nvrtc_program program = NULL;
  int result = nvrtc->create(&program, source, name, 0, NULL, NULL);
  if (result) return failed(nvrtc, result, "nvrtcCreateProgram", name);
  int count = 0;
  while (options[count]) count++;
  int compiled = nvrtc->compile(program, count, options);
  result = fetch(nvrtc->log_size, nvrtc->log, program, &out->log, &status);
  drop_terminator(&out->log);
  if (!status && compiled == NVRTC_ERROR_COMPILATION)
    status = smla_compiler_failed("NVRTC", name, out->log.data);
  else if (!status && compiled)
    status = failed(nvrtc, compiled, "nvrtcCompileProgram", name);
  else if (!status && result)
    status = failed(nvrtc, result, "nvrtcGetProgramLog", name);
  if (!status) {
    result = fetch(nvrtc->cubin_size, nvrtc->cubin, program, &out->image, &status);
    if (!status && result) status = failed(nvrtc, result, "nvrtcGetCUBIN", name);
  }
  nvrtc->destroy(&program);
  return status;
}

const smla_compiler smla_compiler_sm90a = {SNAPMLA_TARGET_SM90A, "sm_90a", "cubin", 0, options, identity,
                                           fingerprint,          compile};
