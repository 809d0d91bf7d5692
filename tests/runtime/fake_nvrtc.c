/* A libnvrtc for tests, that tells its version and compiles nothing. */
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

enum { COMPILATION_FAILED = 6 };

EXPORT int nvrtcVersion(int *major, int *minor) {
  *major = 13;
  *minor = 7;
  return 0;
}
EXPORT int nvrtcCreateProgram(void **program) { return (void)program, COMPILATION_FAILED; }
EXPORT int nvrtcDestroyProgram(void **program) { return (void)program, 0; }
EXPORT int nvrtcCompileProgram(void *program) { return (void)program, COMPILATION_FAILED; }
EXPORT int nvrtcGetProgramLogSize(void *program, size_t *size) { return (void)program, *size = 0, 0; }
EXPORT int nvrtcGetProgramLog(void *program, char *log) { return (void)program, (void)log, 0; }
EXPORT int nvrtcGetCUBINSize(void *program, size_t *size) { return (void)program, *size = 0, 0; }
EXPORT int nvrtcGetCUBIN(void *program, char *cubin) { return (void)program, (void)cubin, 0; }
EXPORT const char *nvrtcGetErrorString(int result) { return (void)result, "a failure for tests"; }
