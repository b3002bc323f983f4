"""Measurements beside a peer in the same run: where the README's figures come from."""
