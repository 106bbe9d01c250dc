# Puts the agent in place and starts it. Input: the management node's uuid; the program's SHA-256; in base64 the files
# ca.pem, cert.pem, key.pem, unit, agent.toml; then, if it answers agent=wanted, the program, compressed by gzip.
staged=no locked=no recorded=no replaced=no

finish() {
  status=$?
  trap - EXIT
  if [ $status != 0 ] && [ $staged = yes ] && [ ! -d "$stage" ]; then
    echo 'another setup of this host took over' >&2
    status=$superseded
  fi
  rm -rf "$stage"
  if [ $locked = yes ]; then
    drop_new
    if [ $status != 0 ] && [ $replaced = yes ]; then
      restore >/dev/null 2>&1 || echo "what was there before could not be put back; it is kept in $undo" >&2
    elif [ $status != 0 ] && [ $recorded = yes ]; then forget
    fi
  fi
  drop_empty
  exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

make_stage() {
  [ -d /var/lib/gantry ] || mkdir -m 755 /var/lib/gantry
  mkdir -p "$state" && mkdir "$stage" && staged=yes
}

receive() {
  read -r node && read -r digest || fail $incomplete 'the input ended early'
  # Once more: another setup that ends at this moment clears its empty directories away.
  make_stage 2>/dev/null || make_stage || exit 1
  for name in ca.pem cert.pem key.pem unit agent.toml; do
    read -r line || fail $incomplete 'the input ended early'
    printf '%s\n' "$line" | base64 -d >"$stage/$name" || exit 1
  done
  if [ "$(sha256sum "$(target agent)" 2>/dev/null | cut -d' ' -f1)" = "$digest" ]; then
    echo agent=present
    return
  fi
  echo agent=wanted
  # The limit ends a run whose sender vanished without closing the connection.
  said=$({ timeout 900 gzip -dc >"$stage/agent"; } 2>&1) || fail $incomplete "the program did not arrive: $said"
  [ "$(sha256sum "$stage/agent" | cut -d' ' -f1)" = "$digest" ] ||
    fail $incomplete 'the program that arrived is not the one that was sent'
}

differing() { # the files that are not yet as they should be
  for name in $files; do
    path=$(target "$name")
    if [ -e "$stage/$name" ] && { ! cmp -s "$stage/$name" "$path" || [ "$(stat -c %a "$path")" != "$(mode "$name")" ]; }; then
      echo "$name"
    fi
  done
}

# Beside their targets, so that a rename puts them in place and SELinux labels them by their directory.
lay_out() { # NAME...
  [ -d /usr/local/bin ] || mkdir -m 755 /usr/local/bin || return 1
  [ -d /etc/gantry ] || mkdir -m 755 /etc/gantry || return 1
  [ -d /etc/gantry/tls ] || mkdir -m 700 /etc/gantry/tls || return 1
  for name in "$@"; do
    path=$(target "$name").gantry-new
    cp "$stage/$name" "$path" && chmod "$(mode "$name")" "$path" && sync "$path" || return 1
  done
}

record() {
  [ ! -d "$undo" ] || return 0 # an earlier run's, which did not come to its end: what it kept is what was before
  mkdir "$undo.new" || return 1
  for name in $files; do
    if [ -e "$(target "$name")" ]; then cp -p "$(target "$name")" "$undo.new/$name" || return 1; fi
  done
  if enabled; then : >"$undo.new/enabled" || return 1; fi
  if active; then : >"$undo.new/active" || return 1; fi
  sync "$undo.new" "$undo.new"/* 2>/dev/null
  mv "$undo.new" "$undo" && recorded=yes
}

launch() {
  systemctl daemon-reload && systemctl --quiet enable "$unit" && systemctl restart "$unit" && active
}

receive
exec </dev/null
lock
[ -d "$stage" ] || exit 1
locked=yes
sweep
current=$(owner)
[ -z "$current" ] || [ "$current" = "$node" ] || fail $owned "$current"

changed=$(differing)
if [ -z "$changed" ] && active && enabled; then
  echo result=unchanged
  exit 0
fi
lay_out $changed || exit 1
program=$(target agent)
if [ -e "$program.gantry-new" ]; then program=$program.gantry-new; fi
said=$(timeout 20 "$program" --version 2>&1) || fail $agent_does_not_run "$said"
record || exit 1
replaced=yes
for name in $changed; do
  mv -f "$(target "$name").gantry-new" "$(target "$name")" || exit 1
done
since=$(date '+%F %T')
said=$(launch 2>&1) ||
  fail $start_failed "$said" "$(journalctl --unit="$unit" --since="$since" --lines=20 --no-pager --output=cat 2>&1)"
echo result=changed
