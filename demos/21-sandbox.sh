#!/usr/bin/env bash
# What is refused, though the namespaces allow it? The walkthrough for docs/21-sandbox.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What is refused, though the namespaces allow it?' "$@"
needs unshare:util-linux setpriv:util-linux mount:mount hostname:hostname /usr/sbin/setcap:libcap2-bin perl:perl-base
needs_user_namespaces

# No shell command makes these calls, so perl makes them by their numbers.
case $(uname -m) in
x86_64) prctl=157 seccomp=317 getpgid=121 ;;
aarch64 | riscv64) prctl=167 seccomp=277 getpgid=155 ;;
*)
    complain "the numbers of system calls on $(uname -m) are not known here"
    exit 77
    ;;
esac

# Nearly all of it is for an ordinary user. Where root walks, each command becomes one.
by=''
if ((EUID == 0)); then
    say 'You are root. Most of this is for who is not, so let an ordinary user take your place:'
    try 'as="setpriv --reuid 64321 --regid 64321 --clear-groups"; $as id -u'
    by='$as '
    if ! why=$(eval "${by}unshare --user --map-root-user true" 2>&1); then
        complain "an ordinary user is refused ($why); 'inception doctor' says what to do"
        exit 77
    fi
fi

say 'Programs can give privileges to who executes them: sudo gives the user 0, and ping may give CAP_NET_RAW. A copy of
grep gets that capability here, and reads its own. Then the same with no_new_privs:'
try "${by}unshare -Urm sh -c 'mount -t tmpfs none /mnt; cp /usr/bin/grep /mnt; /usr/sbin/setcap cap_net_raw=ep /mnt/grep
  setpriv --securebits=+noroot setpriv /mnt/grep CapEff /proc/self/status
  setpriv --securebits=+noroot setpriv --no-new-privs /mnt/grep CapEff /proc/self/status'"
say 'no_new_privs is one bit. Every child inherits it, execve(2) keeps it, and nobody can clear it. perl calls prctl(2) by
its number, to set it and to clear it:'
try "${by}setpriv --no-new-privs sh -c 'grep NoNewPrivs /proc/self/status'"
try "${by}perl -e 'print syscall($prctl, 38, 1, 0, 0, 0), \"\\n\"; print syscall($prctl, 38, 0, 0, 0, 0), \" \$!\\n\"'"

say 'A mount can be restricted too, whatever the modes of the files on it. With noexec nothing is executed:'
try "${by}unshare -Urm sh -c 'mount -t tmpfs -o noexec none /mnt; cp /usr/bin/true /mnt; ls -l /mnt/true; /mnt/true'"

say 'Root of a user namespace has every capability in it, until it drops some. A capability that leaves the bounding set
does not come back by execve(2), and the namespaces that one owns do not help:'
try "${by}unshare -Ur --uts --mount sh -c 'hostname lab; hostname; setpriv --bounding-set=-sys_admin hostname other
  setpriv --bounding-set=-sys_admin mount -t tmpfs none /mnt'"

say 'seccomp does not look at namespaces: it looks at the number of the system call. Strict mode allows read(2), write(2),
_exit(2) and sigreturn(2) alone. getppid(2) is another, so SIGKILL ends the process: status 137.'
try "${by}perl -e 'syscall($prctl, 22, 1); getppid(); print \"never\\n\"'; echo \$?"
say "A filter is a program that the kernel runs before each call. This one has four instructions: load the number; is it
$getpgid, which is getpgid(2)? then EPERM; else allow. Without no_new_privs the kernel takes it from nobody who lacks
CAP_SYS_ADMIN:"
try "${by}perl -e '
  \$filter = pack(\"(SCCL)*\", 0x20,0,0,0, 0x15,0,1,$getpgid, 6,0,0,0x50001, 6,0,0,0x7fff0000); \$program = pack(\"Sx6P\", 4, \$filter);
  print \"install: \", syscall($seccomp, 1, 0, \$program), \" \$!\\n\";
  print \"no_new_privs: \", syscall($prctl, 38, 1, 0, 0, 0), \"\\n\";
  print \"install: \", syscall($seccomp, 1, 0, \$program), \"\\n\";
  print \"getpgid: \", syscall($getpgid, 0), \" \$!\\n\";
  open STATUS, \"/proc/self/status\"; print grep /Seccomp/, <STATUS>'"

if perl -e 'exit(syscall(444, 0, 0, 1) < 1)'; then
    say 'Landlock looks at files. Any process may make a ruleset and restrict itself to it. This one refuses reading (4),
and has no rule that allows any. /etc/passwd is readable to all, but not here:'
    try "${by}perl -e '
  \$refuse = pack(\"Q\", 4); \$ruleset = syscall(444, \$refuse, 8, 0);
  syscall($prctl, 38, 1, 0, 0, 0); print \"restrict: \", syscall(446, \$ruleset, 0), \"\\n\";
  open PASSWD, \"/etc/passwd\" or print \"open: \$!\\n\"'; head -c 20 /etc/passwd; echo"
fi

say 'Container engines cover files of /proc, by a mount of /dev/null. Who is root in a user namespace inside cannot take
the cover away. umount(2) gives EINVAL:'
try "${by}unshare -Urm sh -c 'mount --bind /dev/null /proc/version; wc -c /proc/version; unshare -Urm umount /proc/version'"
say 'Nor mount a procfs of his own, which would show what is covered. The second line has no cover:'
try "${by}unshare -Urm sh -c 'mount --bind /dev/null /proc/version; unshare -Urmpf mount -t proc proc /mnt'"
try "${by}unshare -Urm sh -c 'unshare -Urmpf mount -t proc proc /mnt; echo \$?'"

finish sandbox
