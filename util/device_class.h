/* The silicon facts that decide which variant is fastest, and the text that names their class. Pure. */
#ifndef SMLA_UTIL_DEVICE_CLASS_H
#define SMLA_UTIL_DEVICE_CLASS_H

#include "device_facts.h"

enum { SMLA_DEVICE_CLASS_MAX = 96 /* bytes of a class's text, its NUL included */ };

/* "sm90-132sm-l2_50m-smem227k-bus5120-clk2000", "emulator-132sm". Sizes are rounded down to MiB and KiB, the clock to the
 * nearest 100 MHz: parts of one kind differ by less. "-part" at the end marks a partition. No product name, no driver. */
void smla_device_class(const smla_device_facts *facts, char text[SMLA_DEVICE_CLASS_MAX]);

/* How far two classes are apart: 0 for equal texts, larger for less alike; negative where results of one say nothing of the
 * other (the emulator and a GPU, another capability, a text that is none). */
double smla_device_class_distance(const char *a, const char *b);

/* Nonzero for a text that smla_device_class could have written: also fit to be a folder's name. */
int smla_device_class_is(const char *text);

/* What a class tells of its devices, for work without one: sizes and clock as rounded, facts that are in no class 0. Nonzero
 * where `text` is a class; else *facts is untouched. */
int smla_device_class_facts(const char *text, smla_device_facts *facts);

#endif
