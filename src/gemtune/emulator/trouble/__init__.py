"""What goes wrong on purpose: faults, quotas, slow answers, replicas that lag behind."""
