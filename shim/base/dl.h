/* SPDX-License-Identifier: MIT */
/*
 * What dlsym(3) says, at start-up. A name is looked up in the tables of
 * what the loader has mapped (base/loader.h); dlsym itself, with its locks and
 * its messages, is asked where those leave a doubt. Nobody is linked against
 * it: before glibc 2.34 it is in libdl, which is then there only if the program
 * has loaded it.
 */
#ifndef PG_DL_H
#define PG_DL_H

#include <stdbool.h>

/*
 * The start is over. What is asked after it is dlsym's to say, for objects may be unloaded; unless
 * KEPT is a name: then what the program was started with, as far as the one behind this library
 * that defines it, goes on being searched by pg_dl_next(), and is all there is: dlsym is asked only
 * of what it alone can tell.
 */
void pg_dl_started(const char *kept);

/* True if such a one is known. */
bool pg_dl_can_keep(const char *kept);

/* As dlsym(RTLD_NEXT, NAME) and dlsym(RTLD_DEFAULT, NAME); no message is left for dlerror(3). They
 * may take the loader's lock. */
void *pg_dl_next(const char *name);
void *pg_dl_default(const char *name);

#endif
