# shellcheck shell=bash
# How programs are built that run on other machines than this: without glibc, if Rust's target for musl is there, and
# otherwise with the glibc of this machine, which a Debian has to have as new.

# cargo_for RELEASE...: sets cargo_options and built, the directory that cargo fills, for programs that run in all of
# these Debians (`any`: in every one). Fails, with a line that says what is missing.
# shellcheck disable=SC2034,SC2154 # those who source this use them, and set target
cargo_for() {
    local release glibc oldest='' musl
    musl=$(uname -m)-unknown-linux-musl
    # The paths of whoever built it are nobody's affair.
    local flags="${RUSTFLAGS:-}" separator=$'\x1f'
    flags=${flags:+${flags// /$separator}$separator}
    flags+=--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo$separator--remap-path-prefix=$root=/inception-lab
    export CARGO_ENCODED_RUSTFLAGS=$flags
    cargo_options=(--target "$musl") built=$target/$musl
    if [[ -d $(rustc --print sysroot)/lib/rustlib/$musl ]]; then
        return 0
    fi
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
    glibc=${glibc#glibc }
    for release; do
        case $release in
        12) oldest=2.36 ;;
        13) oldest=${oldest:-2.41} ;;
        esac
    done
    if [[ -z $glibc || -z $oldest ]] || ! printf '%s\n' "$glibc" "$oldest" | sort -CV; then
        complain "Rust's target for musl is missing; to type: rustup target add $musl$([[ $1 != any ]] || printf ', or scripts/deb --glibc')"
        return 1
    fi
    cargo_options=() built=$target
}
