/* SPDX-License-Identifier: MIT */
/* A page whose file is cut off while this process, which is nobody's guest, looks at it. */
#ifndef PG_CUT_OFF_H
#define PG_CUT_OFF_H

/* From here on it is let go then: there are no rules any more. */
void pg_survive_cut_off(void);

#endif
