"""What ``twistd hixie`` can run, one file each."""
