#!/usr/bin/env bash
# Who is root inside, and who decides? The walkthrough for docs/14-user-ns-map.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'Who is root inside, and who decides?' "$@"
needs unshare:util-linux setpriv:util-linux nsenter:util-linux hostname:hostname
needs_user_namespaces

# The question is an ordinary user's. Where root walks, each command becomes one: nobody has to be
# added for that.
by=''
if ((EUID == 0)); then
    say 'You are root, and root may do all of this anyway. So an ordinary user types the commands. Any
user ID will do:'
    try 'as="setpriv --reuid 64321 --regid 64321 --clear-groups"; $as id'
    by='$as '
    if ! why=$(eval "${by}unshare --user true" 2>&1); then
        complain "an ordinary user is refused ($why); 'inception doctor' says what to do"
        exit 77
    fi
fi

say 'A user namespace needs no privilege. In a new one no ID is mapped yet: every ID reads as
65534, often called nobody.'
try "${by}id -u; ${by}unshare --user id -u"

say 'The file uid_map says which ID is which. It is empty at first. A line has three numbers: the
first ID inside, the first outside, and how many. This process has no line yet:'
try "${by}unshare --user sleep 60 &"
settle '[[ $(readlink "/proc/$!/ns/user") != "$(readlink /proc/self/ns/user)" ]]'
try "cat /proc/\$!/uid_map; grep Uid /proc/\$!/status"

say 'Its creator may write a line, but not any line. A map of root inside to root outside fails with
EPERM:'
try "echo 0 0 1 | ${by}tee /proc/\$!/uid_map >/dev/null"
say 'The second number has to be your own ID. Then the same process is root inside, and still your
user outside:'
try "me=\$(${by}id -u)
echo 0 \$me 1 | ${by}tee /proc/\$!/uid_map >/dev/null; cat /proc/\$!/uid_map"
try "${by}nsenter --target \$! --user --preserve-credentials id -u; grep Uid /proc/\$!/status"
say 'A map is written once. The second write fails with EPERM:'
try "echo 0 \$me 1 | ${by}tee /proc/\$!/uid_map >/dev/null"

say 'Groups are mapped the same way, with one more step. A file can be open to all but one group, and
a member of that group could leave it by setgroups(2). So an unprivileged writer first writes deny
to the file setgroups.'
try "echo 0 \$me 1 | ${by}tee /proc/\$!/gid_map >/dev/null"
try "echo deny | ${by}tee /proc/\$!/setgroups >/dev/null
echo 0 \$me 1 | ${by}tee /proc/\$!/gid_map >/dev/null; cat /proc/\$!/gid_map"
try 'kill $!; wait $!'

say 'unshare does all of that with --map-root-user, or -r. What may this root do? For files, the ID
outside counts. What the namespaces outside own, it cannot change.'
try "${by}unshare -Ur sh -c 'id; cat /etc/shadow; hostname inside'"
say 'In a namespace that it creates itself, it can:'
try "${by}unshare -Ur --uts sh -c 'hostname inside; hostname'; hostname"

finish user-ns-map
