# Runs an errand in its directory, as a service of its own: `script` with `input`, of whose outputs `limit` bytes are
# kept. `ended` appears when it is over, with its exit status.
set -u
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
directory=$PWD
limit=$(cat limit) || exit 1
keep() { head -c "$limit" >"$1"; cat >/dev/null; }

mkfifo out err || exit 1
keep stdout <out &
keep stderr <err &
shell=/bin/sh
if [ -x /bin/bash ]; then shell=/bin/bash; fi
cd / || exit 1
"$shell" "$directory/script" <"$directory/input" >"$directory/out" 2>"$directory/err"
status=$?
# What it leaves running in the background can still write; the service's deadline ends that, too.
wait
echo "$status" >"$directory/ended.new"
mv "$directory/ended.new" "$directory/ended"
