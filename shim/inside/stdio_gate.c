/* SPDX-License-Identifier: MIT */
#include "inside/stdio_gate.h"

#include "base/dl.h"
#include "inside/apply.h"
#include "inside/ends.h"
#include "inside/flush.h"
#include "inside/leave.h"
#include "inside/passed.h"
#include "inside/perform.h"
#include "log/log.h"
#include "who/module.h"
#include "who/stack.h"

#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#ifdef __GLIBC__

/* _IO_ERR_SEEN of glibc's libio.h: ferror(). The real slot sets it; a rule that fails the write
 * must, too. */
enum { PG_IO_ERR_SEEN = 0x20 };

enum { REACH = 4096 }; /* bytes each way; the tables span about 3 KiB */

typedef ssize_t write_slot(FILE *, const void *, ssize_t);
typedef ssize_t read_slot(FILE *, void *, ssize_t);
typedef int close_slot(FILE *);

static PG_START_DATA write_slot *next_write;
static PG_START_DATA read_slot *next_read;
static PG_START_DATA close_slot *next_close, *next_proc_close;

/* Is F what one of our dprintf wrappers writes to, below its frame? It logs the break itself. (A
 * program may have jumped out of it: then its mark is left, but such an F is not.) */
static bool within_dprintf(const FILE *f)
{
	enum pg_call call = (enum pg_call)(pg_mark >> 32 & 0x3fff);
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return pg_mark & PG_MARK_SET && pg_call_formats(call) && (uintptr_t)f >= here &&
	       (uintptr_t)f < pg_format_frame;
}

static struct pg_op asked_of(enum pg_call call, uint64_t bits, const FILE *f, const void *data,
			     ssize_t n, uintptr_t caller)
{
	return (struct pg_op){.call = call,
			      .via = PG_VIA_STDIO,
			      .fd = f->_fileno,
			      .len = n,
			      .shape = PG_BUF,
			      .data = data,
			      .bits = bits,
			      .caller = caller};
}

static int64_t by_slot(struct pg_op *op, void *f)
{
	return next_write(f, op->data, (ssize_t)op->len);
}

/*
 * Under a rule. libio's contract (_IO_new_file_write): the bytes written;
 * fewer than N means an error, with errno set. So what a rule makes short is
 * not the end.
 */
static PG_COLD ssize_t write_ruled(FILE *f, const char *data, ssize_t n, uintptr_t caller)
{
	ssize_t total = 0, done;
	struct pg_op op;

	do {
		op = asked_of(PG_CALL_write, PG_STDIO_BIT, f, data + total, n - total, caller);
		done = (ssize_t)pg_perform(&op, by_slot, f);
		total += done > 0 ? done : 0;
	} while (done > 0 && total < n && (op.clamped || op.skip));
	if (total < n)
		f->_flags |= PG_IO_ERR_SEEN;
	return total;
}

/* F took DONE of the N bytes that it was given, no rule acting on it. */
static PG_COLD void odd(const FILE *f, ssize_t n, ssize_t done, uintptr_t caller, uintptr_t cfa)
{
	struct pg_op op = {.call = PG_CALL_write,
			   .via = PG_VIA_STDIO,
			   .fd = f->_fileno,
			   .len = n,
			   .caller = caller,
			   .cfa = cfa};

	if (PG_UNLIKELY(pg_front.ruled & PG_STDIO_BIT) && done <= 0)
		pg_apply_refused(op.fd, PG_STDIO_BIT, errno);
	pg_guard_out(&op, done < n ? -1 : done);
}

/* After exit() began: the last FILE has been flushed. */
static PG_COLD void flushed(void)
{
	pg_last_to_flush = NULL;
	pg_guard_exit();
	pg_leave_flushed(pg_flush_is_plain());
}

/* Must a rule look at what is written to FD? */
static PG_COLD bool is_ruled(int fd)
{
	pg_passed_stdio(fd);
	return pg_fd_ruled(fd, PG_STDIO_BIT) && pg_apply_asks(fd, PG_STDIO_BIT);
}

/* A dprintf's write. Its frame, which no compiler may leave out, is no wrapper's: so the signal
 * gate goes by the mark. */
static __attribute__((noinline)) ssize_t write_behind(FILE *f, const void *data, ssize_t n)
{
	ssize_t done = next_write(f, data, n);

	__asm__ volatile("" : "+r"(done));
	return done;
}

static PG_STDIO_CODE ssize_t gate_write(FILE *f, const void *data, ssize_t n)
{
	struct pg_op op; /* no more than its mark */
	ssize_t done;

	if (within_dprintf(f))
		return write_behind(f, data, n);
	if (PG_UNLIKELY(pg_front.ruled & PG_STDIO_BIT) && is_ruled(f->_fileno)) {
		done = write_ruled(f, data, n, PG_CALLER);
	} else {
		if (PG_MARKS)
			pg_mark_as(&op, PG_MARK(PG_CALL_write, f->_fileno, PG_MARK_STDIO),
				   PG_RETURN);
		done = next_write(f, data, n);
		if (done > 0)
			pg_fd_sent(f->_fileno, (uint64_t)done);
		if (done != n || pg_watch_all)
			odd(f, n, done, PG_CALLER, PG_CFA);
		if (PG_MARKS)
			pg_unmark(&op);
	}
	if (PG_UNLIKELY(f == pg_last_to_flush))
		flushed();
	return done;
}

static int64_t from_slot(struct pg_op *op, void *f)
{
	return next_read(f, (void *)(uintptr_t)op->data, (ssize_t)op->len);
}

