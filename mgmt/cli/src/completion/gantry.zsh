#compdef gantry
# Completion of gantry in zsh: source <(gantry completion zsh)
_gantry() {
  local -a found
  found=("${(@f)$(gantry complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -Q -S '' -- $found
}
compdef _gantry gantry
