"""HTTP/1.1 text: heads, bodies, parameters, URLs, proxy requests and forwarded fields."""
