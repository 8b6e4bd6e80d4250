# shellcheck shell=bash
# What every demo shares. A demo sources this file, calls `stage` with its question and its arguments, and is then a
# list of `say` and `try`. It ends with `finish`, which runs the experiment.

set -euo pipefail

demo=${0##*/}
# What was said since the last command, and the descriptor on which `inception walk` reads what comes.
said='' tell=''
afterwards=()
bold='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi

complain() {
    printf '%s: %s\n' "$demo" "$1" >&2
}

# `stage QUESTION ARGUMENT...` reads the demo's options, and makes sure that nothing is left after it.
stage() {
    local question=$1
    shift
    while (($#)); do
        case $1 in
        # How `inception walk` starts it, with a pipe as standard input: see wait_for_the_reader.
        --paced)
            if [[ ! ${2:-} =~ ^[0-9]+$ || ! -e /proc/$$/fd/$2 ]]; then
                complain "--paced is for inception walk; try --help"
                exit 2
            fi
            tell=$2
            shift
            ;;
        -h | --help)
            cat <<HELP
$demo: $question

Examples:
  demos/$demo    walk through it from top to bottom
  inception walk ${demo%.sh}   the same at your pace, one key a command

Usage: $demo

Each command is shown as you would type it, then run. The last one is the experiment, whose exit
status is the demo's. Nothing needs root, and nothing is left behind.
HELP
            exit 0
            ;;
        *)
            complain "unexpected argument '$1'; try --help"
            exit 2
            ;;
        esac
        shift
    done
    # A pipe to which nobody writes: reading it is a pause without a process more, which a demo about processes would
    # show. It is made before anything else, since it sets $!.
    exec {never}<> <(:)
    trap strike EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '%s%s%s\n' "$bold" "$question" "$plain"
}

# needs PROGRAM:PACKAGE...: ends the demo if a program that it uses is not there.
needs() {
    local need packages=()
    for need; do
        command -v "${need%%:*}" >/dev/null || packages+=("${need##*:}")
    done
    if ((${#packages[@]})); then
        complain "a program is missing; apt install $(printf '%s\n' "${packages[@]}" | sort -u | paste -sd ' ')"
        exit 77
    fi
}

# Ends the demo if the kernel refuses user namespaces, without which nearly every command here needs root.
needs_user_namespaces() {
    local why
    if ! why=$(unshare --user --map-root-user true 2>&1); then
        complain "the kernel refuses a user namespace ($why); 'inception doctor' says what to do"
        exit 77
    fi
}

# say TEXT: prose, wrapped anew wherever its lines end here.
say() {
    said+=$1$'\n'
    printf '\n'
    tr '\n' ' ' <<<"$1" | fold -s -w 78 | sed 's/ *$//'
    printf '\n'
}

# try COMMAND: shows a command at a prompt, then runs it in this shell, so that what it sets is there for the next.
try() {
    local status=0
    show "$1"
    eval "$1" </dev/null || status=$?
    if ((status != 0)); then
        printf '(exit status %s)\n' "$status"
    fi
}

# show COMMAND: at a prompt, as one would type it; the reader says when it is to be run.
show() {
    printf '\n%s$ %s%s\n' "$bold" "${1//$'\n'/$'\n'> }" "$plain"
    wait_for_the_reader "$1"
}

# wait_for_the_reader COMMAND: under `inception walk`, which has the keys, tells it what comes (what was said, and the
# command, each ended by NUL) and waits for a line. Its end is the end of the walkthrough.
wait_for_the_reader() {
    [[ -n $tell ]] || return 0
    printf '%s\0' "$said" "$1" >&"$tell"
    said=''
    read -r || exit 130
}

# settle COMMAND: asks until COMMAND succeeds, where a reader would have taken a moment between two commands anyway.
settle() {
    local until=$((SECONDS + 10))
    until eval "$1" >/dev/null 2>&1; do
        if ((SECONDS >= until)); then
            complain "gave up waiting for: $1"
            exit 2
        fi
        read -rt 0.01 -u "$never" || true
    done
}

# finish NAME: runs the experiment, and ends with its exit status.
finish() {
    local status=0 binary
    binary=$(experiment "$1") || exit 2
    say 'That was by hand. The experiment does it twice, as control and as treatment, and judges:'
    show "$1"
    "$binary" </dev/null || status=$?
    exit "$status"
}

# The newer one of our own builds, else the one that is installed.
experiment() {
    local root found=''
    local candidate
    root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
    for candidate in "${CARGO_TARGET_DIR:-$root/target}"/{debug,release}/"$1"; do
        if [[ -x $candidate && (-z $found || $candidate -nt $found) ]]; then
            found=$candidate
        fi
    done
    if [[ -z $found ]] && ! found=$(command -v "$1"); then
        complain "$1 is not built; run: cargo build -p $1"
        return 1
    fi
    printf '%s\n' "$found"
}

# afterwards COMMAND: what to do at the end, however that comes about; the last said is the first done.
afterwards() {
    afterwards=("$1" "${afterwards[@]}")
}

# Takes down what still runs: `unshare --kill-child` takes its namespace along.
strike() {
    local status=$? job command
    trap - EXIT
    # What is begun here is done, whoever is in a hurry.
    trap '' HUP INT PIPE TERM
    for command in "${afterwards[@]}"; do
        eval "$command" >/dev/null 2>&1 || true
    done
    for job in $(jobs -p); do
        # The shell would say of each that it was killed.
        disown "$job" 2>/dev/null || true
        # Not SIGTERM, which unshare ignores while it waits for a child.
        kill -KILL "$job" 2>/dev/null || true
    done
    exit "$status"
}
