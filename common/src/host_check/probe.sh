# Prints what there is to know about this host before it becomes a KVM host, as key=value lines. Changes nothing.
#
# POSIX sh, read from standard input or evaluated; takes no input. `gantry-agent check` runs it here, onboarding runs
# it over SSH. facts.rs reads the lines: a key that one of the two lacks is an error there. The last line proves that
# nothing was cut off.
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset IFS

has() { command -v "$1" >/dev/null 2>&1; }
exists() { [ -e "$1" ]; } # exists GLOB...: a glob without a match stays as it is and names nothing
flag() { if "$@"; then echo yes; else echo no; fi; }
text() { tr -d '\000-\037\177' | cut -c1-200; }
os_release() { sed -n "s/^$1=//p" /etc/os-release /usr/lib/os-release 2>/dev/null | sed 1q | tr -d "\"'" | text; }
version() { sed -n 's/^[^0-9]*\([0-9][0-9]*\.[0-9][0-9.]*\).*/\1/p' | sed 1q; }

system() {
  echo "uid=$(id -u)"
  echo "clock=$(date +%s)"
  echo "hostname=$(text </proc/sys/kernel/hostname)"
  echo "architecture=$(uname -m)"
  echo "kernel=$(uname -r | text)"
  echo "os_id=$(os_release ID)"
  echo "os_version=$(os_release VERSION_ID)"
  echo "os_name=$(os_release PRETTY_NAME)"
  if [ -d /run/systemd/system ]; then
    echo "systemd=$(systemctl --version | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p')"
  else
    echo 'systemd='
  fi
}

processor() {
  echo "cpu_count=$(getconf _NPROCESSORS_ONLN)"
  echo "cpu_virtualisation=$(grep -m1 -owE 'vmx|svm' /proc/cpuinfo | sed 1q)"
  echo "memory_kib=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
  echo "kvm_device=$(flag test -c /dev/kvm)"
  echo "kvm_access=$(kvm_access)"
  echo "iommu_groups=$(find /sys/kernel/iommu_groups -mindepth 1 -maxdepth 1 2>/dev/null | wc -l | tr -d ' ')"
}

feature() { # NAME SYMBOL: a kernel without modules shows a built-in feature only by its symbols
  modules=/lib/modules/$(uname -r)
  if [ -d "/sys/module/$1" ] || grep -qs "/$1\.ko" "$modules/modules.builtin"; then state=present
  elif grep -qs "/$1\.ko" "$modules/modules.dep"; then state=loadable
  elif [ -e "$modules/modules.dep" ]; then state=missing
  elif grep -qsw "$2" /proc/kallsyms; then state=present
  else state=unknown
  fi
  echo "feature_$1=$state"
}

qemu_conf() { # NAME: a setting of libvirt's; a number may have a plus sign
  sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*\"+\{0,1\}\([^\"]*\)\".*/\1/p" /etc/libvirt/qemu.conf 2>/dev/null | sed 1q
}

# Whether the user whose QEMU runs guests may use /dev/kvm. Only root can try, and only once libvirt has made the user.
kvm_access() {
  [ -c /dev/kvm ] && [ "$(id -u)" = 0 ] || return 0
  user=$(qemu_conf user | text)
  for name in libvirt-qemu qemu; do
    if [ -z "$user" ] && id "$name" >/dev/null 2>&1; then user=$name; fi
  done
  group=$(qemu_conf group | text)
  [ -n "$user" ] && group=${group:-$(id -g "$user" 2>/dev/null)} && [ -n "$group" ] || return 0
  as_qemu() { setpriv --reuid="$user" --regid="$group" --init-groups "$@" 2>/dev/null; }
  if as_qemu true; then echo "$user $(flag as_qemu sh -c '[ -r /dev/kvm ] && [ -w /dev/kvm ]')"; fi
}

kernel_features() {
  feature bridge br_add_bridge
  feature veth veth_setup
  feature tun tun_chr_open
  feature nf_tables nf_tables_newtable
}

libvirt() {
  for daemon in libvirtd virtqemud; do
    if has "$daemon"; then echo "libvirt_daemon=$daemon $("$daemon" --version 2>/dev/null | version)"; fi
  done
  if [ -d /run/systemd/system ]; then
    systemctl show --property=Id,LoadState,ActiveState,UnitFileState \
      libvirtd.socket libvirtd.service virtqemud.socket virtqemud.service 2>/dev/null |
      awk -F= '
        function flush() { if (load == "loaded") print "libvirt_unit=" id " " active " " (file == "" ? "-" : file); load = "" }
        $1 == "Id" { id = $2 } $1 == "LoadState" { load = $2 } $1 == "ActiveState" { active = $2 }
        $1 == "UnitFileState" { file = $2 } NF == 0 { flush() } END { flush() }'
  fi
  echo "libvirt_socket=$(flag exists /run/libvirt/libvirt-sock)"
  echo "virtqemud_socket=$(flag exists /run/libvirt/virtqemud-sock)"
}

