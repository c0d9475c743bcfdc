"""The command ``txhixie``: connect to a server, test a server, or run one."""
