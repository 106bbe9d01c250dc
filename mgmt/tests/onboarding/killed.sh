# Kills deploy.sh at its first, STRIDE+1st, 2*STRIDE+1st... command, each time on the host as it was, and has it taken
# back or repeated. Runs on a lab host under bash, whose DEBUG trap counts commands; $scripts has the scripts' texts.
# Prints how many kills it made; ends with an error at the first that leaves a trace.
set -eu
node=8aef7e3a53b34eedaa05027a919156d9
work=$(mktemp -d)
cat "$scripts/layout.sh" "$scripts/deploy.sh" >"$work/deploy"
cat "$scripts/layout.sh" "$scripts/withdraw.sh" >"$work/withdraw"
cat "$scripts/layout.sh" "$scripts/commit.sh" >"$work/commit"

unit='[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/local/bin/gantry-agent
[Install]
WantedBy=multi-user.target'

make() { # VERSION: what deploy.sh reads
  printf '#!/bin/sh\n# %s\n[ "${1:-}" = --version ] && exit 0\nsystemd-notify --ready && exec sleep infinity\n' "$1" >"$work/agent"
  {
    echo $node
    sha256sum "$work/agent" | cut -d' ' -f1
    for text in "ca $1" "certificate $1" "key $1" "$unit" "node_uuid = \"$node\""; do echo "$text" | base64 -w0; echo; done
    gzip -c "$work/agent"
  } >"$work/input-$1"
}

deploy() { bash "$work/deploy" <"$work/input-$1"; }
simple() { echo $node | bash "$work/$1"; }

state() {
  find /etc/gantry /usr/local/bin /etc/systemd/system /var/lib/gantry -printf '%p %y %m %u %s\n' 2>/dev/null | sort
  cat /etc/gantry/tls/* /usr/local/bin/gantry-agent 2>/dev/null | sha256sum
  systemctl is-active gantry-agent || true
  systemctl is-enabled gantry-agent 2>/dev/null || true
}

killed_at() { # COMMAND VERSION: fails when the script ended before
  # In a subshell, which does not announce the kill.
  (bash -c 'set -T; n=0; trap "n=\$((n + 1)); [ \$n -ne $1 ] || kill -9 \$\$" DEBUG; . "$2"' bash "$1" "$work/deploy" \
    <"$work/input-$2"; exit $?) >/dev/null 2>&1
  [ $? -eq 137 ]
}

untouched() { # whether the agent that was confirmed, if any, is as it was
  [ $start = nothing ] || { [ "$(sed -n 2p /usr/local/bin/gantry-agent)" = '# one' ] && systemctl is-active --quiet gantry-agent; }
}

expect() { # BEFORE WHAT
  after=$(state)
  [ "$after" = "$1" ] || { echo "killed at command $command, $2:"; diff <(echo "$1") <(echo "$after"); exit 1; } >&2
}

make one
make two
kills=0
for start in nothing one; do
  if [ $start = one ]; then deploy one >/dev/null; simple commit >/dev/null; fi
  before=$(state)
  command=1
  while set +e; killed_at $command two; killed=$?; set -e; [ $killed = 0 ]; do
    kills=$((kills + 1))
    # Before there is a record of what was, nothing of it was touched, and withdrawing would take a confirmed agent away.
    if [ $((kills % 2)) = 0 ] || [ $start = one ] && [ ! -d /var/lib/gantry/setup/undo ]; then
      untouched || [ -d /var/lib/gantry/setup/undo ] || { echo "killed at command $command: changed without a record" >&2; exit 1; }
      deploy two >/dev/null || { echo "killed at command $command: it could not be repeated" >&2; exit 1; }
      systemctl is-active --quiet gantry-agent
    fi
    simple withdraw >/dev/null || { echo "killed at command $command: it could not be taken back" >&2; exit 1; }
    expect "$before" "from $start"
    command=$((command + stride))
  done
  simple withdraw >/dev/null
  # Withdrawing an agent that was confirmed takes it away; a run that was not killed left its record.
  expect "$before" "from $start, not killed"
done
simple withdraw >/dev/null
rm -rf "$work"
echo "kills=$kills"
