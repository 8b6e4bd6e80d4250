# shellcheck shell=bash
# What is built here runs in a Debian whose glibc is as new as this one, or newer. Otherwise it is built without glibc.

# cargo_for RELEASE...: sets cargo_options and built, the directory that cargo fills, for programs that run in all of
# these. Fails, with a line that says what is missing.
# shellcheck disable=SC2034,SC2154 # those who source this use them, and set target
cargo_for() {
    local release glibc oldest=2.41 # Debian 13's
    readonly musl=x86_64-unknown-linux-musl
    for release; do
        [[ $release != 12 ]] || oldest=2.36
    done
    cargo_options=() built=$target
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
    glibc=${glibc#glibc }
    if [[ -n $glibc ]] && printf '%s\n' "$glibc" "$oldest" | sort -CV; then
        return 0
    fi
    cargo_options=(--target "$musl") built=$target/$musl
    if [[ ! -d $(rustc --print sysroot)/lib/rustlib/$musl ]]; then
        complain "glibc ${glibc:-of another kind} here is newer than Debian $1's; to type: rustup target add $musl"
        return 1
    fi
}
