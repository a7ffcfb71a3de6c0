/* SPDX-License-Identifier: MIT */
#include "rules/page.h"

#include "base/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char magic[32] = "pipeguard page 1";
struct pg_page *pg_mapped_page;
static const char *where; /* its path, for the lock; start-up and the command only */
static int lock = -1;
static void *view; /* of its front, read-only, until it takes the place of ours */

/* SIZE bytes of FD; a null pointer: they cannot be mapped. */
static void *map(size_t size, size_t offset, int prot, int fd)
{
#ifdef SYS_mmap2
	enum { UNIT = 4096 };
	long at = pg_sys6(SYS_mmap2, 0, size, prot, MAP_SHARED, fd, offset / UNIT);
#else
	long at = pg_sys6(SYS_mmap, 0, size, prot, MAP_SHARED, fd, offset);
#endif

	return at < 0 && at > -4096 ? NULL : (void *)at;
}

/* ---- a new one ---- */

/* Written out whole, so that a full disk is told now and not by SIGBUS later. Returns 0 or -errno.
 */
static long fill(int fd)
{
	static const char zeros[4096];
	const size_t at = offsetof(struct pg_page, magic);
	long n = 0;

	for (size_t done = 0; done < sizeof(struct pg_page); done += (size_t)n) {
		size_t left = sizeof(struct pg_page) - done;

		n = pg_sys3(SYS_write, fd, zeros, left < sizeof zeros ? left : sizeof zeros);
		if (n <= 0)
			return n ? n : -EIO;
	}
	if (pg_sys3(SYS_lseek, fd, at, SEEK_SET) != (long)at)
		return -EIO;
	n = pg_sys3(SYS_write, fd, magic, sizeof magic);
	return n == (long)sizeof magic ? 0 : n < 0 ? n : -ENOSPC;
}

