/* When a run ends: at its time, or when a signal asks for it. */
#ifndef SMLA_BENCH_SOAK_ENDING_H
#define SMLA_BENCH_SOAK_ENDING_H

typedef struct ending {
  double at;     /* of smla_clock_seconds */
  int turns_too; /* by then the last turn has ended; 0: by then it has begun */
} ending;

/* Turns begin for so many seconds from now on. */
ending ending_after(double seconds);
/* All ends within so many seconds of `begun`. `closing`: seconds that were measured of what follows the last turn. */
ending ending_within(double begun, double seconds, double closing);
/* 1 where no other turn may begin, the longest so far having taken `turn` seconds. */
int ending_near(const ending *e, double turn);

/* From now on the first SIGINT or SIGTERM only asks for the end. Those that follow it for `together` seconds are taken for the same,
 * since timeout(1) sends each twice, to its child and to the group that both are in; a later one ends the process. One that was ignored
 * stays so. Once per process. */
void ending_catch(double together);
/* 1 once a signal asked. */
int ending_asked(void);

#endif
