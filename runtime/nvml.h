/* libnvidia-ml, opened at run time where there is one: whether a GPU is held back while kernels are timed. Thread-safe. */
#ifndef SMLA_RUNTIME_NVML_H
#define SMLA_RUNTIME_NVML_H

/* Nonzero where the GPU at this PCI address runs below its clocks for power or heat right now; 0 otherwise, and where there
 * is no NVML to ask. */
int smla_nvml_throttled(const char *bus_id);

#endif
