# Takes back what deploy.sh did: to what was there before, or, once that is forgotten, to no agent at all.
# Input: the management node's uuid.
read -r node
lock
current=$(owner)
[ -z "$current" ] || [ "$current" = "$node" ] || fail $owned "$current"
sweep
# Without a record and without this node's configuration there is nothing here that deploy.sh made.
if [ -d "$undo" ] || [ "$current" = "$node" ]; then
  restore || exit 1
  result=changed
else
  result=unchanged
fi
# What a renewal of the agent's certificate may have been about to use.
[ -e /etc/gantry/agent.toml ] || rm -f /etc/gantry/tls/key.pending.pem
drop_empty
echo result=$result
