# Where the agent's files belong on a host, and how they come and go. deploy.sh, commit.sh and withdraw.sh follow this
# text, which is evaluated as root by a POSIX sh; they read their input from standard input, one value a line.
#
# What was there before a deployment is kept in $undo until commit.sh says that the new one works. $undo appears and
# disappears by a rename, so it is whole or not there; every file is put in place by a rename too. A run that is ended
# at any line leaves a host that the next run, deploy.sh or withdraw.sh, brings to its end.
set -u
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
trap '' HUP PIPE # whoever waits for the outcome may be gone; what has begun is brought to its end all the same

unit=gantry-agent.service
state=/var/lib/gantry/setup
undo=$state/undo
stage=$state/stage.$$
files='agent ca.pem cert.pem key.pem unit agent.toml' # the configuration last: it says whose host this is

target() {
  case $1 in
    agent) echo /usr/local/bin/gantry-agent ;;
    agent.toml) echo /etc/gantry/agent.toml ;;
    unit) echo "/etc/systemd/system/$unit" ;;
    *) echo "/etc/gantry/tls/$1" ;;
  esac
}

mode() {
  case $1 in
    agent) echo 755 ;;
    unit | ca.pem | cert.pem) echo 644 ;;
    *) echo 600 ;;
  esac
}

# The exit status tells what went wrong; outcome.rs has the same table.
owned=10 superseded=11 agent_does_not_run=12 start_failed=13 busy=14 incomplete=15
fail() { # STATUS TEXT...
  status=$1
  shift
  printf '%s\n' "$*" >&2
  exit "$status"
}

lock() { # nothing is left behind by a lock on a directory
  exec 9</etc/systemd/system
  flock -w 60 9 || fail $busy 'another setup of this host has been running for a minute'
}

owner() { sed -n 's/^[[:space:]]*node_uuid[[:space:]]*=[[:space:]]*"\([0-9a-f]*\)".*/\1/p' /etc/gantry/agent.toml 2>/dev/null | sed 1q; }
active() { systemctl --quiet is-active "$unit" 2>/dev/null; }
enabled() { systemctl --quiet is-enabled "$unit" 2>/dev/null; }

drop_new() { for name in $files; do rm -f "$(target "$name").gantry-new"; done; }

sweep() { # what runs that did not end well left behind
  for directory in "$state"/stage.* "$undo.new"; do
    if [ "$directory" != "$stage" ]; then rm -rf "$directory"; fi
  done
  drop_new
}

drop_empty() { rmdir /etc/gantry/tls /etc/gantry "$state" /var/lib/gantry 2>/dev/null; }

forget() { # the record of what was before
  if [ -d "$undo" ]; then mv "$undo" "$undo.new" && rm -rf "$undo.new"; fi
}

restore() { # puts back what was there before; without a record, takes everything away
  if [ ! -e "$undo/unit" ]; then systemctl --quiet disable --now "$unit" 2>/dev/null; fi
  for name in $files; do
    path=$(target "$name")
    if [ ! -e "$undo/$name" ]; then rm -f "$path" || return 1
    elif ! cmp -s "$undo/$name" "$path"; then
      cp -p "$undo/$name" "$path.gantry-new" && mv -f "$path.gantry-new" "$path" || return 1
    fi
  done
  systemctl daemon-reload
  if [ -e "$undo/unit" ]; then
    if [ -e "$undo/enabled" ]; then systemctl --quiet enable "$unit"; else systemctl --quiet disable "$unit"; fi
    if [ -e "$undo/active" ]; then systemctl restart "$unit"; else systemctl stop "$unit"; fi
  else
    systemctl reset-failed "$unit" 2>/dev/null
  fi
  forget
}
