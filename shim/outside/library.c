/* SPDX-License-Identifier: MIT */
#include "outside/library.h"

#include <dlfcn.h>
#include <string.h>

bool pg_library_take(const char *file, const struct pg_symbol_wanted *wanted, size_t n)
{
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; lib && i < n; i++) {
		void *at = dlsym(lib, wanted[i].name);

		if (!at)
			return false;
		memcpy(wanted[i].to, &at, sizeof at);
	}
	return lib;
}
