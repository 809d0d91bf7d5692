/* What a tensor copy fetches by: made on the host, opaque to kernels (CUtensorMap). Read by templates and by the runtime. */
#ifndef SMLA_TEMPLATES_TENSOR_MAP_H
#define SMLA_TEMPLATES_TENSOR_MAP_H

struct __attribute__((aligned(64))) smla_tensor_map {
  unsigned long long opaque[16];
};

#endif
