"""``txhixie doctor --listen``: waits for devices, and says what each does wrong."""
