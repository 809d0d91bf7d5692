/* A named integer, as derived quantities and problem fields are. */
#ifndef SMLA_UTIL_QUANTITY_H
#define SMLA_UTIL_QUANTITY_H

typedef struct smla_quantity {
  char name[48];
  long long value;
} smla_quantity;

#endif
