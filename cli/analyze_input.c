/* The tensors of `analyze`: found by name in any number of files, widened, checked. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze.h"
#include "console.h"
#include "narrow.h"

static const char *const endings[SMLA_LAYER_TENSORS] = {
    "latent", "rope", "kv_b_proj.weight", "kv_b_proj.weight_scale_inv", "w_uk", "w_uv", "q_nope", "q_rope"};
enum {
  SCALE_BLOCK = 128,
  ROPE = 64,
  MOST_TOKENS = 1 << 20,
  MOST_ROWS = 1 << 24,
  USUAL_CONTENT = 128,
  USUAL_PROBES = 8,
  MOST_QUERIES = 64
};

/* The layer that a name belongs to. */
static int32_t number_of(const char *name) {
  const char *at = strstr(name, "layers.");
  long number = at ? strtol(at + 7, NULL, 10) : 0;
  return number >= 0 && number < 1 << 20 ? (int32_t)number : -1;
}

static int is(const char *name, const char *ending) {
  size_t length = strlen(name), tail = strlen(ending);
  if (length < tail || strcmp(name + length - tail, ending)) return 0;
  return length == tail || name[length - tail - 1] == '.';
}

/* The one tensor of that kind and layer; NULL in *tensor if there is none. */
static snapmla_status find(smla_layer_files *files, int32_t number, smla_layer_tensor which, smla_tensor_file **file,
                           smla_tensor **tensor) {
  *tensor = NULL;
  for (size_t f = 0; f < files->file_count; ++f)
    for (size_t i = 0; i < files->files[f].tensor_count; ++i) {
      smla_tensor *t = &files->files[f].tensors[i];
      int same = is(t->name, endings[which]) || (which == SMLA_LAYER_KV_B && is(t->name, "kv_b_proj"));
      if (!same || number_of(t->name) != number) continue;
      if (*tensor)
        return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                                 "layer %" PRId32 " has two tensors for %s: %s in %s and %s in %s; leave out one",
                                 number, endings[which], (*tensor)->name, (*file)->path, t->name, files->files[f].path);
      *file = &files->files[f];
      *tensor = t;
    }
  return SNAPMLA_OK;
}

static int ascending(const void *a, const void *b) { return *(const int32_t *)a - *(const int32_t *)b; }

static snapmla_status list_layers(smla_layer_files *files) {
  size_t most = 0;
  for (size_t f = 0; f < files->file_count; ++f) most += files->files[f].tensor_count;
  files->numbers = malloc((most + 1) * sizeof *files->numbers);
  if (!files->numbers) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the list of layers");
  for (size_t f = 0; f < files->file_count; ++f)
    for (size_t i = 0; i < files->files[f].tensor_count; ++i)
      if (is(files->files[f].tensors[i].name, endings[SMLA_LAYER_LATENT]))
        files->numbers[files->layer_count++] = number_of(files->files[f].tensors[i].name);
  if (!files->layer_count)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "no tensor is named latent or ends with .latent: dump the latents as they are cached, as "
                             "[tokens, rank], under such names as layers.0.latent (docs/cli.md)");
  qsort(files->numbers, files->layer_count, sizeof *files->numbers, ascending);
  size_t kept = 1; /* two of one layer are refused when it is read */
  for (size_t i = 1; i < files->layer_count; ++i)
    if (files->numbers[i] != files->numbers[kept - 1]) files->numbers[kept++] = files->numbers[i];
  files->layer_count = kept;
  return SNAPMLA_OK;
}

snapmla_status smla_layer_files_open(const smla_settings *settings, smla_layer_files *out) {
  *out = (smla_layer_files){0};
  if (!settings->operands.count)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "analyze needs files: the latents of layers and their up-projections, as .safetensors");
  out->files = calloc(settings->operands.count, sizeof *out->files);
  if (!out->files) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the files");
  for (size_t i = 0; i < settings->operands.count; ++i) {
    snapmla_status status = smla_tensor_file_open(&out->files[i], settings->operands.items[i], "latent");
    if (status) return status;
    ++out->file_count;
  }
  return list_layers(out);
}

