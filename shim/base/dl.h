/* SPDX-License-Identifier: MIT */
/*
 * dlsym and dlerror, bound to the versions they had before glibc 2.34 moved
 * them from libdl to libc. Both are still there, so a library that is built
 * here loads on older systems as well.
 */
#ifndef PG_DL_H
#define PG_DL_H

#include "arch/arch.h"

#include <dlfcn.h>

#ifdef __GLIBC__
__asm__(".symver dlsym,dlsym@" PG_DL_VERSION);
__asm__(".symver dlerror,dlerror@" PG_DL_VERSION);
#endif

#endif
