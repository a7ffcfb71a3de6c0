/* SPDX-License-Identifier: MIT */
#include "base/dl.h"

#include "base/loader.h"

#include <dlfcn.h>

typedef void *find_fn(void *, const char *);
typedef char *error_fn(void);
static find_fn *find;
static error_fn *error;

#ifdef __GLIBC__
/* glibc before 2.34 keeps dlsym in libdl, and in libc what loads that for its own use. */
static void load_libdl(void)
{
	typedef void *load_fn(const char *, int);
	enum { OF_LIBC = (int)0x80000000 }; /* RTLD_DLOPEN of dl_open */
	load_fn *load = (load_fn *)pg_loader_default("__libc_dlopen_mode");
	find_fn *find_in = (find_fn *)pg_loader_default("__libc_dlsym");
	void *libdl = load && find_in ? load("libdl.so.2", RTLD_NOW | OF_LIBC) : NULL;

	if (!libdl)
		return;
	find = (find_fn *)find_in(libdl, "dlsym");
	error = (error_fn *)find_in(libdl, "dlerror");
}

static void learn(void)
{
	pg_loader_scope(pg_loader_list());
	find = (find_fn *)pg_loader_default("dlsym");
	error = (error_fn *)pg_loader_default("dlerror");
	if (!find)
		load_libdl();
}
#else
static void learn(void)
{
	pg_loader_scope(pg_loader_list());
	find = dlsym;
	error = dlerror;
}
#endif

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
