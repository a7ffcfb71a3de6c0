/* SPDX-License-Identifier: MIT */
#include "next.h"

#include "dl.h"

pg_fn *pg_next_table[PG_CALL_COUNT];

static const char *const names[PG_CALL_COUNT] = {
	[PG_NO_CALL] = "?",
#define CALL(name, kernel, group) [PG_CALL_##name] = #name,
#include "calls.def"
#undef CALL
};

static const short numbers[PG_CALL_COUNT] = {
	[PG_NO_CALL] = -1,
#define CALL(name, kernel, group) [PG_CALL_##name] = SYS_##kernel,
#include "calls.def"
#undef CALL
};

/* Points at itself once the loader has relocated this library, and not before. */
static void *volatile relocated = (void *)&relocated;

void pg_next_resolve(void)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		pg_next_table[call] = (pg_fn *)dlsym(RTLD_NEXT, names[call]);
	dlerror(); /* a missing name leaves a message that the program must not find */
}

pg_fn *pg_next_early(enum pg_call call)
{
	pg_fn *next = (pg_fn *)dlsym(RTLD_NEXT, names[call]);

	pg_next_table[call] = next;
	return next;
}

const char *pg_call_name(enum pg_call call)
{
	return (unsigned)call < PG_CALL_COUNT ? names[call] : "?";
}

long pg_call_number(enum pg_call call)
{
	return (unsigned)call < PG_CALL_COUNT ? numbers[call] : -1;
}

enum pg_call pg_call_of_number(long nr)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		if (numbers[call] == nr)
			return (enum pg_call)call;
	return PG_NO_CALL;
}

PG_COLD long pg_early_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret = pg_sys(nr, a, b, c, d, e, f);

	if (ret >= 0 || ret < -4095)
		return ret;
	if (relocated == (void *)&relocated)
		errno = (int)-ret;
	return -1;
}
