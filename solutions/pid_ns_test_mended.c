// pid_ns_test with its faults mended. What the printed program does and this one does not is in docs/c-programs.md.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// write(2) may be called from a handler, and what it is given is out at once (signal-safety(7)).
static void say(const char *text) {
    if (write(STDOUT_FILENO, text, strlen(text)) == -1)
        _exit(1);
}

static void handler(int signal) {
    if (signal == SIGINT)
        say("SIGINT RECEIVED\n");
    else if (signal == SIGQUIT)
        say("SIGQUIT RECEIVED\n");
}

static void fail(const char *call) {
    fprintf(stderr, "pid_ns_test: %s: %s\n", call, strerror(errno));
    _exit(1); // the child too comes here: exit(3) would write out what stdio holds a second time
}

int main(int argc, char **argv, char **envp) {
    if (argc != 2) {
        fprintf(stderr, "usage: unshare --pid --fork pid_ns_test PROGRAM\n");
        return 2;
    }
    if (getpid() != 1) {
        fprintf(stderr, "pid_ns_test: this is PID %d, and no init; start it by unshare --pid --fork\n", getpid());
        return 2;
    }
    // Before the name is set: then it is this namespace's name and not the machine's.
    if (unshare(CLONE_NEWUTS) == -1)
        fail("unshare(CLONE_NEWUTS)");
    if (sethostname("test", 4) == -1)
        fail("sethostname");
    say("init process PID : 1\n");
    signal(SIGINT, handler);
    signal(SIGQUIT, handler);
    char *args[] = {argv[1], NULL};
    pid_t pid = fork();
    if (pid == -1)
        fail("fork");
    if (pid == 0) {
        execve(argv[1], args, envp);
        fail(argv[1]);
    }
    // For every child, and so for the orphans that init adopts, until the shell has ended.
    int status;
    pid_t ended;
    while ((ended = wait(&status)) != pid)
        if (ended == -1 && errno != EINTR)
            fail("wait");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
