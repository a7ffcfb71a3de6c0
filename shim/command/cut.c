/* SPDX-License-Identifier: MIT */
#include "acts.h"
#include "options.h"
#include "say.h"

int pg_cut(struct pg_request *r)
{
	(void)r;
	pg_fail(PG_FAILED, "cut: not yet");
}
