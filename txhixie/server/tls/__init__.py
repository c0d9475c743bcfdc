"""TLS of the ports of a server: certificates, the choice between them, and client certificates."""
