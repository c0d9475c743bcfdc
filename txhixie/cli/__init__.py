"""The command ``txhixie``: connect to a server, or examine one."""
