// The least that `mini-container run` could cost: the same system calls, in C, without a line of care. It makes the
// namespaces, maps the IDs, puts an overlay with /proc, /sys and /dev together, enters it, and becomes a program.
// Usage: floor ROOTFS PROGRAM
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int failed, const char *what)
{
	if (failed) {
		perror(what);
		_exit(125);
	}
}

static void map(pid_t child, const char *file, const char *text)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", child, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd < 0 || write(fd, text, strlen(text)) < 0, path);
	close(fd);
}

int main(int argc, char **argv)
{
	static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
	char text[64], from[64], to[64];
	int gate[2];
	if (argc != 3)
		return 2;
	must(pipe2(gate, O_CLOEXEC), "pipe");
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWTIME,
		.exit_signal = SIGCHLD,
	};
	pid_t child = syscall(SYS_clone3, &args, sizeof args);
	must(child < 0, "clone3");
	if (child) {
		int status;
		map(child, "setgroups", "deny");
		snprintf(text, sizeof text, "0 %d 1", geteuid());
		map(child, "uid_map", text);
		snprintf(text, sizeof text, "0 %d 1", getegid());
		map(child, "gid_map", text);
		must(write(gate[1], ".", 1) != 1, "write");
		must(waitpid(child, &status, 0) < 0, "waitpid");
		return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
	}
	must(read(gate[0], text, 1) != 1, "read");
	must(unshare(CLONE_NEWCGROUP), "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
	must(sethostname("container", 9), "sethostname");
	int rootfs = open(argv[1], O_PATH | O_CLOEXEC);
	must(rootfs < 0, argv[1]);
	must(mount("none", "/tmp", "tmpfs", 0, "mode=755"), "tmpfs");
	must(chdir("/tmp"), "chdir");
	must(mkdir("lower", 0755) || mkdir("upper", 0755) || mkdir("work", 0755) || mkdir("root", 0755), "mkdir");
	snprintf(from, sizeof from, "/proc/self/fd/%d", rootfs);
	must(mount(from, "lower", NULL, MS_BIND, NULL), "bind");
	must(mount("none", "root", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work,userxattr"), "overlay");
	must(chdir("root"), "chdir");
	mkdir("proc", 0755);
	mkdir("sys", 0755);
	mkdir("dev", 0755);
	must(mount("none", "proc", "proc", 0, NULL), "proc");
	must(mount("none", "sys", "sysfs", MS_RDONLY, NULL), "sysfs");
	must(mount("none", "dev", "tmpfs", 0, "mode=755"), "dev");
	for (unsigned at = 0; at < sizeof devices / sizeof *devices; at++) {
		snprintf(from, sizeof from, "/dev/%s", devices[at]);
		snprintf(to, sizeof to, "dev/%s", devices[at]);
		close(open(to, O_CREAT | O_CLOEXEC, 0644));
		must(mount(from, to, NULL, MS_BIND, NULL), from);
	}
	must(mkdir("dev/pts", 0755) || mkdir("dev/shm", 0755) || mkdir("dev/mqueue", 0755), "mkdir");
	must(mount("none", "dev/pts", "devpts", 0, "ptmxmode=0666"), "devpts");
	must(mount("none", "dev/shm", "tmpfs", 0, NULL), "shm");
	must(mount("none", "dev/mqueue", "mqueue", 0, NULL), "mqueue");
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH) || chdir("/"), "umount2");
	pid_t command = fork();
	must(command < 0, "fork");
	if (!command) {
		execl(argv[2], argv[2], NULL);
		must(1, argv[2]);
	}
	int status;
	must(waitpid(command, &status, 0) < 0, "waitpid");
	return WEXITSTATUS(status);
}
