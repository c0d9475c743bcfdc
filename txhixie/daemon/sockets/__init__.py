"""The listening sockets of the daemon: kept through a reload, or inherited from systemd."""
