/* SPDX-License-Identifier: MIT */
/* The endings that the processes of a tree share, where it has no page of its own. */
#ifndef PG_TREE_H
#define PG_TREE_H

/* This process is about to become the first one of a tree: a file for its endings, if there can be
 * one. Those of trees that were killed go. */
void pg_tree_start(void);

#endif
