/* SPDX-License-Identifier: MIT */
#include "base/dl.h"

#include "base/loader.h"

#include <dlfcn.h>

typedef void *find_fn(void *, const char *);
typedef char *error_fn(void);
static find_fn *find;
static error_fn *error;

/* Before glibc 2.34 it may not be there. Loading libdl for it is no way: libc would be initialised
 * by that, before it was given the program's environment. */
static void learn(void)
{
	pg_loader_scope(pg_loader_list());
#ifdef __GLIBC__
	find = (find_fn *)pg_loader_default("dlsym");
	error = (error_fn *)pg_loader_default("dlerror");
#else
	find = dlsym;
	error = dlerror;
#endif
}

static void *ask(void *where, const char *name)
{
	void *found = find ? find(where, name) : NULL;

	if (!found && error)
		error(); /* a missing name leaves a message that the program must not find */
	return found;
}

static void begin(void)
{
	static bool begun;

	if (!begun)
		learn();
	begun = true;
}

void *pg_dl_next(const char *name)
{
	void *found;

	begin();
	found = pg_loader_next(name);
	return found ? found : ask(RTLD_NEXT, name);
}

void *pg_dl_default(const char *name)
{
	void *found;

	begin();
	found = pg_loader_default(name);
	return found ? found : ask(RTLD_DEFAULT, name);
}

void pg_dl_started(void)
{
	pg_loader_forget();
}
