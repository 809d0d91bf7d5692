/* Candidates tried in worker processes: the parent's side. Workers are started by exec, speak one line of JSON a job
 * (worker.c), and are killed when a job takes too long; a new one is started for the next. */
#ifndef SMLA_RUNTIME_TRYOUT_WORKER_H
#define SMLA_RUNTIME_TRYOUT_WORKER_H

#include "tryout.h"

typedef struct smla_tryout_worker smla_tryout_worker;

/* Starts the first worker and has it open the context's device. Errors: NOT_FOUND (no worker program), IO, and what the worker
 * says, such as NO_DEVICE on an exclusive one. */
snapmla_status smla_tryout_worker_create(const snapmla_context *context, const snapmla_problem *problem,
                                         const smla_tryout_options *options, smla_tryout_worker **out);
void smla_tryout_worker_destroy(smla_tryout_worker *worker); /* NULL is allowed */

/* As those of tryout.h. Compilations run in as many processes of their own as `workers` says, and reach the others by the
 * store. */
void smla_tryout_worker_compile(smla_tryout_worker *worker, const char *const *texts, size_t count,
                                smla_verdict *verdicts);
void smla_tryout_worker_check(smla_tryout_worker *worker, const char *text, smla_verdict *verdict);
void smla_tryout_worker_time(smla_tryout_worker *worker, const char *text, size_t count, double *microseconds,
                             int32_t *batch, int64_t *tokens, smla_verdict *verdict);

#endif
