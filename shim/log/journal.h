/* SPDX-License-Identifier: MIT */
/* The journal of systemd, by the protocol that it speaks itself: a datagram of fields for each
 * entry. */
#ifndef PG_JOURNAL_H
#define PG_JOURNAL_H

#include "log/event.h"

/* What comes before a line about E that has LEN bytes: the fields, and the head of the last one. */
void pg_journal_head(struct pg_text *t, const struct pg_event *e, size_t len);

#endif
