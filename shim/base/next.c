/* SPDX-License-Identifier: MIT */
#include "base/next.h"

#include "base/dl.h"

pg_fn *pg_next_table[PG_CALL_COUNT];
_Alignas(PG_PAGE_MOST) struct pg_front pg_front = {.aside = ~(uint64_t)0};

/* Not linked against, as all that the library calls on the program's behalf. */
typedef int format_fn(char *, size_t, const char *, va_list);
typedef int checked_fn(char *, size_t, int, size_t, const char *, va_list);
static format_fn *format_unchecked;
static checked_fn *format_checked;

int pg_next_format(char *to, size_t size, int check, const char *format, va_list ap)
{
	if (check >= 0 && format_checked)
		return format_checked(to, size, check, size, format, ap);
	return format_unchecked ? format_unchecked(to, size, format, ap) : -1;
}

/* Points at itself once the loader has relocated this library, and not before. */
static void *volatile relocated = (void *)&relocated;

void pg_next_resolve(void)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		pg_next_table[call] = (pg_fn *)pg_dl_next(pg_call_name((enum pg_call)call));
	format_unchecked = (format_fn *)pg_dl_next("vsnprintf");
	format_checked = (checked_fn *)pg_dl_next("__vsnprintf_chk");
}

pg_fn *pg_next_early(enum pg_call call)
{
	pg_fn *next = (pg_fn *)pg_dl_next(pg_call_name((enum pg_call)call));

	pg_next_table[call] = next;
	return next;
}

bool pg_next_within(uintptr_t lo, uintptr_t hi)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		if ((uintptr_t)pg_next_table[call] - lo < hi - lo)
			return true;
	return false;
}

PG_COLD long pg_syscall_errno(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret = pg_sys(nr, a, b, c, d, e, f);

	if (ret >= 0 || ret < -4095)
		return ret;
	if (relocated == (void *)&relocated)
		errno = (int)-ret;
	return -1;
}
