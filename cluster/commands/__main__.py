"""Run the command line as `python -m cluster.commands`, which is how `receipts up` starts its processes."""

from cluster.commands import main

main()