void smla_layer_files_close(smla_layer_files *files) {
  for (size_t i = 0; i < files->file_count; ++i) smla_tensor_file_close(&files->files[i]);
  free(files->files);
  free(files->numbers);
  *files = (smla_layer_files){0};
}

static double e4m3(uint8_t bits) {
  int exponent = bits >> 3 & 15, fraction = bits & 7;
  double value = exponent == 15 && fraction == 7 ? NAN
                 : exponent                      ? ldexp(8 + fraction, exponent - 10)
                                                 : ldexp(fraction, -9);
  return bits & 128 ? -value : value;
}

static double element(const smla_tensor *t, size_t i) {
  switch (t->dtype) {
  case SMLA_DTYPE_F64: return ((const double *)t->data)[i];
  case SMLA_DTYPE_F32: return (double)((const float *)t->data)[i];
  case SMLA_DTYPE_BF16: return (double)smla_widen_bf16(((const uint16_t *)t->data)[i]);
  case SMLA_DTYPE_F16: return (double)smla_widen_f16(((const uint16_t *)t->data)[i]);
  case SMLA_DTYPE_F8_E4M3: return e4m3(((const uint8_t *)t->data)[i]);
  default: return NAN;
  }
}

/* A tensor as double [elements], owned by the caller; its rank, dtype and numbers checked. */
static snapmla_status widen(smla_tensor_file *file, smla_tensor *t, int rank, const char *shape, double **out) {
  char text[128];
  if (t->rank != rank)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s: tensor %s has the shape %s, it must be %s", file->path,
                             t->name, smla_tensor_shape_text(t, text, sizeof text), shape);
  if (t->dtype != SMLA_DTYPE_F64 && t->dtype != SMLA_DTYPE_F32 && t->dtype != SMLA_DTYPE_BF16 &&
      t->dtype != SMLA_DTYPE_F16 && t->dtype != SMLA_DTYPE_F8_E4M3)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "%s: tensor %s is %s, it must be BF16, F16, F32, F64 or F8_E4M3: convert it", file->path,
                             t->name, smla_dtype_name(t->dtype));
  snapmla_status status = smla_tensor_load(file, t);
  if (status) return status;
  size_t count = t->bytes / smla_dtype_bytes(t->dtype);
  if (!count)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s: tensor %s is empty: it needs a row at least", file->path,
                             t->name);
  *out = malloc(count * sizeof **out);
  if (!*out) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "%s: out of memory for tensor %s", file->path, t->name);
  for (size_t i = 0; i < count; ++i) {
    (*out)[i] = element(t, i);
    if (isfinite((*out)[i])) continue;
    free(*out);
    *out = NULL;
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s: tensor %s: element %zu is not finite: all must be",
                             file->path, t->name, i);
  }
  free(t->data); /* read again if asked for again: a checkpoint is larger than its layers one by one */
  t->data = NULL;
  return SNAPMLA_OK;
}

static uint16_t *narrowed(const double *values, size_t count) {
  uint16_t *out = malloc((count + 1) * sizeof *out);
  for (size_t i = 0; out && i < count; ++i) out[i] = smla_narrow_bf16((float)values[i]);
  return out;
}

static snapmla_status misfit(int32_t number, const char *what, int64_t got, const char *rule, int64_t want) {
  return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "layer %" PRId32 ": %s is %" PRId64 ", %s %" PRId64, number, what,
                           got, rule, want);
}

/* Finds, widens and returns the shape; *out stays NULL where an optional tensor is missing. */
static snapmla_status take(smla_layer_files *files, int32_t number, smla_layer_tensor which, int rank,
                           const char *shape, double **out, int64_t *dimensions) {
  smla_tensor_file *file = NULL;
  smla_tensor *t;
  *out = NULL;
  snapmla_status status = find(files, number, which, &file, &t);
  if (status || !t) return status;
  for (int d = 0; d < t->rank; ++d)
    if (t->shape[d] > MOST_ROWS) return misfit(number, t->name, t->shape[d], "and no dimension may exceed", MOST_ROWS);
  status = widen(file, t, rank, shape, out);
  for (int d = 0; !status && d < rank; ++d) dimensions[d] = t->shape[d];
  return status;
}

