/* SPDX-License-Identifier: MIT */
/* The program pipeguard. */
#include "command/acts.h"
#include "command/fold.h"
#include "command/given.h"
#include "command/parse.h"
#include "command/say.h"

#include <string.h>

int pg_check(struct pg_request *r)
{
	for (unsigned i = 0; i < r->count; i++)
		pg_given_add(r->words[i]);
	return pg_flushed(pg_given_check());
}

int main(int argc, char **argv)
{
	struct pg_request r;

	if (argc == 2 && !strcmp(argv[1], "--fold")) /* report asks for it */
		return pg_fold();
	r = pg_parse_words(argv + (argc > 0));
	pg_end(pg_verbs[r.verb].act(&r));
}
