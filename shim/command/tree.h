/* SPDX-License-Identifier: MIT */
/* The endings that the processes of a tree share, where it has no page of its own. */
#ifndef PG_TREE_H
#define PG_TREE_H

#include <stdbool.h>

/* This process is about to become the first one of a tree: a file for its endings, if there can be
 * one. Those of trees that were killed go. LOOKS: this process reads them itself. */
void pg_tree_start(bool looks);

/* Where a page goes that nobody gave a name to, until pg_tree_page_ends(). If this process is
 * killed, the next one that starts a tree takes it away. */
const char *pg_tree_page(void);
void pg_tree_page_ends(const char *path);

/* True if the file PATH is there, and no process has it open or mapped. False where that cannot be
 * known. */
bool pg_tree_left(const char *path);

#endif
