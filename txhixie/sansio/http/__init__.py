"""HTTP/1.1 text: heads, bodies, parameters, URLs, and what proxies add."""
