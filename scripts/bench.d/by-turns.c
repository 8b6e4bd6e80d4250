// Times programs from execve(2) to their exit, by turns: one run of each, and again. What makes the machine slower for
// a while so makes all of them slower. Prints a line for each run: the row's number, nanoseconds from start to exit,
// microseconds of processor time (what waits for a processor does not count in there), exit status.
// At SIGTERM it ends after the run that is going on.
// Usage: by-turns ROUNDS PAUSE_MS NAMESPACE PROGRAM ARGUMENT... \; NAMESPACE PROGRAM...
// NAMESPACE is a file as /proc/PID/ns/mnt, in which the program is to be run, or - for ours.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void note(int signal)
{
	(void)signal;
	stop = 1;
}

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

// Everything before execve(2) is done before the clock starts: fork(2) costs what this process is, not what the row is.
static void run_once(int row, char **words)
{
	int ready[2], go[2], status;
	struct rusage used;
	char byte;
	must(pipe2(ready, O_CLOEXEC) || pipe2(go, O_CLOEXEC), "pipe");
	pid_t child = fork();
	must(child < 0, "fork");
	if (!child) {
		if (strcmp(words[0], "-") != 0) {
			int namespace = open(words[0], O_RDONLY | O_CLOEXEC);
			must(namespace < 0 || setns(namespace, CLONE_NEWNS), words[0]);
		}
		close(go[1]);
		dup2(2, 1);
		must(write(ready[1], ".", 1) != 1, "write");
		must(read(go[0], &byte, 1) != 1, "read");
		execvp(words[1], words + 1);
		must(1, words[1]);
	}
	close(go[0]);
	close(ready[1]);
	must(read(ready[0], &byte, 1) != 1, words[1]);
	long long start = now();
	must(write(go[1], ".", 1) != 1, "write");
	must(wait4(child, &status, 0, &used) < 0, "wait4");
	long long took = now() - start;
	long cpu = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
	printf("%d %lld %ld %d\n", row, took, cpu, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	close(go[1]);
	close(ready[0]);
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	int rounds = atoi(argv[1]), pause = atoi(argv[2]), rows = 0;
	char **row[64] = { &argv[3] };
	for (int at = 3; at < argc; at++) {
		if (strcmp(argv[at], ";") != 0)
			continue;
		argv[at] = NULL;
		if (++rows == 63)
			return 2;
		row[rows] = &argv[at + 1];
	}
	signal(SIGTERM, note); // calls go on after it (signal(7), SA_RESTART); execve(2) sets it back
	// The first round is to warm up, and is not told.
	for (int round = 0; round <= rounds; round++) {
		for (int at = 0; at < rows && !stop; at++) {
			fflush(stdout);
			usleep(pause * 1000);
			run_once(round ? at : -1, row[at]);
		}
	}
	return 0;
}
