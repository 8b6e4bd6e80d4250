// user_ns with its faults mended. What the printed program does and this one does not is in docs/c-programs.md.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (1024 * 1024)

// What the child has to know of outside: inside, nobody has a number before the maps are written.
struct outside {
  uid_t uid;
  gid_t gid;
  int parent_lives[2];
};

static void fail(const char *call) {
  fprintf(stderr, "user_ns: %s: %s\n", call, strerror(errno));
  exit(EXIT_FAILURE);
}

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) fail(path);
  if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) fail(path);
  close(fd);
}

static void write_map(const char *path, unsigned id) {
  char line[32];
  snprintf(line, sizeof line, "0 %u 1\n", id);
  write_file(path, line);
}

// To die with the parent. It may have died before the signal was asked for: then nobody holds the pipe open any more.
// getppid() could not tell, which is 0 in a new PID namespace.
static void die_with_parent(int pipe[2]) {
  struct pollfd end = {.fd = pipe[0], .events = POLLIN};
  close(pipe[1]);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) fail("prctl");
  if (poll(&end, 1, 0) != 0) exit(EXIT_FAILURE);
  close(pipe[0]);
}

static int child_fn(void *arg) {
  struct outside *outside = arg;
  char *args[] = {"/bin/bash", NULL};

  die_with_parent(outside->parent_lives);
  write_map("/proc/self/uid_map", outside->uid);
  write_file("/proc/self/setgroups", "deny\n");
  write_map("/proc/self/gid_map", outside->gid);
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "") == -1) fail("mount");
  execv("/bin/bash", args);
  fail("/bin/bash");
  return EXIT_FAILURE;
}

int main(void) {
  struct outside outside = {.uid = geteuid(), .gid = getegid()};
  char *stack;
  pid_t child_pid;
  int status;

  if (pipe(outside.parent_lives) == -1) fail("pipe");
  stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) fail("mmap");
  child_pid = clone(child_fn, stack + STACK_SIZE,
                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, &outside);
  if (child_pid == -1) fail("clone");
  close(outside.parent_lives[0]);
  if (waitpid(child_pid, &status, 0) == -1) fail("waitpid");
  printf("child has terminated\n");
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
