/* SPDX-License-Identifier: MIT */
#include "stdio_gate.h"

#include "apply.h"
#include "dl.h"
#include "elf.h"
#include "match.h"
#include "stack.h"

#include <stdio.h>
#include <sys/mman.h>

#ifdef __GLIBC__

/* _IO_ERR_SEEN of glibc's libio.h: ferror(). The real slot sets it; a rule that fails the write
 * must, too. */
enum { PG_IO_ERR_SEEN = 0x20 };

enum { REACH = 4096, PAGE = 4096 }; /* bytes each way; the tables span about 3 KiB */

typedef ssize_t write_slot(FILE *, const void *, ssize_t);
typedef ssize_t read_slot(FILE *, void *, ssize_t);
typedef int close_slot(FILE *);

static write_slot *next_write;
static read_slot *next_read;
static close_slot *next_close;

/* Is one of our dprintf wrappers at work around this? It tells the break itself. */
static bool within_dprintf(void)
{
	enum pg_call call = (enum pg_call)(pg_mark >> 32 & 0x3fff);

	return pg_mark & PG_MARK_SET && call >= PG_CALL_dprintf && call <= PG_CALL___vdprintf_chk;
}

/*
 * Under a rule. libio's contract (_IO_new_file_write): the bytes written;
 * fewer than N means an error, with errno set. So what a rule makes short is
 * not the end.
 */
static PG_STDIO_CODE ssize_t write_ruled(FILE *f, const char *data, ssize_t n)
{
	ssize_t total = 0, done;
	struct pg_op op;

	do {
		op = pg_enter((struct pg_op){.call = PG_CALL_write,
					     .via = PG_VIA_STDIO,
					     .fd = f->_fileno,
					     .len = n - total,
					     .shape = PG_BUF,
					     .data = data + total},
			      PG_MARK_STDIO, PG_CALLER);
		op = pg_apply_out(op, PG_STDIO_BIT, PG_CALLER);
		done = op.skip ? (ssize_t)op.result : next_write(f, data + total, (ssize_t)op.len);
		if (done > 0 && done < op.len && !op.skip)
			pg_fd_sent(op.fd, (uint64_t)done);
		if (op.midway)
			pg_apply_midway(&op, n - total, done, PG_CALLER);
		pg_leave(op, done < op.len ? -1 : done, PG_CALLER);
		pg_apply_written(&op, done);
		total += done > 0 ? done : 0;
	} while (done > 0 && total < n && (op.clamped || op.skip));
	if (total < n)
		f->_flags |= PG_IO_ERR_SEEN;
	return total;
}

static PG_STDIO_CODE ssize_t gate_write(FILE *f, const void *data, ssize_t n)
{
	struct pg_op op;
	ssize_t done;

	if (within_dprintf())
		return next_write(f, data, n);
	if (PG_UNLIKELY(pg_ruled & PG_STDIO_BIT) && pg_fd_ruled(f->_fileno, PG_STDIO_BIT) &&
	    pg_match_asks(f->_fileno, PG_STDIO_BIT))
		return write_ruled(f, data, n);
	op = (struct pg_op){.call = PG_CALL_write, .via = PG_VIA_STDIO, .fd = f->_fileno, .len = n};
	if (PG_MARKS)
		op = pg_enter(op, PG_MARK_STDIO, PG_CALLER);
	done = next_write(f, data, n);
	if (done > 0)
		pg_fd_sent(op.fd, (uint64_t)done);
	if (done != n || pg_watch_all)
		pg_guard_out(&op, done < n ? -1 : done, PG_CALLER);
	if (PG_MARKS)
		pg_mark = op.outer;
	return done;
}

static PG_COLD ssize_t read_ruled(FILE *f, void *data, ssize_t n)
{
	const struct pg_op asked = {.call = PG_CALL_read,
				    .via = PG_VIA_STDIO,
				    .fd = f->_fileno,
				    .len = n,
				    .shape = PG_BUF,
				    .data = data};
	struct pg_op op = pg_apply_in(asked, PG_BIT(PG_CALL_read), PG_CALLER);
	ssize_t got = op.skip ? (ssize_t)op.result : next_read(f, data, (ssize_t)op.len);

	if (got <= 0)
		got = (ssize_t)pg_guard_in(op.call, &asked, got, PG_CALLER);
	pg_apply_read(&op, got);
	return got;
}

/* What fread and getline read. */
static ssize_t gate_read(FILE *f, void *data, ssize_t n)
{
	if (PG_UNLIKELY(pg_ruled & PG_BIT(PG_CALL_read)) &&
	    pg_fd_ruled(f->_fileno, PG_BIT(PG_CALL_read)) &&
	    pg_match_asks(f->_fileno, PG_BIT(PG_CALL_read)))
		return read_ruled(f, data, n);
	return PG_IN(read, next_read(f, data, n), f->_fileno, n);
}

/* fclose reaches no close() that could be interposed. */
static int gate_close(FILE *f)
{
	pg_fd_closed(f->_fileno);
	return next_close(f);
}

/* A slot's old value, and ours. */
struct exchange {
	void *old, *ours;
	int found;
};

enum { SLOTS = 3 };

/* Replaces every pointer from LO to HI that is one of the old ones. */
static void replace(uintptr_t lo, uintptr_t hi, struct exchange e[SLOTS])
{
	void *const a = e[0].old, *const b = e[1].old, *const c = e[2].old;

	for (void **slot = (void **)lo; slot < (void **)hi; slot++) {
		if (*slot != a && *slot != b && *slot != c)
			continue;
		for (int i = 0; *slot && i < SLOTS; i++)
			if (*slot == e[i].old)
				*slot = e[i].ours, e[i].found++;
	}
}

/* The part of libc's read-only data around the tables that may be searched. */
static bool tables(uintptr_t *lo, uintptr_t *hi)
{
	uintptr_t jumps = (uintptr_t)dlsym(RTLD_DEFAULT, "_IO_file_jumps");
	struct pg_module libc;

	if (!jumps || !pg_elf_module(jumps, &libc) || jumps < libc.relro_lo ||
	    jumps >= libc.relro_hi)
		return false;
	*lo = jumps - REACH > libc.relro_lo ? jumps - REACH : libc.relro_lo;
	*hi = jumps + REACH < libc.relro_hi ? jumps + REACH : libc.relro_hi;
	*lo &= ~(sizeof(void *) - 1);
	*hi &= ~(sizeof(void *) - 1);
	return true;
}

bool pg_stdio_start(void)
{
	struct exchange e[SLOTS] = {
		{dlsym(RTLD_DEFAULT, "_IO_file_write"), (void *)gate_write, 0},
		{dlsym(RTLD_DEFAULT, "_IO_file_read"), (void *)gate_read, 0},
		{dlsym(RTLD_DEFAULT, "_IO_file_close"), (void *)gate_close, 0},
	};
	uintptr_t lo, hi, page;

	dlerror();
	if (!e[0].old || !tables(&lo, &hi))
		return false;
	page = lo & ~(uintptr_t)(PAGE - 1);
	next_write = (write_slot *)e[0].old;
	next_read = (read_slot *)e[1].old;
	next_close = (close_slot *)e[2].old;
	if (pg_sys3(SYS_mprotect, page, hi - page, PROT_READ | PROT_WRITE))
		return false;
	replace(lo, hi, e);
	pg_sys3(SYS_mprotect, page, hi - page, PROT_READ);
	return e[0].found > 0;
}

#else

bool pg_stdio_start(void)
{
	return false;
}

#endif
