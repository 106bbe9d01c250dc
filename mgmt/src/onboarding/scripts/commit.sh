# The deployment stays: what was there before is forgotten. Input: the management node's uuid.
read -r node
lock
current=$(owner)
[ "$current" = "$node" ] || fail $owned "$current"
if [ -d "$undo" ]; then result=changed; else result=unchanged; fi
forget || exit 1
sweep
drop_empty
echo result=$result
