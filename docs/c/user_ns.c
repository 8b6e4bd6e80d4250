// source code for `user_ns` binary
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (1024 * 1024)

void err_exit(char *errmsg) {
  if (errmsg) {
    write(STDERR_FILENO, errmsg, strlen(errmsg));
    write(STDERR_FILENO, "\n", 1);
  }
  exit(EXIT_FAILURE);
}

int child_fn(void *arg) {
  char *args[2];
  char path[20];
  int fd;

  if (mount("proc", "/proc", "proc", 0, "") == -1) err_exit("mount error");
  bzero(path, 20);
  sprintf(path, "/proc/%d/uid_map", getpid());
  fd = open(path, O_RDWR);
  if (fd < 0) err_exit("open error");
  if (write(fd, "0 1000 1\n", 14) != 14) err_exit("uid write error");
  close(fd);
  bzero(path, 20);
  sprintf(path, "/proc/%d/setgroups", getpid());
  fd = open(path, O_RDWR);
  if (fd < 0) err_exit("open error");
  if (write(fd, "deny\n", 5) != 5) err_exit("setgroups write error");
  close(fd);
  bzero(path, 20);
  sprintf(path, "/proc/%d/gid_map", getpid());
  fd = open(path, O_RDWR);
  if (fd < 0) err_exit("open error");
  if (write(fd, "0 1000 1\n", 14) != 14) err_exit("gid write error");
  close(fd);
  args[0] = "/bin/bash";
  args[1] = NULL;
  if (execvp("/bin/bash", args) == -1) err_exit("exec error");
  return EXIT_SUCCESS;
}

int main(void) {
  char *stack;
  char *stack_top;
  pid_t child_pid;

  stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) err_exit("mmap error");
  stack_top = stack + STACK_SIZE;
  child_pid = clone(child_fn, stack_top,
                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL);
  if (child_pid == -1) err_exit("clone error");
  if (waitpid(child_pid, NULL, 0) == -1) err_exit("waitpid error");
  printf("child has terminated\n");
  return EXIT_SUCCESS;
}
