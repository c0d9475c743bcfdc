"""What a person runs by hand: ``txhixie connect`` and ``txhixie doctor``, and what both need."""
