/* SPDX-License-Identifier: MIT */
/* Programs that are started from here: the calls are libc's own; where the library will not be in
 * the program, the log says so (reach.h). */
#include "base/next.h"
#include "base/twins.h"
#include "inside/reach.h"
#include "object/fd.h"
#include "object/leaving.h"
#include "rules/config.h"

#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The name that was left with what it reads from will be another program's, which may say nothing.
 */
static void takes_input_along(void)
{
	if (!pg_has_endings())
		return;
	pg_leaving_hold(PG_HOW_TOOK, 0);
	pg_endings_follow();
}

/* In a function of its own: none of it is on the stack that exec begins with. */
static __attribute__((noinline)) void becomes(int folder, const char *path, int flags,
					      char *const *env)
{
	struct pg_reach r = {.folder = folder, .path = path, .flags = flags, .env = env};

	takes_input_along();
	pg_reach_look(&r);
	if (r.barrier)
		pg_reach_log(&r, pg_pid());
}

static __attribute__((noinline)) void searches(const char *name, char *const *env)
{
	struct pg_reach r = {.env = env};

	takes_input_along();
	pg_reach_search(&r, name);
	if (r.barrier)
		pg_reach_log(&r, pg_pid());
}

PG_EXPORT int execve(const char *path, char *const *argv, char *const *env)
{
	becomes(AT_FDCWD, path, 0, env);
	return NEXT(execve)(path, argv, env);
}

PG_EXPORT int execv(const char *path, char *const *argv)
{
	becomes(AT_FDCWD, path, 0, pg_config_environment());
	return NEXT(execv)(path, argv);
}

PG_EXPORT int execvp(const char *name, char *const *argv)
{
	searches(name, pg_config_environment());
	return NEXT(execvp)(name, argv);
}

PG_EXPORT int execvpe(const char *name, char *const *argv, char *const *env)
{
	searches(name, env);
	return NEXT(execvpe)(name, argv, env);
}

PG_EXPORT int execveat(int folder, const char *path, char *const *argv, char *const *env, int flags)
{
	becomes(folder, path, flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW), env);
	return NEXT_SYS5(execveat, SYS_execveat, folder, path, argv, env, flags);
}

PG_EXPORT int fexecve(int fd, char *const *argv, char *const *env)
{
	becomes(fd, "", AT_EMPTY_PATH, env);
	return NEXT(fexecve)(fd, argv, env);
}

/* ---- arguments one by one ---- */

/* ARGV of those that stand from FIRST on, the null pointer too, on this stack: malloc may not be
 * called here. */
#define ARGUMENTS(argv, first, ap)                                                                 \
	do {                                                                                       \
		size_t n = 1;                                                                      \
                                                                                                   \
		va_start(ap, first);                                                               \
		for (const char *arg = first; arg; arg = va_arg(ap, char *))                       \
			n++;                                                                       \
		va_end(ap);                                                                        \
		argv = alloca(n * sizeof *argv);                                                   \
		va_start(ap, first);                                                               \
		argv[0] = (char *)(uintptr_t)(first);                                              \
		for (n = 0; argv[n]; n++)                                                          \
			argv[n + 1] = va_arg(ap, char *);                                          \
	} while (0)

PG_EXPORT int execl(const char *path, const char *first, ...)
{
	char **argv;
	va_list ap;

	ARGUMENTS(argv, first, ap); // NOLINT: clang-tidy 14 takes AP for empty
	va_end(ap);
	becomes(AT_FDCWD, path, 0, pg_config_environment());
	return NEXT(execv)(path, argv);
}

PG_EXPORT int execlp(const char *name, const char *first, ...)
{
	char **argv;
	va_list ap;

	ARGUMENTS(argv, first, ap); // NOLINT: clang-tidy 14 takes AP for empty
	va_end(ap);
	searches(name, pg_config_environment());
	return NEXT(execvp)(name, argv);
}