static snapmla_status read_rows(smla_layer_files *files, smla_layer *l) {
  double *rows = NULL;
  int64_t shape[2], rope_shape[2];
  snapmla_status status = take(files, l->number, SMLA_LAYER_LATENT, 2, "[tokens, rank]", &rows, shape);
  if (status) return status;
  if (shape[0] > MOST_TOKENS) status = misfit(l->number, "the number of latents", shape[0], "at most", MOST_TOKENS);
  if (!status && shape[1] > 4096) status = misfit(l->number, "the latents' rank", shape[1], "at most", 4096);
  if (!status) {
    l->tokens = (int32_t)shape[0];
    l->rank = (int32_t)shape[1];
    l->latent = narrowed(rows, (size_t)l->tokens * (size_t)l->rank);
  }
  free(rows);
  rows = NULL;
  if (!status) status = take(files, l->number, SMLA_LAYER_ROPE, 2, "[tokens, rope]", &rows, rope_shape);
  if (status) goto out;
  l->rope = rows ? (int32_t)rope_shape[1] : ROPE;
  if (rows && rope_shape[0] != l->tokens)
    status = misfit(l->number, "the number of rope's rows", rope_shape[0], "that of latent's is", l->tokens);
  else
    l->rope_rows = rows ? narrowed(rows, (size_t)l->tokens * (size_t)l->rope)
                        : calloc((size_t)l->tokens * (size_t)l->rope, sizeof *l->rope_rows);
  if (!status && (!l->latent || !l->rope_rows))
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "layer %" PRId32 ": out of memory for its latents", l->number);
out:
  free(rows);
  return status;
}

static snapmla_status apply_scales(smla_layer_files *files, smla_layer *l, double *weights, const int64_t *shape) {
  double *scales = NULL;
  int64_t blocks[2];
  snapmla_status status = take(files, l->number, SMLA_LAYER_KV_B_SCALE, 2, "[rows / 128, rank / 128]", &scales, blocks);
  if (status || !scales) return status;
  if (blocks[0] != (shape[0] + SCALE_BLOCK - 1) / SCALE_BLOCK ||
      blocks[1] != (shape[1] + SCALE_BLOCK - 1) / SCALE_BLOCK)
    status = misfit(l->number, "the number of rows of kv_b_proj's weight_scale_inv", blocks[0],
                    "one for each 128 by 128 weights makes", (shape[0] + SCALE_BLOCK - 1) / SCALE_BLOCK);
  for (int64_t i = 0; !status && i < shape[0] * shape[1]; ++i)
    weights[i] *= scales[i / shape[1] / SCALE_BLOCK * blocks[1] + i % shape[1] / SCALE_BLOCK];
  free(scales);
  return status;
}

/* w_uk and w_uv into the order of kv_b_proj: of each head its key's rows, then its value's. */
static snapmla_status join(smla_layer_files *files, smla_layer *l, const double *uk, const int64_t *k) {
  double *uv = NULL;
  int64_t v[3];
  snapmla_status status = take(files, l->number, SMLA_LAYER_W_UV, 3, "[heads, value, rank]", &uv, v);
  if (!status && !uv)
    status =
        smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "layer %" PRId32 " has w_uk and no w_uv: give both", l->number);
  if (!status && v[0] != k[0]) status = misfit(l->number, "the heads of w_uv", v[0], "w_uk has", k[0]);
  if (!status && (k[2] != l->rank || v[2] != l->rank))
    status =
        misfit(l->number, "the rank of w_uk or w_uv", k[2] != l->rank ? k[2] : v[2], "that of the latents is", l->rank);
  if (!status) {
    l->heads = (int32_t)k[0];
    l->content = (int32_t)k[1];
    l->value = (int32_t)v[1];
    size_t rank = (size_t)l->rank, key = (size_t)l->content * rank, value = (size_t)l->value * rank;
    l->up = malloc((size_t)l->heads * (key + value) * sizeof *l->up);
    if (!l->up)
      status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "layer %" PRId32 ": out of memory for w_uk", l->number);
    for (size_t h = 0; !status && h < (size_t)l->heads; ++h) {
      memcpy(l->up + h * (key + value), uk + h * key, key * sizeof *uk);
      memcpy(l->up + h * (key + value) + key, uv + h * value, value * sizeof *uv);
    }
  }
  free(uv);
  return status;
}

