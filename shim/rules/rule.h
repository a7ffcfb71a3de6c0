/* SPDX-License-Identifier: MIT */
/*
 * The rules' grammar, pure: a string in, rules or one error out. No
 * environment, no allocation, no global state but what the caller gives.
 *
 *	rules    = rule { (";" | newline) rule }
 *	rule     = [ID "="] SET { ":" field }
 *	SET      = ["!"] (name | glob | "%" group) { "," ... }
 *	field    = WORD ["=" VALUE]
 *
 * Blanks stand around rules only. "#" at the start of a line, or after a
 * blank, starts a comment. "[...]" as a glob's class or an address, and "\"
 * before a byte, protect what would end a word: : , ; = / and the blank.
 *
 * Limits, each with an error of its own: 16 KiB of text, 64 rules, 4 of them
 * with conn=, 8 alternatives in a list, 120 bytes in one of them, 15 in an id.
 */
#ifndef PG_RULE_H
#define PG_RULE_H

#include "base/call.h"
#include "base/text.h"

enum {
	PG_RULES_MAX = 64,
	PG_RULE_TEXT = 16384, /* with the NUL at the end */
	PG_LIST_MAX = 8,
	PG_WORD_MAX = 120,
	PG_CONN_RULES = 4
};

/* Bits of a SET: calls by their number, and stdio's writes. Calls that rules can name come first,
 * and are fewer than 63. */
#define PG_BIT(call) ((uint64_t)1 << (call))
#define PG_STDIO_BIT ((uint64_t)1 << 63)

enum pg_field {
#define FIELD(id, ...) PG_F_##id,
#define ACTION(id, ...) PG_F_##id,
#include "fields.def"
#undef FIELD
#undef ACTION
	PG_F_COUNT
};
#define PG_FIELD(id) ((uint64_t)1 << PG_F_##id)

/* What kind of field it is, and what it means to those who match and plan. */
enum pg_field_flag {
	PG_IS_SELECTOR = 1,
	PG_IS_TRIGGER = 2,
	PG_IS_MODIFIER = 4,
	PG_IS_FINAL = 8,
	PG_IS_ACTION = PG_IS_MODIFIER | PG_IS_FINAL,
	PG_MAY_LACK_VALUE = 16,
	PG_DECIDES_KIND = 32,  /* on other kinds of objects the rule has nothing to do */
	PG_OF_CALL = 64,       /* has to be looked at in each call */
	PG_OF_STREAM = 128,    /* means nothing to a socket that keeps messages whole */
	PG_OF_NAMES = 256,     /* asks for the addresses of a socket */
	PG_COUNTS_BYTES = 512, /* asks how far a stream is */
	PG_IS_QUIET = 1024,    /* not logged when it fires: most calls it fires on are healthy */
	PG_IS_FOR_GOOD = 2048  /* cannot be done to an object twice */
};

