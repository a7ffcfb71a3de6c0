/* SPDX-License-Identifier: MIT */
/* What the doctor found, and how it is printed. */
#ifndef PG_DIAGNOSIS_H
#define PG_DIAGNOSIS_H

#include "command/examine.h"
#include "command/imports.h"
#include "command/process.h"

struct pg_diagnosis {
	const char *word;     /* as it was asked */
	const char *program;  /* its path; a null pointer: there is none */
	const char *leads_to; /* where links end, if that is elsewhere */
	const char *library;
	struct pg_examined x;
	struct pg_imports imports;
	bool is_process;
	struct pg_process_view process;
	enum pg_reach anew; /* what the process would be, started once more */
	const char *why_anew, *outside_anew;
	const char *outside; /* in a word, why the engine for other processes is the one that
				reaches it; or a null pointer */
	bool listened;	     /* what is started here has another's seccomp listener */
	unsigned lacks;	     /* of what the engine outside uses: enum pg_lack */
	int status;
};

void pg_diagnosis_lines(const struct pg_diagnosis *d);
void pg_diagnosis_object(const struct pg_diagnosis *d);

/* What could serve instead, as lines of a shell: the N-th, or a null pointer. */
const char *pg_diagnosis_instead(const struct pg_diagnosis *d, unsigned n);

#endif