PG_EXPORT int execle(const char *path, const char *first, ...)
{
	char **argv, *const *env;
	va_list ap;

	ARGUMENTS(argv, first, ap); // NOLINT: clang-tidy 14 takes AP for empty
	env = va_arg(ap, char *const *);
	va_end(ap);
	becomes(AT_FDCWD, path, 0, env);
	return NEXT(execve)(path, argv, env);
}

/* ---- posix_spawn ---- */

/* R runs as CHILD, if RET is 0. What it has been given may not be known any more. */
static void spawned(const struct pg_reach *r, int ret, pid_t child)
{
	if (ret)
		return;
	if (r->barrier)
		pg_reach_log(r, child);
	if (!pg_has_endings())
		return;
	pg_endings_follow();
	if (!r->barrier && r->file[0])
		return;
	pg_fd_unread_ends();
	pg_leaving_lends(child);
}

PG_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *how, char *const *argv, char *const *env)
{
	struct pg_reach r = {
		.folder = AT_FDCWD, .path = path, .env = env, .moves = actions != NULL};
	pid_t child = 0;
	int ret;

	pg_reach_look(&r);
	ret = NEXT(posix_spawn)(pid ? pid : &child, path, actions, how, argv, env);
	spawned(&r, ret, pid ? *pid : child);
	return ret;
}

PG_EXPORT int posix_spawnp(pid_t *pid, const char *name, const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *how, char *const *argv, char *const *env)
{
	struct pg_reach r = {.env = env, .moves = actions != NULL};
	pid_t child = 0;
	int ret;

	pg_reach_search(&r, name);
	ret = NEXT(posix_spawnp)(pid ? pid : &child, name, actions, how, argv, env);
	spawned(&r, ret, pid ? *pid : child);
	return ret;
}

/* Since glibc 2.39; a program that finds none does without. */
int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *how, char *const *argv, char *const *env);
int pidfd_spawnp(int *pidfd, const char *name, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *how, char *const *argv, char *const *env);

static void spawned_with(const struct pg_reach *r, int ret, const int *pidfd)
{
	spawned(r, ret, !ret && r->barrier && pidfd ? pg_reach_process(*pidfd) : -1);
}

PG_EXPORT int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *how, char *const *argv, char *const *env)
{
	struct pg_reach r = {
		.folder = AT_FDCWD, .path = path, .env = env, .moves = actions != NULL};
	int ret;

	if (!NEXT(pidfd_spawn))
		return ENOSYS;
	pg_reach_look(&r);
	ret = NEXT(pidfd_spawn)(pidfd, path, actions, how, argv, env);
	spawned_with(&r, ret, pidfd);
	return ret;
}

PG_EXPORT int pidfd_spawnp(int *pidfd, const char *name, const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *how, char *const *argv, char *const *env)
{
	struct pg_reach r = {.env = env, .moves = actions != NULL};
	int ret;

	if (!NEXT(pidfd_spawnp))
		return ENOSYS;
	pg_reach_search(&r, name);
	ret = NEXT(pidfd_spawnp)(pidfd, name, actions, how, argv, env);
	spawned_with(&r, ret, pidfd);
	return ret;
}

/* ---- a shell ---- */

/* libc starts it by itself. What it starts then, its own copy of the library logs, if it has one.
 */
static void look_at_shell(struct pg_reach *r)
{
	*r = (struct pg_reach){
		.folder = AT_FDCWD, .path = "/bin/sh", .env = pg_config_environment()};
	pg_reach_look(r);
}

/* Logged before the call, with which it ends. */
PG_EXPORT int system(const char *command)
{
	struct pg_reach r;

	if (command) {
		look_at_shell(&r);
		spawned(&r, 0, -1);
	}
	return NEXT(system)(command);
}

PG_EXPORT FILE *popen(const char *command, const char *mode)
{
	struct pg_reach r;
	FILE *f;

	look_at_shell(&r);
	f = NEXT(popen)(command, mode);
	spawned(&r, !f, -1);
	return f;
}
