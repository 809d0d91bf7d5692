/* What is found on this machine, what is missing, and what mends it. */
#include <snapmla/source.h>

#include <stdio.h>
#include <string.h>

#include "artifact_store.h"
#include "buffer.h"
#include "compiler.h"
#include "driver.h"
#include "env.h"
#include "file.h"
#include "generator.h"
#include "nvrtc.h"
#include "problem_settings.h"
#include "status.h"
#include "store_folder.h"

typedef void reporter(void *user, const snapmla_finding *finding);

/* What a check found; a failing one leaves its text to the reason of the failure, which carries the remedy too. */
typedef struct check {
  const char *name;
  int required;
  snapmla_status (*run)(smla_buffer *found);
  const char *remedy; /* of a failure */
} check;

static snapmla_status check_driver(smla_buffer *found) {
  const smla_driver *driver;
  snapmla_status status = smla_driver_start(&driver);
  if (status) return status;
  return smla_buffer_printf(found, "CUDA %d.%d, %s", driver->version / 1000, driver->version % 1000 / 10, driver->path);
}

static snapmla_status add_device(const smla_driver *driver, int ordinal, smla_buffer *found, int *hoppers) {
  cu_device device;
  char name[128] = "";
  int major = 0, minor = 0;
  snapmla_status status =
      smla_driver_check(driver, driver->device_get(&device, ordinal), "cuDeviceGet", "look at a GPU");
  if (!status)
    status =
        smla_driver_check(driver, driver->device_name(name, sizeof name, device), "cuDeviceGetName", "look at a GPU");
  if (!status)
    status = smla_driver_check(driver, driver->device_attribute(&major, CU_ATTRIBUTE_COMPUTE_MAJOR, device),
                               "cuDeviceGetAttribute", "look at a GPU");
  if (!status)
    status = smla_driver_check(driver, driver->device_attribute(&minor, CU_ATTRIBUTE_COMPUTE_MINOR, device),
                               "cuDeviceGetAttribute", "look at a GPU");
  if (status) return status;
  *hoppers += major == 9 && minor == 0;
  return smla_buffer_printf(found, "%scuda:%d %s (compute capability %d.%d)", ordinal ? "; " : "", ordinal, name, major,
                            minor);
}

static snapmla_status check_devices(smla_buffer *found) {
  const smla_driver *driver;
  int count = 0, hoppers = 0;
  snapmla_status status = smla_driver_start(&driver);
  if (status) return smla_fail(SNAPMLA_NO_DEVICE, "none without a driver; the emulator serves");
  status = smla_driver_check(driver, driver->device_count(&count), "cuDeviceGetCount", "count the GPUs");
  for (int i = 0; i < count && !status; i++) status = add_device(driver, i, found, &hoppers);
  if (!status && !hoppers)
    status = smla_fail(SNAPMLA_NO_DEVICE, "no GPU of compute capability 9.0 (Hopper) among %d%s%s; the emulator serves",
                       count, count ? ": " : "", found->length ? found->data : "");
  return status;
}

static snapmla_status check_nvrtc(smla_buffer *found) {
  const smla_nvrtc *nvrtc;
  const smla_driver *driver;
  snapmla_status status = smla_nvrtc_open(&nvrtc);
  if (status) return status;
  if (!smla_driver_open(&driver) && driver->version / 1000 < nvrtc->major)
    return smla_fail(SNAPMLA_NO_COMPILER,
                     "NVRTC %d.%d, %s: newer than the driver (CUDA %d.%d), which will not load what it compiles",
                     nvrtc->major, nvrtc->minor, nvrtc->path, driver->version / 1000, driver->version % 1000 / 10);
  return smla_buffer_printf(found, "NVRTC %d.%d, %s", nvrtc->major, nvrtc->minor, nvrtc->path);
}

static snapmla_status check_host_compiler(smla_buffer *found) {
  smla_buffer path = {0}, identity = {0};
  snapmla_status status = smla_compiler_find_host(&path);
  if (!status) status = smla_compiler_host.identity(&identity);
  if (!status)
    status = smla_buffer_printf(found, "%.*s, %s", (int)strcspn(identity.data ? identity.data : "", "\n"),
                                identity.data ? identity.data : "", path.data);
  smla_buffer_free(&path);
  smla_buffer_free(&identity);
  return status;
}

static snapmla_status check_templates(smla_buffer *found) {
  const char *directory = smla_templates_directory(NULL);
  smla_generator *generator = NULL;
  snapmla_status status = smla_generator_create(directory, &generator);
  if (status) return status;
  status = smla_buffer_printf(found, "%s:", directory ? directory : "embedded");
  for (const char *const *family = smla_generator_families(generator); *family && !status; family++)
    status = smla_buffer_printf(found, " %s", *family);
  smla_generator_destroy(generator);
  return status;
}

static snapmla_status check_cache(smla_buffer *found) {
  snapmla_status status = smla_store_probe();
  if (!status) status = smla_store_root(found);
  if (!status) status = smla_buffer_append_text(found, ", writable");
  return status;
}

static snapmla_status check_temporary(smla_buffer *found) {
  smla_buffer folder = {0};
  snapmla_status status = smla_file_make_temporary("snapmla", &folder);
  if (!status) status = smla_file_remove_tree(folder.data);
  if (!status) {
    const char *parent = smla_env(SMLA_ENV_TMPDIR);
    status = smla_buffer_printf(found, "%s, writable", parent ? parent : "/tmp");
  }
  smla_buffer_free(&folder);
  return status;
}

static const check checks[] = {
    {"driver", 0, check_driver, "install the NVIDIA driver, or use --device emulator"},
    {"devices", 0, check_devices, "run on a Hopper GPU (H100, H200, H20), or use --device emulator"},
    {"nvrtc", 0, check_nvrtc,
     "install the CUDA Toolkit 12.4 to 13, or pip install nvidia-cuda-nvrtc in a virtual environment, or set "
     "SNAPMLA_NVRTC"},
    {"host compiler", 0, check_host_compiler, "apt-get install g++, or set SNAPMLA_CXX"},
    {"templates", 1, check_templates, "unset SNAPMLA_TEMPLATES, or mend the directory that it names"},
    {"cache directory", 0, check_cache, "set SNAPMLA_CACHE_DIR to a directory of your own that is writable"},
    {"temporary directory", 0, check_temporary, "set TMPDIR to a directory that is writable"},
};

snapmla_status snapmla_doctor(reporter *report, void *user) {
  if (!report) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "report is NULL; pass the function that gets the findings");
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
    smla_buffer found = {0};
    int ok = !checks[i].run(&found);
    const snapmla_finding finding = {
        .name = checks[i].name,
        .ok = ok,
        .required = checks[i].required,
        .found = ok ? found.data : snapmla_error_message(),
        .remedy = ok ? "" : checks[i].remedy,
    };
    report(user, &finding);
    smla_buffer_free(&found);
  }
  return SNAPMLA_OK;
}
