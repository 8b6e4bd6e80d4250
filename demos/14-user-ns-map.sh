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
    say 'You are root, who may do anything anyway. So let an ordinary user take your place. Any
number will do:'
    try 'as="setpriv --reuid 64321 --regid 64321 --clear-groups"; $as id'
    by='$as '
    if ! why=$(eval "${by}unshare --user true" 2>&1); then
        complain "an ordinary user is refused ($why); 'inception doctor' says what to do"
        exit 77
    fi
fi

say 'A user namespace needs no privilege. In a new one nobody is known yet: whoever comes in is
65534, called nobody.'
try "${by}id -u; ${by}unshare --user id -u"

say 'Who is who stands in a file, uid_map, which is empty still. The kernel takes a line of three
numbers: from which ID inside, from which outside, and how many. This process waits for one:'
try "${by}unshare --user sleep 60 &"
settle '[[ $(readlink "/proc/$!/ns/user") != "$(readlink /proc/self/ns/user)" ]]'
try "cat /proc/\$!/uid_map; grep Uid /proc/\$!/status"

say 'Whoever made it may write the line, but not any line. That root inside be root outside is
refused, as it should be:'
try "echo 0 0 1 | ${by}tee /proc/\$!/uid_map >/dev/null"
say 'Only one'\''s own ID may stand in the middle. With it the same process is root inside, and is
still who it was:'
try "me=\$(${by}id -u)
echo 0 \$me 1 | ${by}tee /proc/\$!/uid_map >/dev/null; cat /proc/\$!/uid_map"
try "${by}nsenter --target \$! --user --preserve-credentials id -u; grep Uid /proc/\$!/status"
say 'No second thoughts: a map is written once.'
try "echo 0 \$me 1 | ${by}tee /proc/\$!/uid_map >/dev/null"

say 'Groups are mapped the same way, with one step more. Whoever could drop a group might gain by
it, where a file says "all but this group". So an unprivileged writer first has to give up
setgroups(2) inside, for good.'
try "echo 0 \$me 1 | ${by}tee /proc/\$!/gid_map >/dev/null"
try "echo deny | ${by}tee /proc/\$!/setgroups >/dev/null
echo 0 \$me 1 | ${by}tee /proc/\$!/gid_map >/dev/null; cat /proc/\$!/gid_map"
try 'kill $!; wait $!'

say 'unshare does all of that with --map-root-user, or -r. What is this root worth? Files are still
judged by who one is outside; and what belongs to the namespaces outside is out of reach.'
try "${by}unshare -Ur sh -c 'id; cat /etc/shadow; hostname inside'"
say 'But of namespaces that it makes, it is the master.'
try "${by}unshare -Ur --uts sh -c 'hostname inside; hostname'; hostname"

finish user-ns-map
