/* SPDX-License-Identifier: MIT */
/* The words that rules are made of, and what they mean. */
#ifndef PG_WORDS_H
#define PG_WORDS_H

struct pg_word_list {
	const char *name;
	const char *(*word)(unsigned n);    /* a null pointer: no more */
	const char *(*meaning)(unsigned n); /* a null pointer: not known */
};
extern const struct pg_word_list pg_word_lists[]; /* ends with a null name */

/* The list called NAME, or a null pointer. */
const struct pg_word_list *pg_word_list_of(const char *name);

#endif
