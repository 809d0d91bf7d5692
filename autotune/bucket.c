#include "bucket.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int32_t smla_bucket_up(int32_t count) {
  int32_t power = 1;
  while (power < count && power < (1 << 30)) power *= 2;
  return power;
}

void smla_problem_key_bucket(smla_problem_key *key) {
  key->batch = smla_bucket_up(key->batch);
  key->context = smla_bucket_up(key->context);
  if (key->context < SMLA_BUCKET_LEAST_CONTEXT) key->context = SMLA_BUCKET_LEAST_CONTEXT;
  if (key->indices) key->indices = smla_bucket_up(key->indices);
}

void smla_problem_key_text(const smla_problem_key *key, char text[SMLA_PROBLEM_KEY_MAX]) {
  char flags[16] = "", indices[16] = "";
  if (key->indices) snprintf(indices, sizeof indices, "-s%d", key->indices);
  if (key->flags) snprintf(flags, sizeof flags, "-f%u", key->flags);
  snprintf(text, SMLA_PROBLEM_KEY_MAX, "h%d-q%d-l%d-r%d-p%d-%.31s-%.31s-b%d-c%d%s%s", key->heads, key->q_len,
           key->latent_rank, key->rope_dim, key->page_tokens, key->format, key->accuracy, key->batch, key->context,
           indices, flags);
}

int smla_problem_key_read(const char *text, smla_problem_key *key) {
  char again[SMLA_PROBLEM_KEY_MAX];
  smla_problem_key read = {0};
  int end = 0;
  if (strlen(text) >= SMLA_PROBLEM_KEY_MAX) return 0;
  if (sscanf(text, "h%d-q%d-l%d-r%d-p%d-%31[a-z0-9_]-%31[a-z0-9_]-b%d-c%d%n", &read.heads, &read.q_len,
             &read.latent_rank, &read.rope_dim, &read.page_tokens, read.format, read.accuracy, &read.batch,
             &read.context, &end) != 9 ||
      !end)
    return 0;
  int more = 0;
  if (sscanf(text + end, "-s%d%n", &read.indices, &more) == 1) end += more;
  if (text[end] && sscanf(text + end, "-f%u", &read.flags) != 1) return 0;
  smla_problem_key_text(&read, again);
  if (strcmp(again, text)) return 0;
  *key = read;
  return 1;
}

static int alike(const smla_problem_key *a, const smla_problem_key *b) {
  return a->heads == b->heads && a->q_len == b->q_len && a->latent_rank == b->latent_rank &&
         a->rope_dim == b->rope_dim && a->page_tokens == b->page_tokens && a->flags == b->flags &&
         !strcmp(a->format, b->format) && !strcmp(a->accuracy, b->accuracy);
}

double smla_problem_key_distance(const smla_problem_key *a, const smla_problem_key *b) {
  if (!alike(a, b)) return -1;
  if (!a->indices != !b->indices) return -1;
  double lists = a->indices ? fabs(log2((double)a->indices / b->indices)) : 0;
  return fabs(log2((double)a->batch / b->batch)) + fabs(log2((double)a->context / b->context)) + lists;
}
