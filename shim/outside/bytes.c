/* SPDX-License-Identifier: MIT */
#include "outside/bytes.h"

#include <sys/uio.h>

bool pg_bytes_read(int pid, uintptr_t address, void *to, size_t n)
{
	struct iovec mine = {to, n}, its = {(void *)address, n};

	return process_vm_readv(pid, &mine, 1, &its, 1, 0) == (ssize_t)n;
}

bool pg_bytes_write(int pid, uintptr_t address, const void *from, size_t n)
{
	struct iovec mine = {(void *)(uintptr_t)from, n}, its = {(void *)address, n};

	return process_vm_writev(pid, &mine, 1, &its, 1, 0) == (ssize_t)n;
}