/* Under a name of this process's first: whoever finds the file finds it whole. */
static long make(const char *path)
{
	char temporary[512];
	struct pg_text t = {temporary, 0, sizeof temporary - 1};
	long fd, err;

	pg_put(&t, path);
	pg_put(&t, ".new.");
	pg_put_i64(&t, pg_pid());
	if (t.len == t.cap)
		return -ENAMETOOLONG;
	temporary[t.len] = 0;
	fd = pg_sys4(SYS_openat, AT_FDCWD, temporary,
		     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	err = fill((int)fd);
	pg_sys1(SYS_close, fd);
	if (!err)
		err = pg_sys5(SYS_linkat, AT_FDCWD, temporary, AT_FDCWD, path, 0);
	pg_sys3(SYS_unlinkat, AT_FDCWD, temporary, 0);
	return err == -EEXIST ? 0 : err;
}

/* ---- one that is there ---- */

/* What is wrong with the file FD; a null pointer: nothing. */
static const char *judge(int fd)
{
	char has[sizeof magic];
	struct pg_stat st;
	const size_t at = offsetof(struct pg_page, magic);
	long size = pg_sys3(SYS_lseek, fd, 0, SEEK_END);

	if (pg_fstat(fd, &st) || !S_ISREG(st.mode))
		return "is no page: not a regular file:";
	if (st.uid != (uint32_t)pg_sys0(SYS_geteuid))
		return "is another user's:";
	if (st.mode & 022)
		return "may be written by others:";
	if (size != (long)sizeof(struct pg_page) ||
	    pg_sys3(SYS_lseek, fd, at, SEEK_SET) != (long)at ||
	    pg_sys3(SYS_read, fd, has, sizeof has) != (long)sizeof has ||
	    __builtin_memcmp(has, magic, sizeof has) != 0)
		return "is no page, or another version's:";
	return NULL;
}

static const char *reason(long err)
{
	switch (-err) {
	case ENOENT:
		return "there is no such page:";
	case ELOOP:
		return "is a link:";
	case ENOSPC:
	case EDQUOT:
		return "cannot be made, the disk is full:";
	default:
		return "cannot be opened:";
	}
}

static const char *map_all(int fd)
{
	struct pg_page *at = map(sizeof *at, 0, PROT_READ | PROT_WRITE, fd);

	if (!at)
		return "cannot be mapped:";
	pg_mapped_page = at;
	view = map(sizeof pg_front, PG_PAGE_FRONT * sizeof pg_front, PROT_READ, fd);
	return NULL;
}

const char *pg_page_open(const char *path, bool make_it)
{
	enum { FLAGS = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY };
	long err;
	int fd = pg_open(path, FLAGS);
	const char *why;

	if (fd == -ENOENT && make_it) {
		err = make(path);
		if (err)
			return reason(err);
		fd = pg_open(path, FLAGS);
	}
	if (fd < 0)
		return reason(fd);
	why = judge(fd);
	if (!why)
		why = map_all(fd);
	pg_sys1(SYS_close, fd);
	where = path;
	return why;
}

bool pg_page_bring_front(void)
{
	enum { FLAGS = MREMAP_MAYMOVE | MREMAP_FIXED };

	return view && pg_sys5(SYS_mremap, view, sizeof pg_front, sizeof pg_front, FLAGS,
			       &pg_front) == (long)&pg_front;
}

static bool within(uintptr_t at, const void *lo, size_t size)
{
	return at >= (uintptr_t)lo && at - (uintptr_t)lo < size;
}

/* Zeroed memory takes the place of the N bytes at P. */
static bool empty(void *p, size_t n)
{
	enum { PROT = PROT_READ | PROT_WRITE, FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED };
#ifdef SYS_mmap2
	long at = pg_sys6(SYS_mmap2, p, n, PROT, FLAGS, -1, 0);
#else
	long at = pg_sys6(SYS_mmap, p, n, PROT, FLAGS, -1, 0);
#endif

	return at == (long)p;
}

bool pg_page_lost(uintptr_t at)
{
	if (!pg_mapped_page || (!within(at, pg_mapped_page, sizeof *pg_mapped_page) &&
				!within(at, &pg_front, sizeof pg_front)))
		return false;
	return empty(&pg_front, sizeof pg_front) && empty(pg_mapped_page, sizeof *pg_mapped_page);
}

uint32_t pg_page_generation(void)
{
	return __atomic_load_n(&pg_mapped_page->front[PG_PAGE_FRONT].generation, __ATOMIC_ACQUIRE);
}

/* ---- rules ---- */

static uint64_t sum_of(const struct pg_page_rules *r)
{
	uint64_t h = pg_mix(pg_mix(r->generation, (uint64_t)r->n << 32 | r->len), r->on);

	for (unsigned i = 0; i < PG_RULES_MAX; i++)
		h = pg_mix(h, (uint64_t)r->serial[i] << 8 | r->conn_slot[i]);
	for (size_t i = 0; i < r->len && i < sizeof r->text; i++)
		h = pg_mix(h, (unsigned char)r->text[i]);
	return h;
}

/* Every serial is another slot's: what counts by it has one owner. */
static bool is_sound(const struct pg_page_rules *r)
{
	uint64_t taken[PG_RULE_SLOTS / 64] = {0};

	if (r->n > PG_RULES_MAX || r->len >= sizeof r->text || r->text[r->len])
		return false;
	for (unsigned i = 0; i < r->n; i++) {
		unsigned slot = r->serial[i] % PG_RULE_SLOTS;

		if (!r->serial[i] || r->serial[i] > INT32_MAX || r->conn_slot[i] >= PG_CONN_RULES ||
		    taken[slot / 64] >> slot % 64 & 1)
			return false;
		taken[slot / 64] |= (uint64_t)1 << slot % 64;
	}
	return r->sum == sum_of(r);
}

bool pg_page_read(struct pg_page_rules *to, uint32_t generation)
{
	const struct pg_page_rules *from = &pg_mapped_page->rules[generation & 1];

	return pg_peek(to, from, sizeof *to) && to->generation == generation && is_sound(to);
}

/* ---- counts ---- */

static uint64_t begun(uint32_t serial)
{
	return (uint64_t)serial << PG_PAGE_COUNT_BITS;
}

static bool is_of(uint64_t word, uint32_t serial)
{
	return word >> PG_PAGE_COUNT_BITS == begun(serial) >> PG_PAGE_COUNT_BITS;
}

/* A rule that has gone does not count any more. */
void pg_page_count(uint32_t serial)
{
	uint64_t *at = pg_mapped_page ? &pg_mapped_page->fired[serial % PG_RULE_SLOTS] : NULL;
	uint64_t word = at ? PG_GET(*at) : 0;

	while (at && is_of(word, serial) &&
	       !__atomic_compare_exchange_n(at, &word, word + 1, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

uint64_t pg_page_fired(uint32_t serial)
{
	uint64_t word = PG_GET(pg_mapped_page->fired[serial % PG_RULE_SLOTS]);

	return is_of(word, serial) ? word - begun(serial) : 0;
}

/* ---- changes ---- */

int pg_page_lock(void)
{
	long err;

	lock = pg_open(where, O_RDWR | O_NOFOLLOW);
	if (lock < 0)
		return lock;
	do
		err = pg_sys2(SYS_flock, lock, LOCK_EX);
	while (err == -EINTR);
	return (int)err;
}

void pg_page_unlock(void)
{
	pg_sys1(SYS_close, lock);
	lock = -1;
}

/* Between the two steps wrappers ask for the old rules and the new ones. */
static void watch(uint64_t calls, bool also)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pg_front *f = &pg_mapped_page->front[i];
		uint64_t bits = i == PG_PAGE_FRONT ? calls : calls ? ~(uint64_t)0 : 0;

		if (also)
			bits |= f->ruled;
		__atomic_store_n(&f->ruled, bits, __ATOMIC_SEQ_CST);
		__atomic_store_n(&f->aside, bits, __ATOMIC_SEQ_CST);
	}
}

/* What counted for a rule that is in RULES goes on; a new one begins. */
static void begin_counts(const struct pg_page_rules *rules)
{
	for (unsigned i = 0; i < rules->n; i++) {
		uint64_t *at = &pg_mapped_page->fired[rules->serial[i] % PG_RULE_SLOTS];

		if (!is_of(PG_GET(*at), rules->serial[i]))
			__atomic_store_n(at, begun(rules->serial[i]), __ATOMIC_RELEASE);
	}
}

void pg_page_publish(struct pg_page_rules *rules, uint64_t calls)
{
	uint32_t next = pg_page_generation() + 1;
	struct pg_page_rules *to;

	next += !next; /* 0 is that of the start */
	to = &pg_mapped_page->rules[next & 1];
	rules->generation = next;
	rules->sum = sum_of(rules);
	begin_counts(rules);
	__atomic_store_n(&to->generation, 0, __ATOMIC_SEQ_CST);
	__builtin_memcpy(&to->n, &rules->n, sizeof *to - offsetof(struct pg_page_rules, n));
	__atomic_store_n(&to->generation, next, __ATOMIC_SEQ_CST);
	watch(calls, true);
	for (unsigned i = 0; i < 2; i++)
		__atomic_store_n(&pg_mapped_page->front[i].generation, next, __ATOMIC_SEQ_CST);
	watch(calls, false);
}
