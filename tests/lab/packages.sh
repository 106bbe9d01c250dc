#!/usr/bin/env bash
# Installs the Debian packages that one part of the project needs; does nothing when they are all there.
#
#   packages.sh build    compile Gantry and link it against libvirt
#   packages.sh lab      run the container hosts and build the guest disk (tests/lab)
#   packages.sh fuzz     judge and fuzz the API's document
#   packages.sh browser  open the console's page in a browser, as one test does
#   packages.sh demo     run Gantry and real guests on this machine itself
#
# Several modes may be named at once. Needs root and Debian 12.
set -euo pipefail

build=(build-essential pkg-config libvirt-dev cmake)
lab=(mmdebstrap systemd-container sshpass openssh-client iproute2 iputils-ping nftables curl util-linux
  mtools dosfstools e2fsprogs fdisk kmod syslinux syslinux-common isolinux xorriso cpio lz4 qemu-utils python3-venv shellcheck)
demo=(libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils ovmf dnsmasq-base nftables iproute2 curl jq)

browser=(chromium)
fuzz=(python3 python3-venv iproute2 curl jq)

usage() { sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }

installed() { # NAME -> its installed version, or nothing
  dpkg-query --show --showformat='${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p' || true
}

missing() { # NAME... -> those not installed
  local name
  for name in "$@"; do [ -n "$(installed "$name")" ] || echo "$name"; done
}

candidate() { # NAME -> the newest version the configured sources offer, whatever is installed
  apt-cache madison "$1" | cut -d'|' -f2 | tr -d ' ' | sort -V | tail -1
}

apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"; }

[ $# -gt 0 ] || usage
wanted=()
for mode in "$@"; do
  case $mode in
    build) wanted+=("${build[@]}") ;;
    lab) wanted+=("${lab[@]}") ;;
    browser) wanted+=("${browser[@]}") ;;
    fuzz) wanted+=("${fuzz[@]}") ;;
    demo) wanted+=("${demo[@]}") ;;
    *) usage ;;
  esac
done

mapfile -t absent < <(missing "${wanted[@]}" | sort -u)
[ ${#absent[@]} -eq 0 ] && exit 0
[ "$(id -u)" = 0 ] || { echo "packages.sh: must be root to install: ${absent[*]}" >&2; exit 1; }

exec 9>/run/lock/gantry-packages.lock
flock 9
mapfile -t absent < <(missing "${wanted[@]}" | sort -u)
[ ${#absent[@]} -eq 0 ] && exit 0

echo "packages.sh: installing ${absent[*]}" >&2
apt update

# QEMU's packages break one another across versions, and a machine may carry a backported qemu-utils whose emulator
# it does not offer. Asking for one version of both keeps apt from removing either.
if [[ " ${absent[*]} " == *" qemu-system-x86 "* ]]; then
  version=$(candidate qemu-system-x86)
  for name in qemu-utils qemu-block-extra; do
    have=$(installed "$name")
    [ -z "$have" ] || [ "$have" = "$version" ] || absent+=("$name=$version")
  done
fi

apt install --yes --no-install-recommends --allow-downgrades "${absent[@]}" >/dev/null
