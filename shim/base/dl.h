/* SPDX-License-Identifier: MIT */
/*
 * dlsym and dlerror, bound to the versions they had before glibc 2.34 moved
 * them from libdl to libc. Both are still there, so a library that is built
 * here loads on older systems as well.
 */
#ifndef PG_DL_H
#define PG_DL_H

#include <dlfcn.h>

#if defined(__GLIBC__) && defined(__x86_64__)
#define PG_DL_VERSION "GLIBC_2.2.5"
#elif defined(__GLIBC__) && defined(__i386__)
#define PG_DL_VERSION "GLIBC_2.0"
#elif defined(__GLIBC__) && defined(__aarch64__)
#define PG_DL_VERSION "GLIBC_2.17"
#endif
#ifdef PG_DL_VERSION
__asm__(".symver dlsym,dlsym@" PG_DL_VERSION);
__asm__(".symver dlerror,dlerror@" PG_DL_VERSION);
#endif

#endif
