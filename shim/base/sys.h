/* SPDX-License-Identifier: MIT */
/* The kernel, asked directly: what the shim does for itself must meet no interposer, least of all
 * its own. */
#ifndef PG_SYS_H
#define PG_SYS_H

#include "arch/arch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h> /* for __GLIBC__ */
#include <sys/syscall.h>

#define PG_LIKELY(x) __builtin_expect(!!(x), 1)
#define PG_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PG_EXPORT __attribute__((visibility("default")))
#define PG_COLD __attribute__((noinline, cold))
#define PG_INLINE inline __attribute__((always_inline))

/* The same on every machine; Debian 11's headers do not have it yet. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/* For data on the hot path: without it the compiler goes through the GOT for what it only sees
 * declared. */
#define PG_HIDDEN __attribute__((visibility("hidden")))

/*
 * The signal gate must know which wrapper is at work. Where the registers keep
 * the call's arguments and the stack can be walked out of libc, it looks there,
 * at the event; elsewhere every call leaves a mark.
 */
#if defined(__x86_64__) && defined(__GLIBC__)
#define PG_MARKS 0
#else
#define PG_MARKS 1
#endif

/* For what every start writes: it lies together, so that a process has few pages for it. */
#define PG_START_DATA __attribute__((section(".data.pg_start")))

/* No page is smaller: what lies in one piece of that size lies in one page. */
enum { PG_PAGE_LEAST = 4096 };

/* Of the kernel's set of signals. */
enum { PG_SIGSET_BYTES = 8 };

/* System call NR, for the program. Returns the kernel's value: -4095..-1 is -errno; errno itself is
 * untouched. Async-signal-safe. */
long pg_sys(long nr, ...);

/* The program confined itself (seccomp): nothing but write(2) is certain to be allowed any more,
 * and any other call may kill it. */
extern bool pg_confined PG_HIDDEN;

/* Of those that the library makes for itself, that alone passes then; the others return -EPERM. */
static inline bool pg_may(long nr)
{
	return PG_LIKELY(!pg_confined) || nr == SYS_write;
}

/* A system call of the library's own. Every argument as a machine word, so that an int reaches the
 * kernel whole. */
#define PG_W(x) ((long)(x))
#define PG_OWN(nr, ...) (pg_may(nr) ? pg_sys(nr, ##__VA_ARGS__) : -1L)
#define pg_sys0(nr) PG_OWN(nr)
#define pg_sys1(nr, a) PG_OWN(nr, PG_W(a))
#define pg_sys2(nr, a, b) PG_OWN(nr, PG_W(a), PG_W(b))
#define pg_sys3(nr, a, b, c) PG_OWN(nr, PG_W(a), PG_W(b), PG_W(c))
#define pg_sys4(nr, a, b, c, d) PG_OWN(nr, PG_W(a), PG_W(b), PG_W(c), PG_W(d))
#define pg_sys5(nr, a, b, c, d, e) PG_OWN(nr, PG_W(a), PG_W(b), PG_W(c), PG_W(d), PG_W(e))
#define pg_sys6(nr, a, b, c, d, e, f)                                                              \
	PG_OWN(nr, PG_W(a), PG_W(b), PG_W(c), PG_W(d), PG_W(e), PG_W(f))

/* The process's number; -1: a sandbox that it was started in does not say. Then no signal may be
 * sent to it: -1 is every process to kill(2), and 0 the whole group. */
int pg_pid(void);

/*
 * 64 bits that several threads, or processes, read and write whole, by PG_GET, PG_PUT or the
 * compiler's __atomic: members and elements are declared so, and what points at them. i386 puts a
 * uint64_t of a structure at any 4 bytes, where it may lie in two lines of the cache: each access
 * then locks the bus, and clang calls a library for it. It is as long as a uint64_t, and elsewhere
 * the same; a value that was read is one.
 */
typedef uint64_t pg_shared64 __attribute__((aligned(8)));

/* A word that several threads read and write; no other memory is ordered by it. */
#define PG_GET(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define PG_PUT(x, value) __atomic_store_n(&(x), value, __ATOMIC_RELAXED)

/* One more word into a hash. */
static inline uint64_t pg_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* In a table that keeps what was found: of the WAYS entries at SET, each of SIZE bytes and with its
 * key, a pg_shared64, first (0: free), the one that has KEY, or is to take it. */
static inline void *pg_way(void *set, unsigned ways, size_t size, uint64_t key)
{
	char *take = (char *)set + (key >> 50) % ways * size;

	for (unsigned i = 0; i < ways; i++) {
		char *entry = (char *)set + i * size;
		uint64_t has = PG_GET(*(pg_shared64 *)(void *)entry);

		if (has == key)
			return entry;
		if (!has)
			take = entry;
	}
	return take;
}

struct pg_stat {
	uint64_t dev;
	uint64_t ino;  /* never 0 for an open descriptor */
	uint64_t born; /* when it was made, if its file system says so: numbers are used again; or 0
			*/
	uint32_t mode;
	uint32_t uid, gid; /* of its owner */
};

int pg_fstat(int fd, struct pg_stat *st); /* 0, or -errno */
int pg_lstat(const char *path,
	     struct pg_stat *st); /* the same, of a path; a link is not followed */
int pg_stat_at(int at, const char *path, int flags,
	       struct pg_stat *st); /* as statx(2) has it: a link is followed */
/* FD's path in one of this process' folders in /proc: "fd/", "fdinfo/". */
enum { PG_FD_PATH = 48 };
void pg_fd_path(char path[PG_FD_PATH], const char *folder, int fd);

/* What is behind FD, as /proc has it, into NAME with a zero at its end; its length (SIZE - 1:
 * perhaps cut), or -errno and "". */
long pg_fd_name(int fd, char *name, size_t size);
int pg_open(const char *path, int flags); /* O_CLOEXEC is added; mode 0644; descriptor or -errno */

/* N bytes of the file FD from AT on, as pread(2): how many there were, or -errno. */
long pg_pread(int fd, void *to, size_t n, uint64_t at);

/* SIZE bytes of zeros, for munmap(2); a null pointer: there are none to be had. */
void *pg_map(size_t size);

/* What *PLACE points to: SIZE bytes of zeros the first time; a null pointer: there is no memory. */
void *pg_map_once(void **place, size_t size);

/* getauxval(3), which sets errno where there is no such value (a vDSO, say); this keeps it. */
unsigned long pg_auxval(unsigned long type);

/* poll(2) of FD alone, without waiting: the bits that hold, and those that it always reports; 0:
 * none, or it cannot be known. Where the program may have no descriptor (RLIMIT_NOFILE), the kernel
 * refuses poll; then it is POLLIN and POLLOUT at the most, and POLLERR of what is open just for
 * writing. */
short pg_poll_now(int fd, short events);

/* FD's object under a high number instead, closed on exec: out of the program's way, PG_HIGH_FD or
 * as high as its limit goes. Returns that number; FD itself, if there is none. */
enum { PG_HIGH_FD = 1000 };
int pg_lift(int fd);

#endif
