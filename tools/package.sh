# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# `./hakmem package`: makes packages of the checkout in build-packages/. Sourced by hakmem, whose functions it uses.

hk_package_help()
{
    cat <<'END'
usage: ./hakmem package deb     libhakmem0, libhakmem-dev and hakmem, as Debian packages
       ./hakmem package tar     a tarball of the last commit, which builds and tests alone

The results lie in build-packages/; what the tools print goes to a log beside them.
END
}

# Copies the files that git knows, as they are now, to the folder $1; in a tarball all files.
hk_copy_sources()
{
    mkdir -p "$1" && cd "$hk_top" || return
    if [[ -e .git ]]; then
        git ls-files -z | xargs -0 ls -d 2>/dev/null | tar -c -T - | tar -x -C "$1"
    else
        tar -c --exclude='./build*' . | tar -x -C "$1"
    fi
}

# The packages of Debian, for this machine.
hk_package_deb()
{
    local hk_folder=$hk_top/build-packages/deb hk_log=$hk_top/build-packages/deb.log
    type -P dpkg-query >/dev/null || hk_die "package deb: this is no Debian"
    local -a hk_missing
    mapfile -t hk_missing < <(hk_missing_packages build-essential debhelper meson)
    [[ ${#hk_missing[@]} -eq 0 ]] || hk_install "${hk_missing[@]}" || exit 125
    hk_say "building the Debian packages: a minute or two; the log is build-packages/deb.log"
    rm -rf "$hk_folder"
    mkdir -p "$hk_folder" || exit 125
    if ! (hk_copy_sources "$hk_folder/source" && cd "$hk_folder/source" && dpkg-buildpackage -b -us -uc) >"$hk_log" 2>&1; then
        tail -n 20 "$hk_log" >&2
        hk_die "package deb failed; all of it is in $hk_log"
    fi
    rm -rf "$hk_folder/source"
    (cd "$hk_top" && ls build-packages/deb/*.deb)
}

# The tarball of a release. Meson takes what is committed.
hk_package_tar()
{
    local hk_folder=$hk_top/build-packages/tar hk_log=$hk_top/build-packages/tar.log
    [[ -e $hk_top/.git ]] || hk_die "package tar: this is no checkout of git"
    hk_install_build_needs git:git
    mkdir -p "$hk_folder" || exit 125
    if ! {
        { [[ -f $hk_folder/build.ninja ]] || meson setup "$hk_folder" "$hk_top"; } &&
            meson dist -C "$hk_folder" --no-tests --allow-dirty --formats xztar # tests/named/tarball.py tests it
    } </dev/null >"$hk_log" 2>&1; then
        tail -n 20 "$hk_log" >&2
        hk_die "package tar failed; all of it is in $hk_log"
    fi
    (cd "$hk_top" && ls build-packages/tar/meson-dist/*.tar.xz)
}

hk_package()
{
    case ${1:-} in
    deb | tar) hk_alone "hk_package_$1" ;;
    --help | -h) hk_package_help ;;
    *) hk_package_help >&2 && exit 125 ;;
    esac
}
