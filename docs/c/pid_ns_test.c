#include <unistd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <stdio.h>

void    handler(int signal) {
    if (signal == SIGINT)
        printf("SIGINT RECEIVED\n");
    else if (signal == SIGQUIT)
        printf("SIGQUIT RECEIVED\n");
}

int main(int argc, char **argv, char **envp) {
    if (argc == 1) {
        write(STDERR_FILENO, "Wrong args\n", 11);
        return 1;
    }
    if (sethostname("test", 4) == -1)
        write(STDERR_FILENO, "Failed to set hostname\n", 23);
    printf("init process PID : %d\n", getpid());
    signal(SIGINT, handler);
    signal(SIGQUIT, handler);
    char **args = calloc(2, sizeof(char *));
    args[0] = argv[1];
    pid_t pid = fork();
    if (!pid && execve(argv[1], args, envp) == -1) {
        write(STDERR_FILENO, "Failed to execute shell\n", 24);
        return 1;
    }
    waitpid(pid, NULL, 0);
    return 0;
}
