"""The network: the only place that talks to other hosts, with every step bounded and its failure kept."""
