"""A bad network between real programs: a UDP relay that treats datagrams as the simulated network's links do."""
