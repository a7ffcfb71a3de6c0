/* SPDX-License-Identifier: MIT */
/* races [ROUNDS]: linked with the library's own objects, all under the thread sanitizer. Eight
 * threads break pipes and sockets, are broken by rules, change SIGPIPE's disposition, and use the
 * same numbers again. Prints how many of its writes got EPIPE. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 8 };

static int rounds;
static int total;
static struct sockaddr_in server;

static int broken_by(ssize_t ret)
{
	return ret < 0 && errno == EPIPE;
}

/* A pipe or a socket whose other end is gone. */
static int round_of_pipes(int n)
{
	int p[2], count = 0;

	if (n & 1 ? socketpair(AF_UNIX, SOCK_STREAM, 0, p) : pipe(p))
		return 0;
	close(p[0]);
	for (int i = 0; i < 3; i++)
		count += broken_by(write(p[1], "abc", 3));
	if (n & 1)
		count += broken_by(send(p[1], "abc", 3, n & 2 ? MSG_NOSIGNAL : 0));
	if (n & 4)
		dup2(p[1], 900 + n % 8), close(900 + n % 8);
	close(p[1]);
	return count;
}

/* A connection that rules reset, and count. */
static int round_of_connections(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), count;
	char c;

	if (connect(fd, (struct sockaddr *)&server, sizeof server)) {
		close(fd);
		return 0;
	}
	count = broken_by(send(fd, "x", 1, 0));
	count += broken_by(send(fd, "x", 1, 0));
	recv(fd, &c, 1, MSG_DONTWAIT);
	close(fd);
	return count;
}

static void caught(int sig)
{
	(void)sig;
}

static void *thread(void *arg)
{
	long me = (long)arg;
	int count = 0;

	for (int i = 0; i < rounds; i++) {
		count += round_of_pipes(i + (int)me);
		count += round_of_connections();
		if (me == 0)
			signal(SIGPIPE, i & 1 ? SIG_IGN : caught);
	}
	__atomic_fetch_add(&total, count, __ATOMIC_RELAXED);
	return NULL;
}

static void *accept_all(void *arg)
{
	int listener = (int)(long)arg;

	for (;;)
		close(accept(listener, NULL, NULL));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS], acceptor;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof server;

	rounds = argc > 1 ? atoi(argv[1]) : 100;
	signal(SIGPIPE, SIG_IGN);
	server.sin_family = AF_INET;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&server, sizeof server) || listen(listener, 100) ||
	    getsockname(listener, (struct sockaddr *)&server, &len))
		return 2;
	pthread_create(&acceptor, NULL, accept_all, (void *)(long)listener);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, thread, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	printf("%d broken\n", total);
	return total == 0;
}
