/* Symbol visibility: everything is hidden but what carries SNAPMLA_API. */
#ifndef SNAPMLA_EXPORT_H
#define SNAPMLA_EXPORT_H

#if defined(__GNUC__)
#define SNAPMLA_API __attribute__((visibility("default")))
#else
#define SNAPMLA_API
#endif

#endif
