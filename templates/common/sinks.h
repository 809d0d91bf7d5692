/* What kernels with sinks=on take besides, behind their own arguments. */
#ifndef SMLA_TEMPLATES_SINKS_H
#define SMLA_TEMPLATES_SINKS_H

struct smla_sinks {
  const float *sinks; /* [heads]: a logit, as it stands beside those of the tokens */
};

#endif