static PG_COLD ssize_t read_ruled(FILE *f, void *data, ssize_t n, uintptr_t caller)
{
	const struct pg_op asked = asked_of(PG_CALL_read, PG_BIT(PG_CALL_read), f, data, n, caller);
	struct pg_op op = asked;
	int64_t got = pg_perform(&op, from_slot, f);

	return (ssize_t)(got > 0 ? got : pg_guard_in(&asked, got));
}

static PG_COLD ssize_t ended(FILE *f, void *data, ssize_t n, ssize_t got, uintptr_t caller)
{
	const struct pg_op asked = asked_of(PG_CALL_read, 0, f, data, n, caller);

	if (got > 0) {
		pg_fd_was_read(asked.fd);
		return got;
	}
	if (PG_UNLIKELY(pg_front.ruled & PG_BIT(PG_CALL_read)) && got < 0)
		pg_apply_refused(asked.fd, PG_BIT(PG_CALL_read), errno);
	return (ssize_t)pg_guard_in(&asked, got);
}

/* What fread and getline read. */
static ssize_t gate_read(FILE *f, void *data, ssize_t n)
{
	ssize_t got;

	if (PG_UNLIKELY(pg_front.ruled & PG_BIT(PG_CALL_read)) &&
	    pg_fd_ruled(f->_fileno, PG_BIT(PG_CALL_read)) &&
	    pg_apply_asks(f->_fileno, PG_BIT(PG_CALL_read)))
		return read_ruled(f, data, n, PG_CALLER);
	got = next_read(f, data, n);
	return PG_LIKELY(got > PG_GET(pg_read_odd)) ? got : ended(f, data, n, got, PG_CALLER);
}

/* fclose, and pclose, reach no close() that could be interposed. */
static int gate_close(FILE *f)
{
	struct pg_leaving l;
	bool leaves;
	int ret;

	pg_guard_close(f->_fileno);
	leaves = pg_lets_go(&l, f->_fileno, "fclose", 0);
	pg_fd_closed(f->_fileno);
	ret = next_close(f);
	if (PG_UNLIKELY(leaves))
		pg_leaving_end(&l, true);
	return ret;
}

static int gate_proc_close(FILE *f)
{
	struct pg_leaving l;

	if (pg_lets_go(&l, f->_fileno, "pclose", 0)) /* it waits for the process, who may write */
		pg_leaving_replace(&l);
	pg_fd_closed(f->_fileno);
	return next_proc_close(f);
}

/* A slot's old value, and ours. */
struct exchange {
	void *old, *ours;
	int found;
};

enum { SLOTS = 4 };

static PG_COLD void exchange_slot(void **slot, struct exchange e[SLOTS])
{
	for (int i = 0; i < SLOTS; i++) {
		if (*slot != e[i].old)
			continue;
		*slot = e[i].ours;
		e[i].found++;
		return;
	}
}

/* Replaces every pointer from LO to HI that is one of the old ones. Most are of other functions. */
static void replace(uintptr_t lo, uintptr_t hi, struct exchange e[SLOTS])
{
	uintptr_t least = (uintptr_t)e[0].old, most = least, span;

	for (int i = 1; i < SLOTS; i++) {
		uintptr_t old = e[i].old ? (uintptr_t)e[i].old : least;

		least = old < least ? old : least;
		most = old > most ? old : most;
	}
	span = most - least;
	for (void **slot = (void **)lo; slot < (void **)hi; slot++)
		if (PG_UNLIKELY((uintptr_t)*slot - least <= span))
			exchange_slot(slot, e);
}

/* The part of libc's read-only data around the tables that may be searched. */
static bool tables(uintptr_t *lo, uintptr_t *hi)
{
	uintptr_t jumps = (uintptr_t)pg_dl_default("_IO_file_jumps");
	struct pg_module room;
	const struct pg_module *libc = jumps ? pg_module_alone(jumps, &room) : NULL;

	if (!libc || jumps < libc->relro.lo || jumps >= libc->relro.hi)
		return false;
	*lo = jumps - REACH > libc->relro.lo ? jumps - REACH : libc->relro.lo;
	*hi = jumps + REACH < libc->relro.hi ? jumps + REACH : libc->relro.hi;
	*lo &= ~(sizeof(void *) - 1);
	*hi &= ~(sizeof(void *) - 1);
	return true;
}

bool pg_stdio_start(void)
{
	struct exchange e[SLOTS] = {
		{pg_dl_default("_IO_file_write"), (void *)gate_write, 0},
		{pg_dl_default("_IO_file_read"), (void *)gate_read, 0},
		{pg_dl_default("_IO_file_close"), (void *)gate_close, 0},
		{pg_dl_default("_IO_proc_close"), (void *)gate_proc_close, 0},
	};
	uintptr_t lo, hi, page;

	if (!e[0].old || !tables(&lo, &hi))
		return false;
	page = lo & ~(pg_auxval(AT_PAGESZ) - 1);
	next_write = (write_slot *)e[0].old;
	next_read = (read_slot *)e[1].old;
	next_close = (close_slot *)e[2].old;
	next_proc_close = (close_slot *)e[3].old;
	if (pg_sys3(SYS_mprotect, page, hi - page, PROT_READ | PROT_WRITE))
		return false;
	replace(lo, hi, e);
	pg_flush_start(lo, hi);
	pg_sys3(SYS_mprotect, page, hi - page, PROT_READ);
	return e[0].found > 0;
}

#else

bool pg_stdio_start(void)
{
	return false;
}

#endif