programs() {
  qemu=
  for path in "/usr/bin/qemu-system-$(uname -m)" /usr/bin/qemu-kvm /usr/libexec/qemu-kvm; do
    if [ -z "$qemu" ] && [ -x "$path" ]; then qemu=$path; fi
  done
  echo "qemu=${qemu:+$qemu $("$qemu" --version 2>/dev/null | version)}"
  echo "qemu_img=$(flag has qemu-img)"
  echo "dnsmasq=$(flag has dnsmasq)"
  echo "nft=$(flag has nft)"
  echo "firmware=$(flag firmware)"
}

firmware() {
  for path in /usr/share/OVMF/OVMF_CODE*.fd /usr/share/edk2/*/*CODE*.fd /usr/share/AAVMF/AAVMF_CODE*.fd \
    /usr/share/qemu/ovmf-*-code.bin /usr/share/qemu/aavmf-*-code.bin /usr/share/edk2/ovmf/OVMF_CODE*; do
    if exists "$path"; then return 0; fi
  done
  return 1
}

repositories() { # DIRECTORY: how many repositories its files switch on
  cat "$1"/*.repo 2>/dev/null | awk '
    /^\[/ { if (open && on) n++; open = 1; on = 1 } /^enabled *= *(0|no|false)/ { on = 0 } END { if (open && on) n++; print n + 0 }'
}

# Asking the package manager takes longer than all the rest together, so it is asked only when something is missing.
packages() {
  if has apt-get; then manager=apt; elif has dnf; then manager=dnf; elif has zypper; then manager=zypper; else manager=; fi
  echo "package_manager=$manager"
  if { has libvirtd || has virtqemud; } && [ -n "$qemu" ] && has qemu-img && has dnsmasq && has nft && firmware; then
    return
  fi
  case $manager in
    apt)
      echo "package_sources=$(apt-get update --print-uris 2>/dev/null | wc -l | tr -d ' ')"
      apt-cache policy libvirt-daemon-system qemu-system-x86 qemu-system-arm qemu-utils ovmf qemu-efi-aarch64 \
        dnsmasq-base nftables 2>/dev/null |
        awk '/^[^ ].*:$/ { name = substr($1, 1, length($1) - 1) }
          $1 == "Candidate:" && $2 != "(none)" { print "package=" name }'
      ;;
    dnf)
      echo "package_sources=$(repositories /etc/yum.repos.d)"
      dnf -q --cacheonly repoquery --queryformat 'package=%{name}\n' libvirt-daemon-kvm qemu-kvm qemu-img edk2-ovmf \
        edk2-aarch64 dnsmasq nftables 2>/dev/null | sort -u
      ;;
    zypper)
      echo "package_sources=$(repositories /etc/zypp/repos.d)"
      zypper --quiet --non-interactive --no-refresh search --match-exact libvirt-daemon-qemu qemu-x86 qemu-arm \
        qemu-tools qemu-ovmf-x86_64 qemu-uefi-aarch64 dnsmasq nftables 2>/dev/null |
        awk -F'|' 'NR > 2 && $2 ~ /[a-z]/ { gsub(/ /, "", $2); print "package=" $2 }' | sort -u
      ;;
    *) echo 'package_sources=0' ;;
  esac
}

disks() {
  for path in / /usr/local /var /etc; do
    [ -d "$path" ] || continue
    bytes=$(df -Pk "$path" | awk 'END { printf "%.0f", $4 * 1024 }')
    inodes=$(df -Pi "$path" | awk 'END { print ($2 + 0 == 0) ? "-" : $4 }') # btrfs has none to run out of
    echo "disk=$path $bytes $inodes $(flag test -w "$path")"
  done
}

network() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { n = split($2, a, ":"); print "listen=" a[n] }' | sort -u
  if has ip; then
    ip -o addr show scope global 2>/dev/null | awk '{ sub(/\/.*/, "", $4); print "address=" $4 }' | sort -u
  fi
}

setting() { # NAME: a uuid in the agent's configuration
  sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*\"\([0-9a-f]*\)\".*/\1/p" /etc/gantry/agent.toml 2>/dev/null | sed 1q
}

agent() {
  if [ -f /usr/local/bin/gantry-agent ]; then
    echo "agent_digest=$(sha256sum /usr/local/bin/gantry-agent | cut -d' ' -f1)"
  else
    echo 'agent_digest='
  fi
  echo "agent_configured=$(flag exists /etc/gantry/agent.toml)"
  echo "node_uuid=$(setting node_uuid)"
  echo "host_uuid=$(setting host_uuid)"
  state=
  if [ -d /run/systemd/system ]; then
    state=$(systemctl show --property=ActiveState gantry-agent.service 2>/dev/null | sed -n 's/^ActiveState=//p')
  fi
  echo "agent_service=$state"
}

{
  system
  processor
  kernel_features
  libvirt
  programs
  packages
  disks
  network
  agent
  echo 'end=gantry-probe'
} </dev/null
