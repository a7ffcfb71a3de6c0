/* SPDX-License-Identifier: MIT */
/* The capabilities that a file gives to whoever runs it. */
#ifndef PG_CAPABILITIES_H
#define PG_CAPABILITIES_H

/* "cap_net_admin,cap_net_raw=ep", as getcap(8) prints them; allocated. A null pointer: PATH has
 * none. "?": that cannot be known. */
const char *pg_file_capabilities(const char *path);

#endif