/* The fields that have one of FLAGS, as bits: a constant where FLAGS is one. */
static PG_INLINE uint64_t pg_fields_with(unsigned flags)
{
	return 0
#define FIELD(id, name, class, reader, printer, member, bound, calls, kinds, flags_, help)         \
	| (uint64_t)(((PG_IS_##class | (flags_)) & flags) != 0) << PG_F_##id
#define ACTION(id, name, class, calls, kinds, flags_, help)                                        \
	| (uint64_t)(((PG_IS_##class | (flags_)) & flags) != 0) << PG_F_##id
#include "fields.def"
#undef FIELD
#undef ACTION
		;
}

static inline bool pg_field_is(enum pg_field f, unsigned flags)
{
	return pg_fields_with(flags) >> f & 1;
}

struct pg_range {
	int64_t lo, hi; /* inclusive */
};

/* Lists lie one behind the other in their set, so a rule holds no room for those it has not: N from
 * number AT on of the set's ranges. */
struct pg_ranges {
	uint16_t at;
	uint8_t n;
	bool negate;
};

/* A piece of the rules' text. */
struct pg_word {
	uint16_t at, len;
};

/* The same of its words. */
struct pg_words {
	uint16_t at;
	uint8_t n;
	bool negate;
};

/* And of its sites. */
struct pg_sites {
	uint16_t at;
	uint8_t n;
	bool negate;
};

struct pg_net {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX: the word is a glob of a path */
	uint8_t bits, ip[16];
};

enum {
	PG_KINDS_PIPE = 1,
	PG_KINDS_TCP4 = 2,
	PG_KINDS_TCP6 = 4,
	PG_KINDS_UNIX = 8,
	PG_KINDS_UDP = 16,
	PG_KINDS_TTY = 32,
	PG_KINDS_FILE = 64,
	PG_KINDS_OTHER_SOCKET = 128,
	PG_KINDS_ALL = 255,
	PG_KINDS_OTHER = 256, /* what kind= has no word for: event descriptors, devices */
	PG_KINDS_ANY = PG_KINDS_ALL | PG_KINDS_OTHER
};
enum {
	PG_KINDS_TCP = PG_KINDS_TCP4 | PG_KINDS_TCP6,
	PG_KINDS_SOCKET = PG_KINDS_TCP | PG_KINDS_UNIX | PG_KINDS_UDP | PG_KINDS_OTHER_SOCKET
};
enum { PG_SEEN_EOF = 1, PG_SEEN_RESET = 2, PG_SEEN_HUP = 4, PG_SEEN_REFUSED = 8 };
#define PG_PROB_ALWAYS ((uint64_t)1 << 32)
enum pg_scope { PG_SCOPE_RULE, PG_SCOPE_FD, PG_SCOPE_THREAD };

struct pg_rule {
	char id[16];
	uint32_t serial; /* which rule it is, as long as the process lives */
	uint64_t calls;
	uint64_t fields; /* which are given: bit enum pg_field */
	uint16_t able;	 /* kinds of objects that it is for, and all its actions possible on */
	uint16_t raw;	 /* where its fields start in the set's */
	uint16_t net;	 /* and its networks, one for each word of peer */
	uint8_t kinds, side, seen, conn_slot, fd_slot;
	uint8_t scope;	    /* enum pg_scope */
	struct pg_word set; /* as written */
	struct pg_ranges fd, port, lport, len, conn;
	struct pg_words path, comm, thread, caller, stack, peer;
	struct pg_sites site;
	uint64_t first, last, step; /* when=; step 0: all from first to last */
	uint64_t at;		    /* bytes */
	uint64_t after, during;	    /* ns since start; during: length, of for= */
	uint64_t prob;		    /* of PG_PROB_ALWAYS */
	uint64_t limit;
	uint64_t hold, delay, trickle_every; /* ns */
	uint64_t shorten, trickle, garbage;  /* bytes; garbage ~0: all */
	enum pg_field terminal;		     /* PG_F_COUNT: none */
	int error;			     /* errno of error= */
};

/* What rules can have together: of each field that is such a list as many as a list holds. */
enum {
#define ACTION(id, ...)
#define FIELD(id, name, class, reader, printer, member, ...)                                       \
	+_Generic(((struct pg_rule *)0)->member, struct pg_ranges : 1, default : 0)
	PG_RANGES_MAX = PG_RULES_MAX * PG_LIST_MAX *
			(0
#include "fields.def"
			 ),
#undef FIELD
#define FIELD(id, name, class, reader, printer, member, ...)                                       \
	+_Generic(((struct pg_rule *)0)->member, struct pg_words : 1, default : 0)
	PG_WORDS_MAX = PG_RULES_MAX * PG_LIST_MAX *
		       (0
#include "fields.def"
			),
#undef FIELD
#undef ACTION
	PG_NETS_MAX = PG_RULES_MAX * PG_LIST_MAX,
	PG_SITES_MAX = PG_RULES_MAX * PG_LIST_MAX,
	PG_FIELDS_MAX = PG_RULES_MAX * PG_F_COUNT
};

/* What the parser notes of earlier rules, as bits: of their ids' hashes; of their numbers, those
 * that may take all of a later one's calls, by what they ask for (rule_shadow.c). */
struct pg_rule_work {
	uint64_t ids[4];
	uint64_t takers, takers_of[64];
};

/* The rules that hold at one time. What is worked out of them: match.c. Of the arrays only as much
 * is touched as the rules fill. */
struct pg_rule_set {
	unsigned n;
	uint64_t calls;	    /* of all rules */
	uint64_t fields;    /* the same */
	uint64_t simple;    /* rules that look at nothing of a call but its number, as bits */
	uint64_t numbering; /* those with conn=; and what they want to know, as PG_LOOK_ */
	unsigned numbering_wants, wants; /* WANTS: of all */
	bool streams[2]; /* they ask how far an object's stream is: what is sent, what is read */
	uint32_t generation;
	struct pg_rule_work work;
	struct pg_rule rule[PG_RULES_MAX];
	struct pg_word field[PG_FIELDS_MAX]; /* as written, each rule's by their bits */
	char text[PG_RULE_TEXT];
	struct pg_range range[PG_RANGES_MAX];
	struct pg_word word[PG_WORDS_MAX];
	struct pg_net net[PG_NETS_MAX];
	uint64_t site[PG_SITES_MAX];
};

struct pg_rule_error {
	unsigned line;	       /* from 1; 0: the text has one line */
	unsigned rule, column; /* from 1; column in its line, in bytes */
	const char *what;      /* "unknown action" */
	char word[64];	       /* the wrong word, or "" */
	const char *near;      /* the word that may be meant, or a null pointer */
	uint64_t possible;     /* fields that could stand there, as bits */
};

static inline bool pg_has(const struct pg_rule *r, enum pg_field f)
{
	return r->fields >> f & 1;
}

/* Field F of R, which has it, as it is written. */
static inline struct pg_word pg_rule_field(const struct pg_rule_set *set, const struct pg_rule *r,
					   enum pg_field f)
{
	return set->field[r->raw + __builtin_popcountll(r->fields & (PG_BIT(f) - 1))];
}

/* Parses TEXT into RULES. False: ERROR says what is wrong. Bounded time and stack. */
bool pg_rules_parse(struct pg_rule_set *rules, const char *text, struct pg_rule_error *error);

/* The normal form of rule N: its id, its set, its fields in one order. It parses to the same rule.
 */
void pg_rule_put(struct pg_text *t, const struct pg_rule_set *rules, unsigned n);

/* "rule 2, column 17: unknown action 'resett' (did you mean 'reset'?)", or "(possible: reset,
 * eof)"; where the text has several lines, "line 3, " comes first. */
void pg_rule_put_error(struct pg_text *t, const struct pg_rule_error *error);

/* The words of the grammar, for lists: the name of field F, and of group N (a null pointer after
 * the last). */
const char *pg_field_name(enum pg_field f);
const char *pg_group_name(unsigned n);

/* Whether field F takes a value, and whether it may be left out. */
static inline bool pg_value_taken(enum pg_field f)
{
	const uint64_t takers = 0
#define FIELD(id, ...) | PG_FIELD(id)
#define ACTION(...)
#include "fields.def"
#undef FIELD
#undef ACTION
		;

	return takers >> f & 1;
}

static inline bool pg_value_optional(enum pg_field f)
{
	return pg_field_is(f, PG_MAY_LACK_VALUE);
}

/* The N-th of the words that F's value can be; a null pointer after the last, and where it is no
 * word. */
const char *pg_value_word(enum pg_field f, unsigned n);

/* All calls that write; that read. */
uint64_t pg_rule_out_calls(void);
uint64_t pg_rule_in_calls(void);

/* True if R has the action ACTION, and it is possible with one of CALLS. */
bool pg_rule_can(const struct pg_rule *r, enum pg_field action, uint64_t calls);

/* Those of R's actions that are, as bits of their numbers. */
uint64_t pg_rule_actions(const struct pg_rule *r, uint64_t calls);

/* True if R watches a call that reads. */
bool pg_rule_reads(const struct pg_rule *r);

/* True if R watches connect; if it watches nothing else. */
bool pg_rule_connects(const struct pg_rule *r);
bool pg_rule_only_connects(const struct pg_rule *r);

/* The calls that rules can name. */
bool pg_call_has_rules(enum pg_call call);

#endif
