/* SPDX-License-Identifier: MIT */
#include "base/peek.h"

#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { WORD = 8 };

/*
 * rt_sigprocmask(2) reads its set of 8 bytes before it looks at HOW, which is
 * wrong here: no effect, and hardly a sandbox forbids it. A null pointer would
 * be no set at all, so the first word is asked about at 1.
 */
static bool word_readable(uintptr_t at)
{
	at &= ~(uintptr_t)(WORD - 1);
	return pg_sys4(SYS_rt_sigprocmask, -1, at ? at : 1, 0, WORD) != -EFAULT;
}

bool pg_readable(const void *p)
{
	return !pg_confined && word_readable((uintptr_t)p);
}

/* May process_vm_readv be called? prctl(2): PR_GET_SECCOMP is 0 where no filter stands. */
enum { UNKNOWN, COPIES, ASKS };
static int way;

static int find_way(void)
{
	int found = PG_GET(way);

	if (found)
		return found;
	found = pg_sys5(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) > 0 ? ASKS : COPIES;
	PG_PUT(way, found);
	return found;
}

bool pg_is_filtered(void)
{
	return find_way() != COPIES;
}

/* The kernel's copy of COUNT pieces, N bytes in all; -1: it has no such call here, which is
 * remembered. */
static int copied(void *to, size_t n, const struct iovec *theirs, unsigned count)
{
	struct iovec mine = {to, n};
	long got;

	if (find_way() != COPIES)
		return -1;
	got = pg_sys6(SYS_process_vm_readv, pg_pid(), &mine, 1, theirs, count, 0);
	if (got < 0 && got != -EFAULT) {
		PG_PUT(way, ASKS);
		return -1;
	}
	return got == (long)n;
}

static bool asked(uintptr_t first, uintptr_t last)
{
	for (uintptr_t at = first; at >= first && at <= last; at = (at | (PG_PAGE_LEAST - 1)) + 1)
		if (!word_readable(at))
			return false;
	return true;
}

bool pg_peek(void *to, const void *from, size_t n)
{
	struct iovec theirs = {(void *)(uintptr_t)from, n};
	uintptr_t first = (uintptr_t)from;
	int got;

	if (!n || pg_confined || first + n < first)
		return !n;
	got = copied(to, n, &theirs, 1);
	if (got >= 0)
		return got;
	if (!asked(first, first + n - 1))
		return false;
	__builtin_memcpy(to, from, n);
	return true;
}

/* futex(2) compares the word with VALUE before it wakes and moves as many as are waited for: none.
 * It takes a fifth of the time of a copy. musl comes without the kernel's headers. */
bool pg_holds(const uint32_t *p, uint32_t value)
{
	enum { FUTEX_CMP_REQUEUE_PRIVATE = 4 | 128 };

	return !pg_confined && !pg_is_filtered() &&
	       !pg_sys6(SYS_futex, p, FUTEX_CMP_REQUEUE_PRIVATE, 0, 0, p, value);
}

bool pg_word_readable(const uintptr_t *p)
{
	uintptr_t word;

	return sizeof word == WORD ? pg_readable(p) : pg_peek(&word, p, sizeof word);
}

/* The same where process_vm_writev(2) may not be called: what is written to plainly may be a hole
 * in a file on a disk that is full, which is readable all the same. */
static bool written(void *to, const void *from, size_t n)
{
	int mem = pg_open("/proc/self/mem", O_WRONLY);
	bool done;

	if (mem < 0)
		return false;
#ifdef SYS__llseek
	int64_t at;

	done = !pg_sys5(SYS__llseek, mem, 0, to, &at, SEEK_SET);
#else
	done = pg_sys3(SYS_lseek, mem, to, SEEK_SET) == (long)to;
#endif
	done = done && pg_sys3(SYS_write, mem, from, n) == (long)n;
	pg_sys1(SYS_close, mem);
	return done;
}