static snapmla_status read_up(const smla_settings *settings, smla_layer_files *files, smla_layer *l) {
  double *weights = NULL;
  int64_t shape[3];
  snapmla_status status = take(files, l->number, SMLA_LAYER_W_UK, 3, "[heads, content, rank]", &weights, shape);
  if (!status && weights) {
    status = join(files, l, weights, shape);
    free(weights);
    return status;
  }
  if (!status) status = take(files, l->number, SMLA_LAYER_KV_B, 2, "[heads (content + value), rank]", &weights, shape);
  if (status) return status;
  if (!weights)
    return smla_console_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "layer %" PRId32 " has latents and no up-projection: give its kv_b_proj.weight, or w_uk and w_uv", l->number);
  l->content = settings->content ? settings->content : USUAL_CONTENT;
  l->heads = settings->heads ? settings->heads : (int32_t)(shape[0] / (2 * USUAL_CONTENT));
  if (shape[1] != l->rank)
    status = misfit(l->number, "the rank of kv_b_proj", shape[1], "that of the latents is", l->rank);
  if (!status && (l->heads < 1 || shape[0] % l->heads || shape[0] / l->heads <= l->content))
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                               "layer %" PRId32 ": kv_b_proj has %" PRId64 " rows, which are not --heads (%" PRId32
                               ") times --content (%" PRId32 ") and some value channels: say --heads and --content",
                               l->number, shape[0], l->heads, l->content);
  if (!status) status = apply_scales(files, l, weights, shape);
  if (status) {
    free(weights);
    return status;
  }
  l->value = (int32_t)(shape[0] / l->heads) - l->content;
  l->up = weights;
  return SNAPMLA_OK;
}

/* A normal number that depends on the seed and its place alone. */
static double normal(uint64_t seed, uint64_t place) {
  double u[2];
  for (int i = 0; i < 2; ++i) {
    uint64_t x =
        seed * 0x9e3779b97f4a7c15u + (2 * place + (uint64_t)i + 1) * 0xbf58476d1ce4e5b9u; /* splitmix64's mixer */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    u[i] = ((double)((x ^ x >> 31) >> 11) + 0.5) * 0x1p-53;
  }
  return sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]);
}

/* The query of one head absorbed: out [rank] = q [content] W_UK. */
static void absorb(const smla_layer *l, int32_t head, const double *q, double *out) {
  const double *w = l->up + (size_t)head * (size_t)(l->content + l->value) * (size_t)l->rank;
  memset(out, 0, (size_t)l->rank * sizeof *out);
  for (int32_t i = 0; i < l->content; ++i)
    for (int32_t c = 0; c < l->rank; ++c) out[c] += q[i] * w[(size_t)i * (size_t)l->rank + (size_t)c];
}

/* Standard deviation of a query's products with the latents. */
static double spread(const smla_layer *l, const double *q) {
  double sum = 0, squares = 0;
  for (int32_t t = 0; t < l->tokens; ++t) {
    double dot = 0;
    for (int32_t c = 0; c < l->rank; ++c)
      dot += q[c] * (double)smla_widen_bf16(l->latent[(size_t)t * (size_t)l->rank + (size_t)c]);
    sum += dot;
    squares += dot * dot;
  }
  double mean = sum / l->tokens;
  return sqrt(fmax(squares / l->tokens - mean * mean, 0));
}

