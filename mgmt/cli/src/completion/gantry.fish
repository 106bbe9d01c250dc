# Completion of gantry in fish: gantry completion fish | source
complete -c gantry -f -a '(gantry complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
