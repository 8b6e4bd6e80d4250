// The least that a process in a cgroup of its own could cost: mkdir(2), clone3(2) with CLONE_INTO_CGROUP, waitid(2) and
// rmdir(2), without a line of care. Prints the nanoseconds of each round.
// Build: cc -O2 -o cgroup-birth cgroup-birth.c
// Run:   cgroup-birth DIRECTORY ROUNDS      (DIRECTORY: a cgroup v2 that the caller may write to)
// Ours:  cargo build --release -p ns-core --example cgroup-birth; target/release/examples/cgroup-birth ROUNDS
// By turns, some rounds of each and again: compare the medians of all lines.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(int failed, const char *what)
{
	if (failed) {
		perror(what);
		_exit(125);
	}
}

static long long now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

int main(int argc, char **argv)
{
	char path[4096];
	if (argc != 3)
		return 2;
	snprintf(path, sizeof path, "%s/cgroup-birth-%d", argv[1], getpid());
	int rounds = atoi(argv[2]);
	long long *took = calloc(rounds, sizeof *took);
	must(!took, "calloc");
	for (int round = 0; round < rounds; round++) {
		long long start = now();
		must(mkdir(path, 0755), path);
		int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		must(cgroup < 0, path);
		struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = cgroup };
		pid_t child = syscall(SYS_clone3, &args, sizeof args);
		must(child < 0, "clone3");
		if (!child)
			_exit(0);
		must(waitpid(child, NULL, 0) < 0, "waitpid");
		close(cgroup);
		must(rmdir(path), path);
		took[round] = now() - start;
	}
	for (int round = 0; round < rounds; round++)
		printf("%lld\n", took[round]);
	return 0;
}
