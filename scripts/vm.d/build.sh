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
    has_musl || own_glibc_serves "$@" || {
        why_not="Rust's target for musl is missing; to type: rustup target add $musl"
        return 1
    }
}

# own_glibc_serves RELEASE...: whether what is linked with the glibc of this machine runs in all of these Debians.
own_glibc_serves() {
    local release glibc oldest=''
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
# shellcheck disable=SC2154 # those who source this set root and target
hide_paths() {
    local flags="${RUSTFLAGS:-}" separator=$'\x1f'
    flags=${flags:+${flags// /$separator}$separator}
    flags+=--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo$separator--remap-path-prefix=$root=/inception-lab
    flags+=$separator--remap-path-prefix=$target/together=/inception-lab
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
        # Of a fixed address, since all that a static program has would be relocated at each start of it.
        CARGO_ENCODED_RUSTFLAGS+=$'\x1f-Crelocation-model=static'
    else
        cargo_options=() built=$target
    fi
}

# The one that stays a program of its own: each `run` copies its file into memory.
readonly alone=mini-container

# The tools that are handed out, a line each: all that the cargo here can build.
# shellcheck disable=SC2154 # project.sh sets it
handed_out_tools() {
    printf '%s\n' "${tools[@]}"
    ! has_newer_cargo || printf '%s\n' ns-map-live
}

# build_handed_out PROFILE OPTION...: builds all programs that are handed out, with these options of cargo, into the
# directory handed_out. Most are links to one file (scripts/deb.d/together).
# shellcheck disable=SC2154 # those who source this set them
build_handed_out() {
    local profile=$1 name names
    mapfile -t names < <(experiments | grep -vx "$alone" && handed_out_tools)
    "$root/scripts/deb.d/together" "$target/together" "${names[@]}" || return
    (
        cd "$target/together"
        exec nice cargo build --package together --package "$alone" --profile "$profile" \
            --target-dir "${built%/"$musl"}" "${@:2}"
    ) || return
    handed_out=$(handed_out_by "$profile")
    rm -rf "$handed_out"
    mkdir "$handed_out"
    ln "${handed_out%/*}/$alone" "$handed_out"
    for name in "${names[@]}"; do
        ln "${handed_out%/*}/together" "$handed_out/$name"
    done
}

# handed_out_by PROFILE: where they are, once built.
handed_out_by() {
    printf '%s/%s/handed-out\n' "$built" "${1/#dev/debug}"
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
