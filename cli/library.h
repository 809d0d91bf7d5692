/* The door between the library's reasons and the program's. */
#ifndef SMLA_CLI_LIBRARY_H
#define SMLA_CLI_LIBRARY_H

#include <snapmla/status.h>

/* Makes the library's reason the program's and returns `status`; with OK it does nothing. */
snapmla_status smla_library_status(snapmla_status status);

#endif