static double scale_of(const smla_settings *settings, const smla_layer *l) {
  return isnan(settings->softmax_scale) ? 1 / sqrt(l->content + l->rope) : settings->softmax_scale;
}

static snapmla_status make_queries(const smla_settings *settings, smla_layer_files *files, smla_layer *l) {
  double *nope = NULL, *rope = NULL, *given = NULL, *probe = NULL;
  int64_t shape[3] = {settings->queries ? settings->queries : USUAL_PROBES, 0, 0}, rope_shape[3];
  snapmla_status status = take(files, l->number, SMLA_LAYER_Q_NOPE, 3, "[queries, heads, content]", &given, shape);
  if (!status && given)
    status = take(files, l->number, SMLA_LAYER_Q_ROPE, 3, "[queries, heads, rope]", &rope, rope_shape);
  if (status) goto out;
  l->queries_given = given != NULL;
  if (given && (shape[1] != l->heads || (shape[2] != l->content && shape[2] != l->rank))) {
    status = misfit(l->number, "the last dimension of q_nope, or its heads,", shape[2],
                    "it must be the content, or absorbed", l->rank);
    goto out;
  }
  if (rope && (rope_shape[0] != shape[0] || rope_shape[1] != l->heads || rope_shape[2] != l->rope)) {
    status = misfit(l->number, "the last dimension of q_rope, or another,", rope_shape[2],
                    "it must fit q_nope, and RoPE's", l->rope);
    goto out;
  }
  l->queries = (int32_t)(shape[0] < MOST_QUERIES ? shape[0] : MOST_QUERIES);
  size_t rows = (size_t)l->queries * (size_t)l->heads, rank = (size_t)l->rank, content = (size_t)l->content;
  nope = malloc(rows * rank * sizeof *nope);
  probe = malloc(content * sizeof *probe);
  if (!nope || !probe) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "layer %" PRId32 ": out of memory for its queries", l->number);
    goto out;
  }
  double wanted = isnan(settings->sigma) ? 1 : settings->sigma, softmax_scale = scale_of(settings, l);
  for (size_t row = 0; row < rows; ++row) {
    int32_t head = (int32_t)(row % (size_t)l->heads);
    double *q = nope + row * rank;
    if (given && shape[2] == l->rank) {
      memcpy(q, given + row * rank, rank * sizeof *q);
    } else if (given) {
      absorb(l, head, given + row * content, q);
    } else {
      for (size_t i = 0; i < content; ++i) probe[i] = normal(settings->seed, row * content + i);
      absorb(l, head, probe, q);
      double s = spread(l, q) * softmax_scale;
      for (size_t c = 0; s > 0 && c < rank; ++c) q[c] *= wanted / s;
    }
  }
  l->q_nope = narrowed(nope, rows * rank);
  l->q_rope = rope ? narrowed(rope, rows * (size_t)l->rope) : calloc(rows * (size_t)l->rope, sizeof *l->q_rope);
  if (!l->q_nope || !l->q_rope)
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "layer %" PRId32 ": out of memory for its queries", l->number);
out:
  free(nope);
  free(rope);
  free(given);
  free(probe);
  return status;
}

snapmla_status smla_layer_read(const smla_settings *settings, smla_layer_files *files, size_t index, smla_layer *out) {
  *out = (smla_layer){.number = files->numbers[index]};
  if (out->number < 0)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "a tensor's name has no layer number after layers.");
  snapmla_status status = read_rows(files, out);
  if (!status) status = read_up(settings, files, out);
  if (!status) status = make_queries(settings, files, out);
  return status;
}

void smla_layer_free(smla_layer *layer) {
  free(layer->latent);
  free(layer->rope_rows);
  free(layer->up);
  free(layer->q_nope);
  free(layer->q_rope);
  *layer = (smla_layer){0};
}
