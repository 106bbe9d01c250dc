# Upgrades the host's packages and leaves its guests alone. Run as root by sh or bash.
# Input: `plan` or `upgrade`, then the packages that stay as they are, a line each.
# Output, a line each: `package NAME`, `obstacle WHAT`, `restart`. With an obstacle nothing is upgraded.
set -u
LC_ALL=C
export LC_ALL
here=${0%/*}
read -r mode || exit 1
exclude=$(cat)
exec </dev/null

apt() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get --quiet --yes -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 \
    -o Dir::Etc::preferences="$here/preferences" "$@"
}
# New packages only where an upgrade needs them, such as the next kernel; none is removed.
apt_upgrade() { apt "$@" upgrade --with-new-pkgs --no-remove; }

# What is excluded has no version that may be installed; what the administrator prefers stays preferred.
apt_preferences() {
  if [ -e /etc/apt/preferences ]; then cat /etc/apt/preferences && echo; fi
  printf '%s\n' "$exclude" | while read -r name; do
    if [ -n "$name" ]; then printf 'Package: %s\nPin: release *\nPin-Priority: -1\n\n' "$name"; fi
  done
}

each_excluded() { # OPTION: it, once for each excluded package, a line each
  printf '%s\n' "$exclude" | while read -r name; do
    if [ -n "$name" ]; then printf '%s=%s\n' "$1" "$name"; fi
  done
}

dnf_with() { # ARGUMENT...
  each_excluded --exclude | xargs dnf --assumeyes --quiet "$@"
}

refresh() {
  if command -v apt-get >/dev/null; then
    apt_preferences >"$here/preferences" && apt -o APT::Update::Error-Mode=any update
  elif command -v dnf >/dev/null; then
    dnf --quiet makecache
  elif command -v zypper >/dev/null; then
    zypper --non-interactive refresh
  else
    echo 'no package manager that is known: apt, dnf or zypper' >&2
    return 1
  fi
}

packages() { # what would be upgraded, a line each
  if command -v apt-get >/dev/null; then
    apt_upgrade --simulate | sed -n 's/^Inst \([^ ]*\).*/\1/p'
  elif command -v dnf >/dev/null; then
    # It exits with 100 where there is something to upgrade.
    dnf_with check-update | sed -n 's/^\([^ ]*\)\.[^ .]* .*/\1/p'
  else
    zypper --non-interactive --quiet list-updates | sed -n 's/^v *|[^|]*| *\([^ |]*\).*/\1/p'
  fi
}

upgrade() {
  if command -v apt-get >/dev/null; then
    apt_upgrade
  elif command -v dnf >/dev/null; then
    dnf_with upgrade
  else
    zypper --non-interactive update
  fi
}

guests() { # the processes of libvirt's guests
  for file in /run/libvirt/qemu/*.pid; do
    if [ -e "$file" ]; then cat "$file" && echo; fi
  done
}

obstacles() {
  if command -v dpkg >/dev/null && [ -n "$(dpkg --audit)" ]; then
    echo 'obstacle the last run of dpkg was interrupted: run dpkg --configure -a on the host'
  fi
  if command -v zypper >/dev/null && [ -n "$exclude" ]; then
    echo 'obstacle zypper leaves no packages out: lock them with zypper addlock and exclude none'
  fi
  # An upgraded daemon is restarted; systemd then ends what is in its control group, unless it is told not to.
  for daemon in libvirtd virtqemud; do
    if [ "$(systemctl show --property=KillMode --value "$daemon.service")" = process ]; then continue; fi
    for guest in $(guests); do
      if grep -q "/$daemon\.service" "/proc/$guest/cgroup" 2>/dev/null; then
        echo "obstacle guests would end with $daemon: set KillMode=process in its unit, or stop the guests"
        break
      fi
    done
  done
}

refresh >"$here/log" 2>&1 || { tail -c 3000 "$here/log" >&2; exit 20; }
found=$(obstacles)
list=$(packages 2>"$here/log") || { tail -c 3000 "$here/log" >&2; exit 21; }
if [ -n "$list" ]; then printf '%s\n' "$list" | sort -u | sed 's/^/package /'; fi
if [ -n "$found" ]; then printf '%s\n' "$found"; exit 0; fi
if [ "$mode" = upgrade ] && [ -n "$list" ]; then
  before=$(guests)
  upgrade >"$here/log" 2>&1 || { tail -c 3000 "$here/log" >&2; exit 22; }
  for guest in $before; do
    if [ ! -e "/proc/$guest" ]; then echo "the guest with process $guest has ended during the upgrade" >&2; exit 23; fi
  done
fi
if [ -e /run/reboot-required ] || printf '%s\n' "$list" | grep -qE '^(linux-image|kernel)'; then echo restart; fi
