/* SPDX-License-Identifier: MIT */
#include "base/dl.h"

#include "base/loader.h"
#include "base/redirect.h"
#include "base/sys.h"

#include <dlfcn.h>

typedef void *find_fn(void *, const char *);
typedef char *error_fn(void);
static PG_START_DATA find_fn *find;
static PG_START_DATA error_fn *error;

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
	static PG_START_DATA bool begun;

	if (!begun)
		learn();
	begun = true;
}

static PG_START_DATA bool kept; /* what is searched is known for good */

void *pg_dl_next(const char *name)
{
	bool there;
	void *found;

	begin();
	found = pg_loader_next(name, &there);
	return found || (kept && !there) ? found : ask(RTLD_NEXT, name);
}

void *pg_dl_default(const char *name)
{
	void *found;

	begin();
	found = kept ? NULL : pg_loader_default(name);
	return found ? found : ask(RTLD_DEFAULT, name);
}

bool pg_dl_can_keep(const char *last)
{
	bool there;

	begin();
	return pg_loader_next(last, &there);
}

void pg_dl_started(const char *last)
{
	kept = last && pg_loader_keep(last);
	if (!kept)
		pg_loader_forget();
}
