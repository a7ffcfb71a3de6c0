/* SPDX-License-Identifier: MIT */
/* Names of Rust as people write them: both manglings, the one of RFC 2603 ("v0", _R...) and that
 * before it (_ZN...17h...E), which libstdc++ takes for one of C++. Pure: no memory, no library. */
#ifndef PG_RUST_H
#define PG_RUST_H

#include <stdbool.h>
#include <stddef.h>

/* What MANGLED, any bytes, says into NAME of SIZE bytes, cut where that is too small: without
 * hashes, and what the compiler put behind it. False: it is no name of Rust's. */
bool pg_rust_name(const char *mangled, char *name, size_t size);

#endif
