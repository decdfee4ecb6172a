"""The demo: a server, three workers and 336,776 flights; two runs collide, one is killed, the count is right."""
