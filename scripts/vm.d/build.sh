# shellcheck shell=bash
# What scripts/vm, scripts/test-vm and scripts/deb have in common: the image of a VM, what it takes to start one, and
# how programs for other machines are built. They are built without glibc, if Rust's target for musl is there. Otherwise
# they use the glibc of this machine, which a Debian has to have as new.

# Rust's target without glibc.
musl=$(uname -m)-unknown-linux-musl
readonly musl

has_musl() {
    [[ -d $(rustc --print sysroot)/lib/rustlib/$musl ]]
}

# can_build_for RELEASE...: whether programs that are built here run in all of these Debians (`any`: in every one). If
# not, why_not says what is missing.
# shellcheck disable=SC2034 # those who source this say it
can_build_for() {
    local release glibc oldest=''
    has_musl && return 0
    why_not="Rust's target for musl is missing; to type: rustup target add $musl"
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
    glibc=${glibc#glibc }
    for release; do
        case $release in
        12) oldest=2.36 ;;
        13) oldest=${oldest:-2.41} ;;
        esac
    done
    [[ -n $glibc && -n $oldest ]] && printf '%s\n' "$glibc" "$oldest" | sort -CV
}

# From here on cargo leaves out the paths of whoever built it.
# shellcheck disable=SC2154 # those who source this set root
hide_paths() {
    local flags="${RUSTFLAGS:-}" separator=$'\x1f'
    flags=${flags:+${flags// /$separator}$separator}
    flags+=--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo$separator--remap-path-prefix=$root=/inception-lab
    export CARGO_ENCODED_RUSTFLAGS=$flags
}

# cargo_for RELEASE...: sets cargo_options and built, the directory that cargo fills, for programs that run in all of
# these Debians. Fails, with a line that says what is missing.
# shellcheck disable=SC2034,SC2154 # those who source this use them, and set target
cargo_for() {
    can_build_for "$@" || {
        complain "$why_not"
        return 1
    }
    hide_paths
    if has_musl; then
        cargo_options=(--target "$musl") built=$target/$musl
    else
        cargo_options=() built=$target
    fi
}

# image_of RELEASE [PACKAGE,...]: the directory of the image that scripts/vm starts, named by the recipe.
# shellcheck disable=SC2154
image_of() {
    printf '%s/inception/vm-%s-%s%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}" "$1" \
        "$(sha256sum <"$root/scripts/vm.d/image" | cut -c1-16)" "${2:+,$2}"
}

# supply_vm DIRECTORY...: what it takes to start VMs with these images, and to make those that are not there.
supply_vm() {
    local needs=(qemu-system-x86_64:qemu-system-x86 mke2fs:e2fsprogs setpriv:util-linux) packages image
    for image; do
        [[ ! -e $image/disk ]] || continue
        needs+=(mmdebstrap:mmdebstrap)
        [[ $EUID == 0 ]] || needs+=(newuidmap:uidmap)
    done
    mapfile -t packages < <(missing "${needs[@]}")
    supply "${packages[@]}"
}
