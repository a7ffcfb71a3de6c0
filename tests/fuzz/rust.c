/* SPDX-License-Identifier: MIT */
/* libFuzzer's target: what the reader of Rust's names promises of any bytes. */
#include "outside/rust.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *promise)
{
	fprintf(stderr, "broken promise: %s\n", promise);
	abort();
}

/* A name cut is the beginning of the whole one. */
static void look(const char *mangled, const char *whole, bool known)
{
	for (size_t size = 1; size < 80; size += 13) {
		char *name = malloc(size);
		bool here;

		memset(name, 'x', size);
		here = pg_rust_name(mangled, name, size);
		if (here && !memchr(name, 0, size))
			broken("a name ends");
		if (here && known && strncmp(name, whole, strlen(name)) != 0)
			broken("a name that is cut is the beginning of it");
		free(name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { ROOM = 1 << 16 };
	char *mangled = malloc(size + 3), *whole = malloc(ROOM);
	bool known;

	memcpy(mangled, "_R", 2);
	memcpy(mangled + 2, data, size);
	mangled[size + 2] = 0;
	known = pg_rust_name(mangled, whole, ROOM);
	if (known && !*whole)
		broken("a name says something");
	look(mangled, whole, known);
	if (size && *data == 'Z') { /* the other mangling */
		mangled[1] = '_';
		pg_rust_name(mangled + 1, whole, ROOM);
	}
	free(whole);
	free(mangled);
	return 0;
}
