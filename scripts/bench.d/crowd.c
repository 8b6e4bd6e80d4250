// A crowd: COUNT processes that wait, every tenth in a UTS and an IPC namespace of its own. Each costs some 100 KiB.
// It prints a line when all are there, and they end with it: at end-of-file on its standard input.
// Build: cc -O2 -o crowd crowd.c
// Run:   crowd COUNT      (as root; for 10,000, /proc/sys/kernel/pid_max has to have room)
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0, ready[2];
	char byte;
	if (count < 1 || pipe(ready))
		return 2;
	for (int at = 0; at < count; at++) {
		pid_t child = fork();
		if (child < 0) {
			perror("fork");
			return 1;
		}
		if (child)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(0);
		close(ready[0]);
		if (at % 10 == 0 && unshare(CLONE_NEWUTS | CLONE_NEWIPC)) {
			perror("unshare");
			_exit(1);
		}
		byte = '.';
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	signal(SIGCHLD, SIG_IGN);
	for (int at = 0; at < count; at++) {
		if (read(ready[0], &byte, 1) != 1) {
			fprintf(stderr, "crowd: %d of %d came\n", at, count);
			return 1;
		}
	}
	printf("%d\n", count);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
