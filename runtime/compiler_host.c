/* Kernels for the emulator, by the host's C++ compiler: freestanding, into a shared object. */
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler.h"
#include "env.h"
#include "file.h"
#include "process.h"
#include "status.h"

/* No contraction: a kernel's arithmetic is what its text says, as --fmad=false makes it on the GPU. */
static const char *const options[] = {
    "-std=c++17", "-O2",       "-ffreestanding",      "-fno-exceptions",      "-fno-rtti", "-ffp-contract=off", "-fPIC",
    "-shared",    "-nostdlib", "-fvisibility=hidden", "-fno-stack-protector", NULL};

enum { OPTION_COUNT = sizeof options / sizeof *options - 1, IMAGE_LIMIT = 256 << 20 };
enum { IDENTITY_SECONDS = 30, COMPILE_SECONDS = 180 };

static int is_program(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISREG(info.st_mode) && !access(path, X_OK);
}

/* Looks for `name` in PATH; a name with a slash is a path. */
static snapmla_status search(const char *name, smla_buffer *path, int *found) {
  *found = 0;
  if (strchr(name, '/')) {
    if (!is_program(name)) return SNAPMLA_OK;
    *found = 1;
    return smla_buffer_append_text(path, name);
  }
  const char *directories = smla_env(SMLA_ENV_PATH);
  for (const char *p = directories ? directories : "/usr/local/bin:/usr/bin:/bin"; *p;) {
    size_t length = strcspn(p, ":");
    smla_buffer candidate = {0};
    snapmla_status status = smla_buffer_printf(&candidate, "%.*s/%s", (int)length, p, name);
    if (!status && *p == '/' && is_program(candidate.data)) { /* a relative directory of PATH is not trusted */
      *found = 1;
      status = smla_buffer_append(path, candidate.data, candidate.length);
    }
    smla_buffer_free(&candidate);
    if (status || *found) return status;
    p += length + (p[length] == ':');
  }
  return SNAPMLA_OK;
}

snapmla_status smla_compiler_find_host(smla_buffer *path) {
  static const char *const names[] = {"c++", "g++", "clang++"};
  const char *asked = smla_env(SMLA_ENV_CXX);
  int found = 0;
  if (asked) {
    snapmla_status status = search(asked, path, &found);
    if (status || found) return status;
    return smla_fail(SNAPMLA_NO_COMPILER,
                     "SNAPMLA_CXX names \"%s\", which is not a program; name one program, without options, or unset it",
                     asked);
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snapmla_status status = search(names[i], path, &found);
    if (status || found) return status;
  }
  return smla_fail(SNAPMLA_NO_COMPILER,
                   "no C++ compiler: none of c++, g++ and clang++ is in PATH, and the emulator's kernels need one; "
                   "apt-get install g++, or name one in SNAPMLA_CXX");
}

/* The last compiler asked for its version: asking costs a process. */
static pthread_mutex_t identity_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  char path[1024];
  char text[4096];
  struct timespec changed;
  off_t size;
} last_identity;

static snapmla_status ask_identity(const char *path, smla_buffer *out) {
  const char *const argv[] = {path, "--version", NULL};
  int code;
  snapmla_status status = smla_process_run(argv, IDENTITY_SECONDS, out, &code);
  if (!status && code > 0)
    status = smla_fail(SNAPMLA_NO_COMPILER,
                       "%s --version fails (exit code %d); name a working C++ compiler in SNAPMLA_CXX", path, code);
  else if (status == SNAPMLA_IO)
    status = SNAPMLA_NO_COMPILER; /* the reason stands: it cannot be started */
  return status;
}

static snapmla_status identity_of(const char *path, smla_buffer *out) {
  struct stat info;
  if (stat(path, &info)) return smla_fail(SNAPMLA_NO_COMPILER, "%s is gone; name a C++ compiler in SNAPMLA_CXX", path);
  if (!strcmp(path, last_identity.path) && info.st_size == last_identity.size &&
      !memcmp(&info.st_mtim, &last_identity.changed, sizeof info.st_mtim))
    return smla_buffer_append_text(out, last_identity.text);
  smla_buffer text = {0};
  snapmla_status status = ask_identity(path, &text);
  if (!status) status = smla_buffer_append(out, text.data, text.length);
  if (!status && strlen(path) < sizeof last_identity.path && text.length < sizeof last_identity.text) {
    strcpy(last_identity.path, path);
    strcpy(last_identity.text, text.data ? text.data : "");
    last_identity.changed = info.st_mtim;
    last_identity.size = info.st_size;
  }
  smla_buffer_free(&text);
  return status;
}

static snapmla_status identity(smla_buffer *out) {
  smla_buffer path = {0};
  snapmla_status status = smla_compiler_find_host(&path);
  if (!status) {
    pthread_mutex_lock(&identity_lock);
    status = identity_of(path.data, out);
    pthread_mutex_unlock(&identity_lock);
  }
  smla_buffer_free(&path);
  return status;
}

static snapmla_status run_compiler(const char *compiler, const char *folder, const char *name, smla_compiled *out) {
  smla_buffer source = {0}, image = {0};
  const char *argv[OPTION_COUNT + 5];
  int code = 0, count = 0;
  snapmla_status status = smla_buffer_printf(&source, "%s/kernel.cpp", folder);
  if (!status) status = smla_buffer_printf(&image, "%s/kernel.so", folder);
  if (status) goto out;
  argv[count++] = compiler;
  for (int i = 0; i < OPTION_COUNT; i++) argv[count++] = options[i];
  argv[count++] = "-o";
  argv[count++] = image.data;
  argv[count++] = source.data;
  argv[count] = NULL;
  status = smla_process_run(argv, COMPILE_SECONDS, &out->log, &code);
  if (status == SNAPMLA_IO) status = SNAPMLA_NO_COMPILER;
  /* Where the exit code is not known, the image tells: a compiler that fails leaves none. */
  if (!status && (code > 0 || !smla_file_exists(image.data)))
    status = smla_compiler_failed(compiler, name, out->log.data);
  if (!status) status = smla_file_read(image.data, IMAGE_LIMIT, &out->image);
out:
  smla_buffer_free(&source);
  smla_buffer_free(&image);
  return status;
}

static snapmla_status write_source(const char *folder, const char *source) {
  smla_buffer path = {0};
  snapmla_status status = smla_buffer_printf(&path, "%s/kernel.cpp", folder);
  if (!status) status = smla_file_write(path.data, source, strlen(source), 0600);
  smla_buffer_free(&path);
  return status;
}

static snapmla_status compile(const char *source, const char *name, smla_compiled *out) {
  smla_buffer compiler = {0}, folder = {0};
  snapmla_status status = smla_compiler_find_host(&compiler);
  if (!status) status = smla_file_make_temporary("snapmla", &folder);
  if (!status) status = write_source(folder.data, source);
  if (!status) status = run_compiler(compiler.data, folder.data, name, out);
  if (folder.length) (void)smla_file_remove_tree(folder.data); /* what cannot be removed does no harm there */
  smla_buffer_free(&folder);
  smla_buffer_free(&compiler);
  return status;
}

const smla_compiler smla_compiler_host = {
    SNAPMLA_TARGET_EMULATOR, "emulator", "so", 1, options, identity, identity, compile};
