/* SPDX-License-Identifier: MIT */
#include "command/settle.h"

#include "command/places.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { INTERPRETERS_MAX = 5 };

void pg_settle(struct pg_examined *x, enum pg_reach reach, const char *format, ...)
{
	va_list args;
	char *why;

	va_start(args, format);
	x->reach = reach;
	if (vasprintf(&why, format, args) >= 0)
		x->why = why;
	va_end(args);
}

void pg_follow(struct pg_examined *x, const char *sentence, const char *to)
{
	x->scripts[x->script_count++] = sentence;
	if (x->script_count > INTERPRETERS_MAX)
		pg_settle(x, PG_R_MISSING,
			  "'%s': more than five interpreters, one run by the other", x->path);
	else if (access(to, F_OK))
		pg_settle(x, PG_R_MISSING, "'%s' needs '%s', which was not found", x->path, to);
	else if (!pg_can_run(to))
		pg_settle(x, PG_R_NO, "'%s' needs '%s', which cannot be run", x->path, to);
	else
		x->path = to;
}
