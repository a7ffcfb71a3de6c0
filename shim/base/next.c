/* SPDX-License-Identifier: MIT */
#include "base/next.h"

#include "base/dl.h"

PG_START_DATA pg_fn *pg_next_table[PG_CALL_COUNT];
_Alignas(PG_PAGE_MOST) struct pg_front pg_front = {.aside = ~(uint64_t)0};

/* Not linked against, as all that the library calls on the program's behalf. */
typedef int format_fn(char *, size_t, const char *, va_list);
typedef int checked_fn(char *, size_t, int, size_t, const char *, va_list);
static PG_START_DATA format_fn *format_unchecked;
static PG_START_DATA checked_fn *format_checked;

/* Points at itself once the loader has relocated this library, and not before. */
static void *volatile relocated = (void *)&relocated;

static PG_START_DATA bool late; /* calls are looked up when they are first made */

/* Those that write what they format are not made by their entries. */
uint64_t pg_next_known = (uint64_t)1 << PG_NO_CALL | (uint64_t)1 << 63
#define CALL(name, twin, kernel, role, args, ...)                                                  \
	| (uint64_t)(PG_ARGS_##args == PG_ARGS_FORMAT) << PG_CALL_##name % 64
#include "calls.def"
#undef CALL
	;

static void resolve_formats(void)
{
	PG_PUT(format_checked, (checked_fn *)pg_dl_next("__vsnprintf_chk"));
	PG_PUT(format_unchecked, (format_fn *)pg_dl_next("vsnprintf"));
}

static void resolve_all(void)
{
	for (int call = PG_NO_CALL + 1; call < PG_CALL_COUNT; call++)
		pg_next_early((enum pg_call)call);
	resolve_formats();
}

/* Those for which the way aside is none: a signal handler's stack may be too small for it, and what
 * moves several messages has an end of its own in its wrapper. Rules ask for read by its bit where
 * stdio reads, too. */
static bool must_be_early(enum pg_call call)
{
	if (call == PG_CALL_read && pg_front.ruled)
		return true;
	return call == PG_CALL_write || call == PG_CALL_writev || call == PG_CALL_send ||
	       call == PG_CALL_sendto || pg_call_has_messages(call);
}

void pg_next_start(bool as_made)
{
	late = as_made;
	if (!late) {
		resolve_all();
		pg_next_known = ~(uint64_t)0;
	}
	for (int call = PG_NO_CALL + 1; late && call < PG_CALL_COUNT; call++)
		if (must_be_early((enum pg_call)call))
			pg_next_first((enum pg_call)call);
}

int pg_next_format(char *to, size_t size, int check, const char *format, va_list ap)
{
	if (late && !PG_GET(format_unchecked))
		resolve_formats();
	if (check >= 0 && format_checked)
		return format_checked(to, size, check, size, format, ap);
	return format_unchecked ? format_unchecked(to, size, format, ap) : -1;
}

pg_fn *pg_next_early(enum pg_call call)
{
	pg_fn *next = (pg_fn *)pg_dl_next(pg_call_name(call));

	PG_PUT(pg_next_table[call], next);
	return next;
}

bool pg_next_late(enum pg_call call)
{
	return late && pg_next_early(call);
}

PG_COLD bool pg_next_first(enum pg_call call)
{
	uint64_t bit = (uint64_t)1 << call;

	if (!late)
		return false;
	if (!pg_next_table[call])
		pg_next_early(call);
	if (!(PG_GET(pg_next_known) & bit))
		__atomic_fetch_or(&pg_next_known, bit, __ATOMIC_RELEASE);
	if (pg_front.ruled & bit)
		return false;
	__atomic_fetch_and(&pg_front.aside, ~bit, __ATOMIC_RELEASE);
	return true;
}

bool pg_next_within(uintptr_t lo, uintptr_t hi)
{
	static bool all;

	if (late && !PG_GET(all))
		resolve_all();
	PG_PUT(all, true);
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
