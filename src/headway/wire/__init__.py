"""The only request and response types, one module per resource; server, client and workers share them."""
