/* SPDX-License-Identifier: MIT */
#include "inside/flush.h"

#include "base/dl.h"
#include "base/peek.h"

#include <stdio.h>

PG_START_DATA const void *pg_last_to_flush;

#ifdef __GLIBC__

/* The head of libc's list of all FILEs (GLIBC_2.2.5), and where their tables are. */
struct _IO_FILE_plus;
static PG_START_DATA struct _IO_FILE_plus **all_files;
static PG_START_DATA uintptr_t tables_lo, tables_hi;

/* The start of <wchar.h>'s half of a FILE (libio.h, _IO_wide_data). */
struct wide {
	wchar_t *read[3], *write_base, *write_ptr;
};

/* A FILE, and behind it the table of its kind (libioP.h, _IO_FILE_plus). */
struct file {
	FILE f;
	uintptr_t table;
};

enum { FILES_MAX = 10000 };

static bool is_plain(const struct file *file)
{
	return file->table >= tables_lo && file->table < tables_hi;
}

/* Will exit() write what waits in F, through our gate? */
static bool waits(const struct file *file)
{
	const FILE *f = &file->f;
	struct wide wide;

	if (!is_plain(file))
		return false;
	if (f->_mode <= 0)
		return f->_IO_write_ptr > f->_IO_write_base;
	return pg_take_kept(&wide, f->_wide_data, sizeof wide) && wide.write_ptr > wide.write_base;
}

bool pg_flush_waits(void)
{
	struct file file;
	FILE *f = all_files ? (FILE *)*all_files : NULL;

	pg_last_to_flush = NULL;
	for (int i = 0; f && i < FILES_MAX && pg_take_kept(&file, f, sizeof file); i++) {
		if (waits(&file))
			pg_last_to_flush = f;
		f = file.f._chain;
	}
	return pg_last_to_flush;
}

bool pg_flush_is_plain(void)
{
	struct file file;
	FILE *f = all_files ? (FILE *)*all_files : NULL;

	for (int i = 0; f && i < FILES_MAX; i++) {
		if (!pg_take_kept(&file, f, sizeof file) || !is_plain(&file))
			return false;
		f = file.f._chain;
	}
	return all_files && !f;
}

void pg_flush_start(uintptr_t lo, uintptr_t hi)
{
	all_files = (struct _IO_FILE_plus **)pg_dl_default("_IO_list_all");
	tables_lo = lo;
	tables_hi = hi;
}

#else

bool pg_flush_waits(void)
{
	return false;
}

bool pg_flush_is_plain(void)
{
	return false;
}

#endif
