/* Keys of packs as text: hexadecimal digits, in files or on the command line. */
#ifndef SMLA_CLI_KEY_FILE_H
#define SMLA_CLI_KEY_FILE_H

#include <snapmla/pack.h>
#include <snapmla/status.h>

#include "settings.h"

/* Reads public keys, each 64 digits or the name of a file of them: [count * SNAPMLA_PACK_PUBLIC_KEY_BYTES], owned by
 * the caller, NULL where there is none. Errors: INVALID_ARGUMENT, NOT_FOUND, IO, OUT_OF_MEMORY. */
snapmla_status smla_public_keys_read(const smla_text_list *keys, unsigned char **out);

/* Reads a secret key from a file. Errors: INVALID_ARGUMENT, NOT_FOUND, IO. */
snapmla_status smla_secret_key_read(const char *path, unsigned char key[SNAPMLA_PACK_SECRET_KEY_BYTES]);

/* Writes a key to a new file of this mode. Error: IO (the file exists, …). */
snapmla_status smla_key_write(const char *path, unsigned mode, const unsigned char *key, size_t bytes);

/* `bytes` bytes as 2 * bytes digits and a NUL. */
void smla_key_text(const unsigned char *key, size_t bytes, char *text);

#endif
