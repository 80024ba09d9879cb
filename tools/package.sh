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
    mkdir -p "$1" || return
    if [[ -e $hk_top/.git ]]; then
        git -C "$hk_top" ls-files -z | tar -C "$hk_top" -c --null --ignore-failed-read -T - | tar -x -C "$1"
    else
        tar -C "$hk_top" -c --exclude='./build*' . | tar -x -C "$1"
    fi
}

# Makes build-packages/, in which $1.log takes what the tools print, and says in a line what is done: $2.
hk_package_begin()
{
    hk_log=$hk_top/build-packages/$1.log
    if ! mkdir -p "$hk_top/build-packages" || ! : >"$hk_log"; then
        hk_die "cannot write in $hk_top/build-packages"
    fi
    hk_say "$2; the log is build-packages/$1.log"
}

# The packages of Debian, for this machine.
hk_package_deb()
{
    local hk_folder=$hk_top/build-packages/deb
    local -a hk_missing
    type -P dpkg-query >/dev/null || hk_die "package deb: this is no Debian"
    mapfile -t hk_missing < <(hk_missing_packages build-essential debhelper libzstd-dev meson pkg-config)
    hk_package_begin deb "builds the Debian packages${hk_missing[*]:+, after installing ${hk_missing[*]}}: a minute or two"
    [[ ${#hk_missing[@]} -eq 0 ]] || hk_install "${hk_missing[@]}" || hk_failed "installing ${hk_missing[*]} failed"
    rm -rf "$hk_folder"
    hk_noisily hk_copy_sources "$hk_folder/source" || hk_failed "copying the sources failed"
    (cd "$hk_folder/source" && hk_noisily dpkg-buildpackage -b -us -uc) || hk_failed "package deb failed"
    rm -rf "$hk_folder/source"
    (cd "$hk_top" && ls build-packages/deb/*.deb)
}

# The tarball of a release. Meson takes what is committed. (tests/named/tarball.py tests it.)
hk_package_tar()
{
    local hk_folder=$hk_top/build-packages/tar
    [[ -e $hk_top/.git ]] || hk_die "package tar: this is no checkout of git"
    hk_package_begin tar "packs the last commit"
    hk_install_build_needs git:git
    [[ -f $hk_folder/build.ninja ]] || hk_noisily meson setup "$hk_folder" "$hk_top" || hk_failed "package tar failed"
    hk_noisily meson dist -C "$hk_folder" --no-tests --allow-dirty --formats xztar || hk_failed "package tar failed"
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
