"""What people type: `random-routing <command>`, or `python -m random_routing <command>`."""
