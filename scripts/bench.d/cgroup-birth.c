// The least that a process in a cgroup of its own could cost: mkdir(2), clone3(2) with CLONE_INTO_CGROUP, waitid(2) and
// rmdir(2), without a line of care. With `careful` it keeps what ns-core promises: see there. Prints the nanoseconds of
// each round.
// Build: cc -O2 -o cgroup-birth cgroup-birth.c
// Run:   cgroup-birth DIRECTORY [careful] ROUNDS     (DIRECTORY: a cgroup v2 that the caller may write to)
// Ours:  cargo build --release -p ns-core --example cgroup-birth; target/release/examples/cgroup-birth ROUNDS
// By turns, some rounds of each and again: compare the medians of all lines.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
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

static pid_t create_in(int cgroup, int *pidfd)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = cgroup };
	if (pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (unsigned long)pidfd;
	}
	pid_t child = syscall(SYS_clone3, &args, sizeof args);
	must(child < 0, "clone3");
	return child;
}

static void plain(const char *path)
{
	must(mkdir(path, 0755), path);
	int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(cgroup < 0, path);
	pid_t child = create_in(cgroup, NULL);
	if (!child)
		_exit(0);
	must(waitpid(child, NULL, 0) < 0, "waitpid");
	close(cgroup);
	must(rmdir(path), path);
}

// A cleanup worker, as ns-core has one: what it reads, it would remove if we were killed.
static int start_worker(void)
{
	int orders[2];
	must(pipe2(orders, O_CLOEXEC), "pipe2");
	pid_t worker = fork();
	must(worker < 0, "fork");
	if (!worker) {
		char order[4096];
		close(orders[1]);
		while (read(orders[0], order, sizeof order) > 0)
			;
		_exit(0);
	}
	close(orders[0]);
	return orders[1];
}

static void tell(int worker, const char *kind, const char *path)
{
	char order[4200];
	int length = snprintf(order, sizeof order, "%s %s\n", kind, path);
	must(write(worker, order, length) != length, "write(worker)");
}

// The child has no handler of ours, dies with its parent, and says so before it is used.
static void begin(int armed, int checkpoint)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	for (int number = 1; number < 32; number++)
		if (number != SIGKILL && number != SIGSTOP)
			sigaction(number, &standard, NULL);
	must(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
	struct pollfd parent = { .fd = checkpoint };
	must(poll(&parent, 1, 0) != 0, "poll");
	must(write(armed, "armed\n", 6) != 6, "write(armed)");
	_exit(0);
}

// The worker knows of the cgroup before there is one. It is opened without a symlink on the way, known to be a cgroup, and
// locked. The child is known by a pidfd, and waited for with a deadline.
static void careful(int worker, int parent, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	tell(worker, "cgroup", path);
	must(mkdirat(parent, name, 0755), path);
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	int cgroup = syscall(SYS_openat2, parent, name, &how, sizeof how);
	must(cgroup < 0, path);
	struct statfs filesystem;
	must(fstatfs(cgroup, &filesystem), "fstatfs");
	must(flock(cgroup, LOCK_EX | LOCK_NB), "flock");
	int reports[2], checkpoint[2], pidfd;
	must(pipe2(reports, O_CLOEXEC) || pipe2(checkpoint, O_CLOEXEC), "pipe2");
	pid_t child = create_in(cgroup, &pidfd);
	if (!child) {
		close(reports[0]);
		close(checkpoint[1]);
		begin(reports[1], checkpoint[0]);
	}
	close(reports[1]);
	close(checkpoint[0]);
	struct pollfd events[2] = { { .fd = reports[0], .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
	char report[64];
	must(poll(events, 2, 10000) <= 0, "poll");
	must(read(reports[0], report, sizeof report) <= 0, "read(armed)");
	must(poll(events + 1, 1, 10000) <= 0, "poll(pidfd)");
	siginfo_t ended;
	must(waitid(P_PIDFD, pidfd, &ended, WEXITED), "waitid");
	must(unlinkat(parent, name, AT_REMOVEDIR), path);
	tell(worker, "forget", path);
	close(cgroup);
	close(pidfd);
	close(reports[0]);
	close(checkpoint[1]);
}

int main(int argc, char **argv)
{
	char path[4096];
	int is_careful = argc == 4 && !strcmp(argv[2], "careful");
	if (argc != 3 && !is_careful)
		return 2;
	snprintf(path, sizeof path, "%s/cgroup-birth-%d", argv[1], getpid());
	int rounds = atoi(argv[argc - 1]), parent = -1, worker = -1;
	long long *took = calloc(rounds, sizeof *took);
	must(!took, "calloc");
	if (is_careful) {
		parent = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
		must(parent < 0, argv[1]);
		worker = start_worker();
	}
	for (int round = 0; round < rounds; round++) {
		long long start = now();
		if (is_careful)
			careful(worker, parent, path);
		else
			plain(path);
		took[round] = now() - start;
	}
	for (int round = 0; round < rounds; round++)
		printf("%lld\n", took[round]);
	return 0;
}
