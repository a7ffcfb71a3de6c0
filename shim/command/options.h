/* SPDX-License-Identifier: MIT */
/*
 * What the command line has: verbs and options, one row for each, here and
 * nowhere else. Reading them, the help, completion in all shells, and a test of
 * the manual come from these two tables.
 */
#ifndef PG_OPTIONS_H
#define PG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pg_verb {
	PG_V_RUN,
	PG_V_CHECK,
	PG_V_LIST,
	PG_V_DOCTOR,
	PG_V_ENV,
	PG_V_ATTACH,
	PG_V_CUT,
	PG_V_CTL,
	PG_V_REPORT,
	PG_V_SWEEP,
	PG_V_BUNDLE,
	PG_V_REPLAY,
	PG_V_COMPLETION,
	PG_V_HELP,
	PG_V_VERSION,
	PG_V_COUNT
};
#define PG_VERB(v) (1u << PG_V_##v)

/* What was asked for. */
struct pg_request {
	enum pg_verb verb;
	char **words; /* behind the options; ends with a null pointer */
	unsigned count, verbose;
	bool named; /* the verb was written */
	bool print, json;
	bool first_only, list, all;
	uint64_t for_ns;	      /* of attach; 0: no end */
	const char *engine;	      /* of run: inside, outside, both; a null pointer: what fits */
	bool require_fired, own_page; /* OWN_PAGE: nobody gave it a name */
	const char *control;	      /* the page of run; or a null pointer */
	const char *form, *library;   /* of env */
	const char *once[12];	      /* by an option's slot: what was given */
};

/* What can stand in a place, for completion. */
enum pg_operand {
	PG_K_NOTHING,
	PG_K_WORDS, /* one of the words of the row */
	PG_K_LIST,  /* some of them, commas between */
	PG_K_FILE,
	PG_K_PROGRAM,
	PG_K_RULE,
	PG_K_RULES,  /* the same, or @FILE */
	PG_K_LOG,    /* a file, or a word of the row */
	PG_K_PAGE,   /* as ctl names it; behind it, what it does */
	PG_K_HELD,   /* a process, and what cut takes of it */
	PG_K_COMMAND /* a program and what follows it */
};

struct pg_verb_row {
	const char *name, *operands;	  /* "[OPTION]... [--] PROGRAM [ARG]..." */
	enum pg_operand kind;		  /* of the operands */
	bool many;			  /* operands of that kind */
	bool script;			  /* a script does it, its options too */
	const char *words;		  /* blanks between */
	int (*act)(struct pg_request *r); /* returns the status */
	const char *brief, *text;	  /* a line, and what the verb's help says besides */
};
extern const struct pg_verb_row pg_verbs[PG_V_COUNT];

struct pg_option {
	char letter;		 /* 0: none */
	enum pg_operand kind;	 /* of its value */
	const char *name, *also; /* without "--"; a second name that only is taken */
	const char *value;	 /* what its value is called; a null pointer: it has none */
	unsigned verbs;		 /* bits */
	unsigned slot;		 /* options of one slot exclude one another; 0: may be repeated */
	const char *words;
	void (*take)(struct pg_request *r, const char *value); /* VALUE: or the option's name */
	const char *help;
};
extern const struct pg_option pg_options[]; /* ends with a null name */

/* The verb called NAME; PG_V_COUNT: none. */
enum pg_verb pg_verb_of(const char *name);

/* The options of a verb: by letter, or by the name in the N bytes at NAME; or a null pointer. */
const struct pg_option *pg_option_of_letter(enum pg_verb verb, char letter);
const struct pg_option *pg_option_of_name(enum pg_verb verb, const char *name, size_t n);

#endif