bool pg_poke(void *to, const void *from, size_t n)
{
	struct iovec mine = {(void *)(uintptr_t)from, n}, theirs = {to, n};
	uintptr_t first = (uintptr_t)to;
	long got = -EPERM;

	if (!n || pg_confined || first + n < first)
		return !n;
	if (find_way() == COPIES)
		got = pg_sys6(SYS_process_vm_writev, pg_pid(), &mine, 1, &theirs, 1, 0);
	if (got >= 0 || got == -EFAULT)
		return got == (long)n;
	return written(to, from, n);
}

bool pg_peek_pieces(void *to, const struct iovec *pieces, unsigned n)
{
	char *at = to;
	size_t all = 0;
	int got;

	if (pg_confined)
		return false;
	for (unsigned i = 0; i < n; i++)
		all += pieces[i].iov_len;
	got = copied(to, all, pieces, n);
	if (got >= 0)
		return got;
	for (unsigned i = 0; i < n; at += pieces[i++].iov_len)
		if (!pg_peek(at, pieces[i].iov_base, pieces[i].iov_len))
			return false;
	return true;
}

/* A byte of each page from *AT to LAST, as many as one call copies; moves *AT behind them. As
 * copied(). */
static int some_pages(uintptr_t *at, uintptr_t last)
{
	enum { PAGES = 24 };
	struct iovec theirs[PAGES];
	char bytes[PAGES];
	unsigned n = 0;

	for (; n < PAGES && *at <= last; n++) {
		theirs[n] = (struct iovec){(void *)*at, 1};
		*at = (*at | (PG_PAGE_LEAST - 1)) + 1;
	}
	return copied(bytes, n, theirs, n);
}

bool pg_readable_all(const void *p, size_t n)
{
	enum { MOST = 1 << 20 };
	uintptr_t first = (uintptr_t)p, at = first, last = at + n - 1;
	int got;

	if (!n || last < at || !pg_readable((const void *)last))
		return !n;
	if (n > MOST)
		last = at + MOST - 1;
	do
		got = some_pages(&at, last);
	while (got > 0 && at <= last);
	return got < 0 ? asked(first, last) : got;
}

__attribute__((noinline)) bool pg_is_here(const void *p, size_t n)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t page_end = (here | (PG_PAGE_LEAST - 1)) + 1, at = (uintptr_t)p;

	return at >= here && at < page_end && n <= page_end - at;
}

bool pg_is_kept(const void *p, size_t n)
{
	return pg_is_here(p, n) || pg_process_is_single();
}

bool pg_take_kept(void *to, const void *from, size_t n)
{
	if (!pg_is_kept(from, n))
		return pg_peek(to, from, n);
	__builtin_memcpy(to, from, n);
	return true;
}

bool pg_peek_string(char *to, const char *from, size_t size)
{
	size_t done = 0;

	while (done < size - 1) {
		size_t page = PG_PAGE_LEAST - ((uintptr_t)(from + done) & (PG_PAGE_LEAST - 1));
		size_t n = size - 1 - done < page ? size - 1 - done : page;

		if (!pg_peek(to + done, from + done, n))
			break;
		for (size_t end = done + n; done < end; done++)
			if (!to[done])
				return true;
	}
	to[done] = 0;
	return done;
}

__attribute__((noinline)) int64_t pg_iov_bytes(const void *iov, uint64_t count)
{
	enum { BATCH = 8, MOST = 1024 };
	struct iovec some[BATCH] = {{NULL, 0}};
	int64_t sum = 0;

	for (uint64_t at = 0; at < count && at < MOST; at += BATCH) {
		uint64_t n = count - at < BATCH ? count - at : BATCH;

		if (!pg_peek(some, (const struct iovec *)iov + at, (size_t)n * sizeof *some))
			return -1;
		for (uint64_t i = 0; i < n; i++)
			sum += (int64_t)some[i].iov_len;
	}
	return sum;
}

int64_t pg_msg_bytes(const void *msg)
{
	struct msghdr m;

	if (!pg_peek(&m, msg, sizeof m))
		return -1;
	return pg_iov_bytes(m.msg_iov, (uint64_t)m.msg_iovlen);
}
