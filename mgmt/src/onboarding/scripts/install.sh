# Installs packages and sees to it that libvirt runs and comes back after a reboot. Evaluated as root by a POSIX sh.
# Input, one value a line: the package manager, the packages with spaces between them (may be empty).
set -u
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
trap '' HUP PIPE # a package manager that is interrupted leaves broken packages behind

read -r manager && read -r packages || exit 1
exec </dev/null
changed=no
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

apt() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get --quiet --yes -o DPkg::Lock::Timeout=120 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 "$@"
}
# Nothing is removed to make room for another version: that is the administrator's decision.
apt_install() { apt "$@" install --no-install-recommends --no-remove $packages; }
apt_update() { apt -o APT::Update::Error-Mode=any update; }

install() {
  case $manager in
    apt)
      if [ -n "$(dpkg --audit)" ]; then dpkg --configure -a || return 1; fi
      if apt_install --simulate >/dev/null 2>&1 && apt_install; then return 0; fi
      apt_update && apt_install # what is known of the sources may be too old, or nothing
      ;;
    dnf) dnf --assumeyes --quiet --setopt=install_weak_deps=False install $packages ;;
    zypper) zypper --non-interactive install --no-recommends $packages ;;
    *) echo "no package manager named '$manager'"; return 1 ;;
  esac
}

any() { # VERB DAEMON: whether it holds for one of the daemon's units
  for kind in socket service; do
    if systemctl --quiet "$1" "$2.$kind" 2>/dev/null; then return 0; fi
  done
  return 1
}

libvirt_daemon() { # the one that runs, else is enabled, else is installed
  for verb in is-active is-enabled; do
    for daemon in virtqemud libvirtd; do
      if any $verb $daemon; then echo $daemon; return; fi
    done
  done
  for daemon in virtqemud libvirtd; do
    if command -v $daemon >/dev/null; then echo $daemon; return; fi
  done
}

start_libvirt() {
  daemon=$(libvirt_daemon)
  [ -n "$daemon" ] || { echo 'no libvirt daemon is installed'; return 1; }
  if ! any is-enabled "$daemon"; then
    changed=yes
    systemctl enable "$daemon.socket" || systemctl enable "$daemon.service" || return 1
  fi
  if ! any is-active "$daemon"; then
    changed=yes
    systemctl start "$daemon.socket" || systemctl start "$daemon.service" || return 1
  fi
}

if [ -n "$packages" ]; then
  changed=yes
  install >"$log" 2>&1 || { tail -c 3000 "$log" >&2; exit 20; }
fi
start_libvirt >"$log" 2>&1 || { tail -c 3000 "$log" >&2; exit 21; }
echo result=$changed
