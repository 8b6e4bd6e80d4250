# shellcheck shell=bash
# A Debian to throw away, for what installs and removes packages: its own root directory, and this machine's kernel.

# make_debian RELEASE: makes the Debian that all throw-away ones of that release begin as, once (half a minute).
# shellcheck disable=SC2154 # those who source this have project.sh, which sets script
make_debian() {
    local base suite as_root=()
    base=$(debian_of "$1")
    [[ $1 == 12 ]] && suite=bookworm || suite=trixie
    [[ $EUID == 0 ]] || as_root=(--user --map-root-user --map-auto)
    mkdir -p "${base%/*}"
    exec {turn}>"$base.lock"
    flock "$turn"
    if [[ ! -d $base ]]; then
        printf '%s: making a Debian %s, once: %s\n' "$script" "$1" "$base"
        rm -rf --one-file-system "$base.new"
        apt_as_here >"$base.apt"
        if ! unshare "${as_root[@]}" --mount --pid --fork --kill-child --mount-proc \
            mmdebstrap --quiet --mode=root --variant=apt --aptopt="$base.apt" "$suite" "$base.new" >"$base.log" 2>&1; then
            tail -n 5 "$base.log"
            return 1
        fi
        mkdir -p "$base.root" # where each throw-away one is mounted, unseen by others
        mv "$base.new" "$base"
    fi
    exec {turn}>&-
}

# debian_of RELEASE: where it is.
debian_of() {
    printf '%s/inception/debian-%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}" "$1"
}

# in_debian RELEASE DIRECTORY COMMAND...: runs a command as root of a throw-away Debian that sees DIRECTORY read-only
# as /given, and has the network of this machine. All that it changes is in memory, and gone with its mount namespace.
in_debian() {
    local base as_root=()
    base=$(debian_of "$1")
    [[ $EUID == 0 ]] || as_root=(--user --map-root-user --map-auto)
    unshare "${as_root[@]}" --mount --pid --ipc --uts --fork --kill-child --propagation private -- \
        bash -uc "$(declare -f enter_debian); enter_debian \"\$@\"" enter_debian "$base" "${@:2}"
}

# shellcheck disable=SC2317 # the shell in the new namespaces calls it
enter_debian() {
    set -e
    local base=$1 given=$2 work=$1.root
    shift 2
    mount -t tmpfs -o mode=755 none "$work"
    mkdir "$work"/{changes,overlay,root}
    mount -t overlay -o "lowerdir=$base,upperdir=$work/changes,workdir=$work/overlay" none "$work/root"
    cd "$work/root" || return
    mkdir given
    mount --bind "$given" given
    mount -o remount,bind,ro given
    mount --rbind /dev dev
    mount --rbind /sys sys
    mount -t proc proc proc
    mount -t tmpfs none run
    # A link to what is not there would be copied as such.
    cat /etc/resolv.conf >etc/resolv.conf.new
    mv etc/resolv.conf.new etc/resolv.conf
    # Whoever else this machine trusts; the package ca-certificates takes them in.
    mkdir -p usr/local/share/ca-certificates
    cp /usr/local/share/ca-certificates/*.crt usr/local/share/ca-certificates 2>/dev/null || true
    hostname debian
    # Not chroot: the kernel gives no user namespace to whoever is in one.
    pivot_root . mnt
    # What is needed to leave the old root for good may be nowhere but in it.
    /usr/sbin/chroot /mnt umount -l /
    cd /
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
        "$@"
}
